// How long the frames of a movie are.
#pragma once

#include "absl/status/statusor.h"
#include "server/recordings/readers/reader.h"

namespace saed::recordings {

// s, from sampling_rate or bin_width. INVALID_ARGUMENT where neither is given, or they disagree.
absl::StatusOr<double> FrameWidth(const ImportOptions& options);

}  // namespace saed::recordings
