#include "server/recordings/train_faults.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace saed::recordings {

bool IsGood(const SpikeTrain& times, double end) {
  const TrainLook* look = times.look();
  return look != nullptr && look->good && look->last <= end;
}

TrainFaults FaultsOfGood(const SpikeTrain& times) {
  TrainFaults out;
  out.twice = times.look()->twice;
  out.first_twice = times.look()->first_twice;
  return out;
}

void FaultFinder::See(size_t first, std::span<const double> times) {
  const double last = std::min(end_, std::numeric_limits<double>::max());
  double latest = latest_;
  for (size_t i = 0; i < times.size(); ++i) {
    const double t = times[i];
    if (t > latest && t <= last && t >= 0) {  // as nearly all
      latest = t;
      continue;
    }
    const auto at = static_cast<int64_t>(first + i);
    if (!Belongs(t, end_)) {
      Drop(at, t);
    } else if (t < latest) {
      if (found_.unsorted++ > 0) continue;
      found_.first_unsorted = at;
      found_.unsorted_time = t;
    } else {
      if (t == latest && found_.twice++ == 0) {
        found_.first_twice = at;
        found_.twice_time = t;
      }
      latest = t;
    }
  }
  latest_ = latest;
}

void FaultFinder::Drop(int64_t at, double time) {
  if (found_.dropped++ == 0) {
    found_.first_dropped = at;
    found_.dropped_time = time;
  }
  found_.late = found_.late || (time > end_ && std::isfinite(time));
}

}  // namespace saed::recordings
