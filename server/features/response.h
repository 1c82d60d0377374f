// Peri-event histograms: a feature's activation, or what judges it, around the times at which a
// condition begins.
#pragma once

#include <cstdint>
#include <vector>

#include "server/features/association.h"
#include "server/recordings/view.h"

namespace saed::features {

inline constexpr double kBeforeEvent = 0.5, kAfterEvent = 1.0;  // s

struct Response {
  int64_t events = 0;       // with at least one window around
  int before = 0;           // lags −before … are before the event
  double latency = 0;       // s, of the largest mean
  std::vector<float> mean;  // [lags], NaN where no event has a window
  std::vector<float> sem;   // [lags], standard error over events; NaN for fewer than two
};

// Where a condition begins: positions among `starts` of windows in which it holds while it does not
// in the window one bin earlier, which must be there too.
std::vector<int64_t> Onsets(const std::vector<uint8_t>& label, const std::vector<int64_t>& starts);

// Lags are bins; a window stands for its last bin. Windows that are not there (other side of the
// split, outside the mask) do not count.
Response PeriEvent(const Activations& activations, const std::vector<int64_t>& onsets,
                   const std::vector<int64_t>& starts, double bin_width);

}  // namespace saed::features
