// Neurodata Without Borders 2.x, whatever container holds it.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "server/recordings/readers/hierarchy.h"
#include "server/recordings/readers/notes.h"
#include "server/recordings/readers/reader.h"
#include "server/recordings/recording.h"

namespace saed::recordings {

// The recording in an NWB file or store; its `source` is "nwb". The caller holds the mutex that the
// hierarchy names. Errors are INVALID_ARGUMENT naming the path within the file.
absl::StatusOr<Recording> ReadNwbFrom(const Hierarchy& file, const ImportOptions& options,
                                      Notes& notes);

// What ReadNwbFrom() understands of ImportOptions::values; every container offers these.
const std::vector<OptionInfo>& NwbOptions();

}  // namespace saed::recordings
