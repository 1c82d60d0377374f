// Which bins of a view train and which are held out.
#pragma once

#include "absl/status/status.h"
#include "server/recordings/view.h"

namespace saed::recordings {

// Sets data.sides from the view's mask and split. Every fault at once, each on its field.
absl::Status AssignSides(const Recording& recording, const DataView& view, ViewData& data);

}  // namespace saed::recordings
