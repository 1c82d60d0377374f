// How many spikes a recording has.
#pragma once

#include <cmath>
#include <cstdint>
#include <numeric>

#include "server/recordings/recording.h"

namespace saed::test_tools {

inline int64_t SpikeCount(const recordings::Recording& recording) {
  const auto counts = recordings::SpikeCounts(recording, 0, INFINITY);
  return static_cast<int64_t>(std::accumulate(counts.begin(), counts.end(), 0.0));
}

}  // namespace saed::test_tools
