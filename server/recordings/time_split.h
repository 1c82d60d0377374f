// A split by blocks of time: equal stretches of the session, of which each gives its end.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "server/recordings/view.h"

namespace saed::recordings {

// Faults that show without the recording, on fields "split.time.…".
absl::Status Validate(const TimeSplit& split);

// Sets data.sides and data.embargo. Stretches have equally many valid bins, the last
// ⌊length·held_out⌋ of each (at least one) are held out, and bins within `embargo` of these train
// nothing; where it is left out it is the window without a bin, and up to kUsualEmbargo as far as a
// tenth of what a stretch holds out has room for it.
absl::Status SplitByTime(const TimeSplit& split, const std::vector<uint8_t>& valid, ViewData& data);

}  // namespace saed::recordings
