// The language of conditions: which bins of a recording, in words over its interval tables and
// series. It is AIP-160 (server/base/filter.h) with functions:
//
//   during(trials, outcome = hit)                   rows of a table, from start to stop
//   trials.outcome = hit                            the same, for one comparison
//   around_start(trials, outcome = hit, -0.1, 0.5)  [start − 0.1 s, start + 0.5 s) of each row
//   around_stop(trials, -0.2, 0)                    the same around stops; no filter: all rows
//   starts(trials, side = left), stops(trials)      the one bin that has the start or stop
//   position.x > 0.4 AND position.x < 0.6           a series' channel; with one channel its name
//   rising(position.x), falling(position.x, 0.05)   it changes by more than 0 (0.05) per second
//   NOT, AND, OR, ( )                               OR binds tighter than AND
//
// A bin is in a span where its centre is. Names with other characters than letters, digits, _ . - +
// stand in quotes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/recordings/recording.h"
#include "server/recordings/view.h"

namespace saed::features {

struct BinLabels {
  std::vector<uint8_t> holds;  // [bins], 0 or 1
  // [bins], 0 where a series had no samples and the answer hangs on it; such bins do not hold.
  // Empty: all are known.
  std::vector<uint8_t> known;
};

// INVALID_ARGUMENT on field "expression" says what does not fit the recording and what would.
// Thread-safe.
absl::StatusOr<BinLabels> Evaluate(std::string_view expression,
                                   const recordings::Recording& recording,
                                   const recordings::ViewData& view);

// The text as a word of the language, quoted.
std::string Quoted(std::string_view text);

// A series' channel on the bins of a view: the mean of the samples in a bin; between samples, where
// the next ones on both sides are at most five median sampling intervals (or two bins) apart,
// linear interpolation at the bin's centre; NaN elsewhere. Samples that are NaN count as missing.
std::vector<double> OnBins(const recordings::Series& series, size_t channel,
                           const recordings::ViewData& view);

// The series and channel that "series.channel", or "series" with one channel, names; {nullptr, 0}
// where there is none.
std::pair<const recordings::Series*, size_t> FindChannel(const recordings::Recording& recording,
                                                         std::string_view name);

// Names of all channels, as the language spells them.
std::vector<std::string> ChannelNames(const recordings::Recording& recording);

}  // namespace saed::features
