// Rows of a table by a filter.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/base/filter.h"
#include "server/recordings/recording.h"

namespace saed::recordings {

// One entry per row, 1 where the row passes. A missing number (NaN) passes no comparison, != and
// those under NOT neither. An empty filter passes every row. INVALID_ARGUMENT on
// the field "filter" where it does not parse, names an unknown column or compares a number with a
// text.
absl::StatusOr<std::vector<uint8_t>> MatchRows(const Table& table, std::string_view filter);
absl::StatusOr<std::vector<uint8_t>> MatchRows(const Table& table, const FilterNode& filter);

// One entry per row, 1 where the filter asks of nothing that is missing there: a NaN, an empty text
// (unless compared with one). The filter fits the table, see MatchRows.
std::vector<uint8_t> AskedRows(const Table& table, const FilterNode& filter);

// The distinct values of a column as text, in order of first appearance; what is missing (NaN, an
// empty text) is none. Lists give each member.
Texts DistinctValues(const Column& column, size_t most);

}  // namespace saed::recordings
