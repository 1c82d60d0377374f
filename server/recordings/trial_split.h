// A split by trials: whole rows of an interval table train or are held out, and the time around
// them trains too or is left out.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/recordings/view.h"

namespace saed::recordings {

// Faults that show without the recording, on fields "split.trials.…".
absl::Status Validate(const TrialSplit& split);

// A row, or several that share bins; its bins are [first, end).
struct Trial {
  double start = 0, stop = 0;  // s
  int64_t first = 0, end = 0;
  size_t row = 0;  // the earliest of its rows
};

// The trials that hold a window of `valid` bins, in time. INVALID_ARGUMENT where there are fewer
// than two.
absl::StatusOr<std::vector<Trial>> TrialsOf(const Recording& recording, const TrialSplit& split,
                                            const ViewData& data,
                                            const std::vector<uint8_t>& valid);

// Of each trial whether it is held out. Trials are dealt from a sequence: by time; for kRandom by
// ascending numbers of NumPy's default_rng(seed).random(trials); with `stratify` first by its
// value, values as they first come in time. Number p of n in that sequence is held out
//   by a fraction f, where the whole part of (p + 1)·f is above that of p·f;
//   by folds, where p modulo folds is `fold`.
// kBlocks cuts the sequence into kStretches stretches (fewer where they would give no trial),
// number s from ⌊n·s/stretches⌋ on, and holds out the end of each, its length times f, rounded, at
// least one; with folds into stretches·folds runs in the same way, of which number r is of fold r
// modulo folds. INVALID_ARGUMENT where one side has no trial.
absl::StatusOr<std::vector<uint8_t>> DealTrials(const Recording& recording, const TrialSplit& split,
                                                const std::vector<Trial>& trials);

// What `embargo` is where it is left out, s: the window without a bin; where the outside trains, up
// to kUsualEmbargo as far as the median gap between neighbouring trials has room for it.
double UsualEmbargo(const TrialSplit& split, const std::vector<Trial>& trials,
                    const ViewData& data);

// Sets data.sides, data.blocks (each trial is one; -1 outside all) and data.embargo.
absl::Status SplitByTrials(const Recording& recording, const TrialSplit& split,
                           const std::vector<uint8_t>& valid, ViewData& data);

}  // namespace saed::recordings
