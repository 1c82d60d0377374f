// What a condition that holds nowhere may have meant.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "server/recordings/recording.h"

namespace saed::features {

// A line for each value that an expression asks for (with = or :) and no row of its column has,
// with those that there are: "trials.side has left, right, not 'Left'". Nothing for an expression
// that does not parse.
std::vector<std::string> ValueHints(std::string_view expression,
                                    const recordings::Recording& recording);

}  // namespace saed::features
