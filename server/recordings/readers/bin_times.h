// Bins of a count matrix that came with the times at which they start.
#pragma once

#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/recordings/readers/notes.h"
#include "server/recordings/recording.h"

namespace saed::recordings {

// Where the bins lie on the grid of multiples of a width, s.
struct BinGrid {
  double width = 0;
  std::vector<int64_t> places;  // ascending, from 0
};

// What the times of bins are.
enum class BinTimes {
  kUnsaid,  // middles where the first lies half a bin off the multiples of the width, else starts
  kStarts,
  kMiddles,
};

// `times`, s, of bins that are `width` wide (0: not given, as wide as most of them are apart).
// INVALID_ARGUMENT on `part` with the bin where they do not ascend, or lie more than a tenth of a
// bin off the grid. What is off by less is noted.
absl::StatusOr<BinGrid> PlaceBins(std::string_view part, const Numbers& times, BinTimes what,
                                  double width, Notes& notes);

// Moves the bins of the recording's counts to their places; what lies between is empty and not
// observed.
absl::Status SpreadBins(std::string_view part, const BinGrid& grid, Notes& notes,
                        Recording& recording);

}  // namespace saed::recordings
