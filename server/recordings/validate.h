// Whether a recording keeps what recording.h promises, whoever made it.
#pragma once

#include "absl/status/status.h"
#include "server/recordings/recording.h"

namespace saed::recordings {

// Everything that code behind the import relies on: order, finite times, equal lengths, sizes
// within bounds, valid text. INTERNAL naming the first part that breaks it: a reader that ends
// normally never leaves such a recording. Linear in the recording, whose counts' values are not
// looked at, and whose trains in files are CheckStored()'s (check_stored.h).
absl::Status Validate(const Recording& recording);

}  // namespace saed::recordings
