// What is wrong in a train of spikes, found in one look over it.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "server/recordings/spike_train.h"

namespace saed::recordings {

// Numbers are from the first spike, 0; -1 where there is none.
struct TrainFaults {
  int64_t dropped = 0, unsorted = 0, twice = 0;
  int64_t first_dropped = -1, first_unsorted = -1, first_twice = -1;
  // Of the first of each, s; the last is only set where the train was read.
  double dropped_time = 0, unsorted_time = 0;
  std::optional<double> twice_time;
  bool late = false;  // finite times past the end are among the dropped
};

// Whether a time is one of a recording that ends at `end`, s.
inline bool Belongs(double time, double end) {
  return time >= 0 && time <= end && std::isfinite(time);
}

// Whether what was seen of a train while it was gathered tells that nothing in it has to be mended,
// and what then is to be told of it.
bool IsGood(const SpikeTrain& times, double end);
TrainFaults FaultsOfGood(const SpikeTrain& times);

// Looks at a train, a piece at a time. Not thread-safe.
class FaultFinder {
 public:
  explicit FaultFinder(double end) : end_(end) {}

  // The next spikes, of which the first is number `first` of the train.
  void See(size_t first, std::span<const double> times);
  const TrainFaults& found() const { return found_; }

 private:
  void Drop(int64_t at, double time);

  double end_, latest_ = -1;
  TrainFaults found_;
};

}  // namespace saed::recordings
