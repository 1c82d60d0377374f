// The language of conditions: which bins of a recording, in words over its interval tables and
// series. It is AIP-160 (server/base/filter.h) with functions:
//
//   trials.outcome = hit                            rows of a table, against its other rows
//   among(trials, outcome = hit AND side = left)    the same, for more than one comparison
//   contrast(trials.side, left, right)              rows with the one value against the other
//   each(trials, side = left, 0.2)                  the one bin 0.2 s after the start of each row,
//                                                   against those of its other rows
//   during(trials, outcome = hit)                   rows, from start to stop, against all else
//   around_start(trials, outcome = hit, -0.1, 0.5)  [start − 0.1 s, start + 0.5 s) of each row
//   around_stop(trials, -0.2, 0)                    the same around stops; no filter: all rows
//   around(trials.press_time, -0.1, 0.1)            the same around the times in a column
//   starts(trials, side = left), stops(trials)      the one bin that has the start or stop
//   position.x > 0.4 AND position.x < 0.6           a series' channel; with one channel its name
//   rising(position.x), falling(position.x, 0.05)   it changes by more than 0 (0.05) per second
//   speed(position) > 0.1                           of positions, smoothed over 0.25 s
//   direction(position) < 0                         radians in a plane; on a line 1 or -1
//   NOT, AND, OR, ( )                               OR binds tighter than AND
//
// Every part asks of some bins: the first four of those in the rows of their table in which no
// column that they name is missing (contrast: in the rows of its two values), all others of every
// bin. AND asks of the bins that all its parts ask of, OR of those that any does.
//
// A bin is in a span where its centre is. Names with other characters than letters, digits, _ . - +
// stand in quotes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/features/association.h"
#include "server/features/channels.h"
#include "server/recordings/recording.h"
#include "server/recordings/view.h"

namespace saed::features {

struct BinLabels {
  std::vector<uint8_t> holds;  // [bins], 0 or 1
  // [bins], 0 where a series had no samples and the answer hangs on it; such bins do not hold.
  // Empty: all are known.
  std::vector<uint8_t> known;
  // [bins], 0 where the condition asks nothing; such bins do not hold. Empty: of all.
  std::vector<uint8_t> asked;

  // What it says of a bin.
  WindowLabel At(int64_t bin) const {
    if (!known.empty() && !known[bin]) return kOutside;
    if (!asked.empty() && !asked[bin]) return kOutside;
    return holds[bin] ? kHolds : kHoldsNot;
  }
};

// INVALID_ARGUMENT on field "expression" says what does not fit the recording and what would.
// Thread-safe.
absl::StatusOr<BinLabels> Evaluate(std::string_view expression,
                                   const recordings::Recording& recording,
                                   const recordings::ViewData& view);

// The text as a word of the language, quoted.
std::string Quoted(std::string_view text);

}  // namespace saed::features
