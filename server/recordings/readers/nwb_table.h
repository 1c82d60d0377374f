// DynamicTables of NWB: named columns, flat or ragged.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/recordings/readers/hierarchy.h"
#include "server/recordings/readers/notes.h"
#include "server/recordings/recording.h"

namespace saed::recordings {

// Where each row's values end in a ragged column of `values` values. INVALID_ARGUMENT on `path`
// where they do not ascend within them.
absl::StatusOr<std::vector<int64_t>> ReadIndex(const Hierarchy& file, const std::string& path,
                                               int64_t values);

struct NwbTableSpec {
  std::string path;
  std::set<std::string> skip = {};  // columns that are read elsewhere, or not of use
  int64_t rows = -1;                // of every column; -1: as many as `id` or the first one has
  // Ends of the units' spikes: a ragged column with the same ends has a value per spike, and is
  // never read.
  const std::vector<int64_t>* spike_ends = nullptr;
};

// All columns, those that `colnames` lacks among them. What cannot be read or has another number of
// rows is left out and noted.
Table ReadNwbTable(const Hierarchy& file, const NwbTableSpec& spec, Notes& notes);

// Number of elements of an array that is one-dimensional, or would be without dimensions of size 1;
// -1 of any other.
int64_t FlatSize(const ArrayInfo& info);

const Texts* TextsOf(const Table& table, std::string_view name);
const Numbers* NumbersOf(const Table& table, std::string_view name);
Texts AsTexts(const std::variant<Numbers, Texts>& values);
// The part behind the last slash.
std::string BaseName(const std::string& path);

// Says which whole numbers of 64 bits are others as doubles; `numbers` are what was read of `path`.
void SayRounded(const Hierarchy& file, const std::string& path, const ArrayInfo& info,
                const Numbers& numbers, Notes& notes);

}  // namespace saed::recordings
