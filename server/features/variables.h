// Continuous variables: a position, a speed, a contrast, as a number for every window (sae.md,
// section 7).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "server/recordings/recording.h"
#include "server/recordings/view.h"

namespace saed::features {

inline constexpr size_t kMaxVariables = 100;

// A number for every window, NaN where there is none.
struct Variable {
  std::string name;  // "series.channel" (or "series"), "table.column", "speed(series)" …
  std::vector<double> values;
  bool circular = false;  // an angle in (−π, π]
};

// Every series channel, speed and direction of every series that is a position (see movement.h;
// the direction where it is an angle), and every numeric column of an interval table that is not a
// time, while its rows last; those that never change, or have fewer than three values, are left
// out. `starts`: first bins of the windows; a window's value is that of its last bin. What is left
// out for want of room (kMaxVariables) is said in `warnings`.
std::vector<Variable> AutomaticVariables(const recordings::Recording& recording,
                                         const recordings::ViewData& view,
                                         const std::vector<int64_t>& starts,
                                         std::vector<std::string>& warnings);

}  // namespace saed::features
