// The spikes of one Units table.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/recordings/readers/hierarchy.h"
#include "server/recordings/readers/notes.h"
#include "server/recordings/readers/reader.h"
#include "server/recordings/recording.h"

namespace saed::recordings {

struct NwbSpikes {
  std::vector<Unit> units;    // ids as in the file, or 0, 1, ... where it has none of use
  Texts original_ids;         // of each unit, where ids were given anew; else empty
  std::vector<int64_t> ends;  // of each unit's spikes, as in the file
};

// Reads in blocks, whatever the number of spikes. INVALID_ARGUMENT naming the path where times are
// not seconds or cannot be told apart by unit.
absl::StatusOr<NwbSpikes> ReadNwbSpikes(const Hierarchy& file, const std::string& table,
                                        const ImportOptions& options, Notes& notes);

}  // namespace saed::recordings
