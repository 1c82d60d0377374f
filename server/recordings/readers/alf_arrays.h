// Attributes of ALF objects as columns.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "server/recordings/readers/alf_names.h"
#include "server/recordings/readers/file_set.h"
#include "server/recordings/recording.h"

namespace saed::recordings {

// A column of an attribute: all of a vector, one of several of a matrix or a text table.
struct AlfColumn {
  std::string name;
  std::variant<Numbers, Texts> values;

  size_t rows() const {
    return std::visit([](const auto& v) { return v.size(); }, values);
  }
};

// The columns of a .npy, .csv or .tsv: a vector is called as its attribute, the columns of a matrix
// have numbers behind, those of a table their own names. INVALID_ARGUMENT on the file for other
// files and for more than kMaxAlfWidth values in a row.
absl::StatusOr<std::vector<AlfColumn>> ReadAlfColumns(const FileSet& files, const AlfName& name,
                                                      Notes& notes);

inline constexpr int64_t kMaxAlfWidth = 64;

}  // namespace saed::recordings
