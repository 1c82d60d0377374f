// The split of a training that leaves it to the server.
#pragma once

#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "server/recordings/recording.h"
#include "server/recordings/view.h"

namespace saed::jobs {

// Sets view.split where it is kLeftOut, and returns the view that `build` makes with it:
// interleaved trials of the likeliest table (see trial_table.h), by the first column whose values
// these would keep apart; where these do not fit the view, or `suits` is not OK of it, stretches of
// time, and in a recording too short for them the first four fifths. `why` becomes a line that says
// what was chosen and why.
absl::StatusOr<recordings::ViewData> ChooseSplit(
    const recordings::Recording& recording, recordings::DataView& view,
    absl::FunctionRef<absl::StatusOr<recordings::ViewData>()> build,
    absl::FunctionRef<absl::Status(const recordings::ViewData&)> suits, std::string& why);

// Of a split by trials that somebody chose, without a mask: that the time outside them, which
// trains, is nearly without spikes, and what to do; empty where it is not.
std::string SilenceThatTrains(const recordings::Recording& recording,
                              const recordings::DataView& view);

}  // namespace saed::jobs
