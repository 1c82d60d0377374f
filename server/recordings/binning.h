// The counts of a view: which units, which bins, how many spikes.
#pragma once

#include "absl/status/status.h"
#include "server/recordings/view.h"

namespace saed::recordings {

// Sets start, width, units, bins and counts of `out`. Faults name fields of the view.
absl::Status MakeCounts(const Recording& recording, const DataView& view, ViewData& out);

// Element i of a count matrix in row-major order.
double ValueAt(const CountView& view, int64_t i);

}  // namespace saed::recordings
