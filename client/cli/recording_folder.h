// A recording as a folder of files for people, which import takes back whole (the format `saed`).
#pragma once

#include <filesystem>

#include "client/cli/command.h"

namespace saed::cli {

// Writes the recording into the folder, which is there and empty.
absl::Status WriteRecording(Session& session, const v1::Recording& recording,
                            const std::filesystem::path& folder);

}  // namespace saed::cli
