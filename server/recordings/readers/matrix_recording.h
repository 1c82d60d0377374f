// Recordings that are one matrix: counts, traces.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/recordings/readers/matrix.h"
#include "server/recordings/readers/matrix_file.h"
#include "server/recordings/readers/notes.h"
#include "server/recordings/readers/reader.h"

namespace saed::recordings {

// The options that ReadMatrixRecording() takes.
std::vector<OptionInfo> MatrixOptions(const std::string& name, const std::string& rows,
                                      const std::string& columns);

// Finds the matrix, its bins' times and its units' ids, and reads it. `bin_width` 0: not given,
// which is right where the bins came with their times.
absl::StatusOr<Recording> ReadMatrixRecording(const FileSet& files, const ImportOptions& options,
                                              const MatrixWords& words, MatrixRules rules,
                                              double bin_width, Notes& notes);

}  // namespace saed::recordings
