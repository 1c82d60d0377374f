// Matrices of numbers in text files.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "server/recordings/readers/file_set.h"
#include "server/recordings/readers/matrix.h"
#include "server/recordings/readers/notes.h"

namespace saed::recordings {

struct TextMatrix {
  MatrixSource source;
  Texts names;     // of the columns; empty where there is no header line
  Numbers starts;  // s, from a first column of times
  std::string starts_title;
  // From a first column of row numbers, as pandas writes it.
  std::vector<int64_t> rows;
};

inline constexpr int64_t kMaxTextMatrix = int64_t{64} << 20;  // bytes

bool IsTextName(std::string_view name);
// Whether a first column with this title says when the rows are, or counts them.
bool IsNoUnit(std::string_view title);

// A .csv or .tsv of rows of numbers, with or without a header line. A first column called time,
// bin_start and the like is times; one without a name or called bin or index is times or, where
// all its cells are whole, row numbers.
absl::StatusOr<TextMatrix> ReadTextMatrix(const FileSet& files, const std::string& name,
                                          Notes& notes);

}  // namespace saed::recordings
