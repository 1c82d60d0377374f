// Rows of interval tables on the bins of a view.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "server/recordings/view.h"

namespace saed::recordings {

// INVALID_ARGUMENT on `field` names the tables there are.
absl::StatusOr<const IntervalTable*> FindTable(const Recording& recording, const std::string& name,
                                               std::string_view field);
// INVALID_ARGUMENT on `field` names the table's columns.
absl::StatusOr<const Column*> FindColumn(const IntervalTable& table, const std::string& name,
                                         std::string_view field);

// [first, end) of the bins that lie wholly inside [start, stop), which may be none.
std::pair<int64_t, int64_t> BinsBetween(const ViewData& view, double start, double stop);

// [first, end) of the bins that have some of [start, stop).
std::pair<int64_t, int64_t> BinsTouching(const ViewData& view, double start, double stop);

// The chosen rows, ascending, what touches or overlaps made one.
Spans RowsOf(const IntervalTable& table, const std::vector<uint8_t>& rows);

// 1 for the bins that lie wholly inside one of the spans.
std::vector<uint8_t> BinsInside(const ViewData& view, const Spans& spans);

// The rows in order of their starts.
std::vector<size_t> InTime(const IntervalTable& table);

}  // namespace saed::recordings
