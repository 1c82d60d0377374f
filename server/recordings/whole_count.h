// Totals of counts as whole numbers.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace saed::recordings {

// From 0 to 2^53: what a file says may be beyond an int64, and sums of many totals must not be.
inline int64_t WholeCount(double count) {
  constexpr double kMost = 9007199254740992;
  return count > 0 ? static_cast<int64_t>(std::round(std::min(count, kMost))) : 0;
}

}  // namespace saed::recordings
