// Tables of NWB that are rows in time: intervals, and events as intervals without length.
#pragma once

#include <string>

#include "server/recordings/readers/hierarchy.h"
#include "server/recordings/readers/notes.h"
#include "server/recordings/readers/nwb_tree.h"
#include "server/recordings/recording.h"

namespace saed::recordings {

// Adds the node's table to `out.intervals`, if it is of such a kind: called by its own name, or by
// its path where another has that name. A table that makes no sense is left out and noted.
void AddNwbIntervals(const Hierarchy& file, const NwbNode& node, Recording& out, Notes& notes);

}  // namespace saed::recordings
