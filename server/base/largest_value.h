// What goes into a model is at most this in size: far beyond, sums of products with weights
// overflow.
#pragma once

namespace saed {

inline constexpr double kLargestValue = 1e30F;  // as it is stored

}  // namespace saed
