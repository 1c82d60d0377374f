// Which bins of a view train and which are held out.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "server/recordings/view.h"

namespace saed::recordings {

// Sets data.sides from the view's mask and split. Every fault at once, each on its field.
absl::Status AssignSides(const Recording& recording, const DataView& view, ViewData& data);

// Takes every n-th of 50 equal stretches of the training windows (n = 1/fraction, rounded) out of
// data.train and returns their windows; training windows that share bins with them go too. What is
// left trains, what is returned judges settings, and held-out windows stay unseen. INVALID_ARGUMENT
// on "validation_fraction" where it is not between 0 and 0.5 or leaves one side empty.
absl::StatusOr<std::vector<int64_t>> TakeValidation(double fraction, ViewData& data);

}  // namespace saed::recordings
