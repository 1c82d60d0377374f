// What a split is asked to be.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace saed::recordings {

enum class SplitKind {
  kChronological,  // the first fraction of the valid bins trains
  kColumn,         // by the values of an interval table's column
  kInSample,       // every bin trains; "held-out" scores are then those of the training bins
  kTrials,         // by whole rows of an interval table
  kTime,           // by equal stretches of the valid bins, of which each gives its end
  kLeftOut,        // not said: to be chosen before a view is built
};

// By which trials are dealt out.
enum class TrialOrder {
  kInterleaved,  // in turn: evenly spaced in time
  kRandom,       // as kInterleaved, after the trials were shuffled
  kBlocks,       // runs of neighbouring trials, from kStretches stretches of the session
};

enum class Outside { kTrains, kLeftOut };

// See TrialSplit in types.proto.
struct TrialSplit {
  std::string table, filter;
  TrialOrder order = TrialOrder::kInterleaved;
  uint64_t seed = 0;
  double held_out = 0;  // fraction of the trials; 0: kHeldOutTrials
  std::string stratify;
  int folds = 0, fold = 0;        // folds 0: by held_out
  std::optional<double> embargo;  // s
  Outside outside = Outside::kTrains;
};

// See TimeSplit in types.proto.
struct TimeSplit {
  int blocks = 0;                 // 0: kStretches
  double held_out = 0;            // fraction of each; 0: kHeldOutTime
  std::optional<double> embargo;  // s
};

// A third of the trials: enough to be sure of a condition that holds in few of them, two to choose
// features on for each one that judges, and an odd period, as many designs alternate.
inline constexpr double kHeldOutTrials = 1.0 / 3;
inline constexpr double kHeldOutTime = 0.2;
inline constexpr int kStretches = 5, kMostStretches = 1000;
inline constexpr double kUsualEmbargo = 1;  // s, where there is room for it

struct Split {
  SplitKind kind = SplitKind::kChronological;
  double train_fraction = 0.8;
  std::string table, column;
  // Values, or for numeric columns also ranges (value_range.h).
  std::vector<std::string> train_values, test_values;
  TrialSplit trials = {};
  TimeSplit time = {};
};

}  // namespace saed::recordings
