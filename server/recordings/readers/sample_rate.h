// The rate of a recording's samples, Hz.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "server/recordings/readers/file_set.h"
#include "server/recordings/readers/notes.h"
#include "server/recordings/readers/reader.h"

namespace saed::recordings {

// A literal of Python: 30000, 30000., 3e4, 30_000.
std::optional<double> PythonNumber(std::string_view text);

// The rate that the user gave, else that of the file `params`, if it is there. INVALID_ARGUMENT on
// `sampling_rate` or the file where there is none, or one that no recording has.
absl::StatusOr<double> FindSampleRate(const ImportOptions& options, const FileSet& files,
                                      const std::string& params, Notes& notes);

}  // namespace saed::recordings
