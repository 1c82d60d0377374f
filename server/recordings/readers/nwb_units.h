// Units tables of NWB: spikes, labels, regions, depths, and when each unit was observed.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/recordings/readers/hierarchy.h"
#include "server/recordings/readers/notes.h"
#include "server/recordings/readers/nwb_tree.h"
#include "server/recordings/readers/reader.h"
#include "server/recordings/recording.h"

namespace saed::recordings {

// Fills `units`, `unit_columns`, `electrodes` and where all units were observed alike `observed`,
// from the one Units table or those that the option units_table names. INVALID_ARGUMENT where there
// is none, where several are and none is named, and where spikes cannot be told apart.
absl::Status ReadNwbUnits(const Hierarchy& file, const std::vector<NwbNode>& nodes,
                          const ImportOptions& options, Recording& out, Notes& notes);

}  // namespace saed::recordings
