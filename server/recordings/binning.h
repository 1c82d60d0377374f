// The counts of a view: which units, which bins, how many spikes.
#pragma once

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/recordings/view.h"

namespace saed::recordings {

// Sets start, width, units, bins and counts of `out`. Faults name fields of the view.
absl::Status MakeCounts(const Recording& recording, const DataView& view, ViewData& out);

// The units that a view chooses, as indices into Recording::units.
absl::StatusOr<std::vector<int>> ChosenUnits(const Recording& recording, const DataView& view);

// Element i of a count matrix in row-major order.
double ValueAt(const CountView& view, int64_t i);

}  // namespace saed::recordings
