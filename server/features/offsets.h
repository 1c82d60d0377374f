// Conditions whose offsets do not fit their rows: often milliseconds where seconds were meant.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "server/recordings/recording.h"

namespace saed::features {

// A line for every around_start and around_stop of the expression that reaches further from its
// rows than the longest of them lasts; rows without a length have nothing to be compared with.
// Nothing for an expression that does not fit the recording.
std::vector<std::string> LongOffsets(std::string_view expression,
                                     const recordings::Recording& recording);

}  // namespace saed::features
