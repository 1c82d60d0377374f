// What SpikeInterface keeps of units beside their spikes.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/recordings/readers/file_set.h"
#include "server/recordings/readers/notes.h"
#include "server/recordings/recording.h"

namespace saed::recordings {

// A JSON file as Python writes it, where NaN and Infinity are words; they become null.
absl::StatusOr<nlohmann::json> ReadPythonJson(const FileSet& files, const std::string& name);

// Makes a unit of each id; texts and ids that come twice are numbered from 0, with a note. Returns
// the ids as text, in the order of the units.
absl::StatusOr<std::vector<std::string>> MakeUnits(const nlohmann::json& ids,
                                                   const std::string& part, Recording& recording,
                                                   Notes& notes);

// Columns from the arrays in `sorting`properties/ and the tables and locations in
// `analyzer`extensions/, then label, region and depth. Folders end with a slash or are empty.
void AddSpikeInterfaceColumns(const FileSet& files, const std::string& sorting,
                              const std::string& analyzer, const std::vector<std::string>& ids,
                              Recording& recording, Notes& notes);

}  // namespace saed::recordings
