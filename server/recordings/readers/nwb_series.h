// Behavioural signals of NWB.
#pragma once

#include "server/recordings/readers/hierarchy.h"
#include "server/recordings/readers/notes.h"
#include "server/recordings/readers/nwb_tree.h"
#include "server/recordings/recording.h"

namespace saed::recordings {

// Adds a TimeSeries to `out.series`, in its unit: called by its own name, or by its path where
// another has that name. Samples whose times go back, are missing or lie before the recording are
// dropped, a series that makes no sense is left out, and both are noted.
void AddNwbSeries(const Hierarchy& file, const NwbNode& node, Recording& out, Notes& notes);

}  // namespace saed::recordings
