// Conditions: binary labels over bins, made from interval tables.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/recordings/recording.h"
#include "server/recordings/view.h"

namespace saed::features {

enum class Anchor {
  kWhole,  // from each row's start to its stop; the offset is ignored
  kStart,  // [start + from, start + to)
  kStop,   // [stop + from, stop + to)
};

struct Condition {
  std::string name;    // unique in a dictionary
  std::string table;   // interval table
  std::string filter;  // rows, AIP-160 on the table's columns; empty: all
  Anchor anchor = Anchor::kWhole;
  double from = 0, to = 0;  // s, relative to the anchor
};

inline constexpr size_t kMaxConditions = 2000;
inline constexpr size_t kMaxValuesPerColumn = 100;

// One condition for every value of every categorical column of every interval table, named
// "table.column=value". Categorical are texts, lists of texts (a row counts for each member) and
// whole numbers with at most kMaxValuesPerColumn distinct values. Adds to `warnings` what was left
// out.
std::vector<Condition> AutomaticConditions(const recordings::Recording& recording,
                                           std::vector<std::string>& warnings);

// Faults of user conditions, each on "conditions[i].…".
absl::Status Validate(const recordings::Recording& recording,
                      const std::vector<Condition>& conditions);

// One byte per bin: 1 where the bin's centre lies in one of the condition's spans. The condition
// must be valid for the recording.
absl::StatusOr<std::vector<uint8_t>> LabelBins(const recordings::Recording& recording,
                                               const recordings::ViewData& view,
                                               const Condition& condition);

}  // namespace saed::features
