// Matrices [bins, units] that become the counts of a recording.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/recordings/readers/array_file.h"
#include "server/recordings/readers/notes.h"
#include "server/recordings/recording.h"

namespace saed::recordings {

// Where a matrix comes from. It is read twice: once for the narrowest type that holds it, once to
// convert it.
struct MatrixSource {
  std::string name;                          // in messages
  std::string row = "bin", column = "unit";  // what they are, in messages
  int64_t counted_from = 0;                  // and the number of the first of them
  int64_t bins = 0, units = 0;
  // Its whole numbers have 64 bits, so that those from 2^53 on were rounded before they came here.
  bool wide = false;
  // Fills [bins, units] with the bins from the first on.
  std::function<void(int64_t first_bin, std::span<double> out)> read;
  // Lets go of what was read; may be empty.
  std::function<void()> release = nullptr;
};

struct MatrixRules {
  // Values below 0 are taken: signals, not counts.
  bool negative = false;
  // A unit that is NaN in most bins is left out, a bin that is NaN in some unit is unobserved, and
  // both are noted; otherwise NaN is refused.
  bool missing = false;
};

// INVALID_ARGUMENT with the shape of the array, and what would be right, where it is no matrix of
// allowed size. `columns` says what the second dimension is.
absl::Status CheckMatrix(const ArrayFile& array, std::string_view rows, std::string_view columns);

// An array as a source; it must be a matrix.
MatrixSource SourceOf(const ArrayFile& array);

// Sets counts, observed time and units of `out`; a unit's id is its column of the source. Gives the
// columns that were kept. INVALID_ARGUMENT on the source's name, with the
// bin and the unit, where a value is not allowed.
absl::StatusOr<std::vector<int64_t>> ReadMatrix(const MatrixSource& source, MatrixRules rules,
                                                double bin_width, Notes& notes, Recording& out);

// The width of the bins of a matrix: INVALID_ARGUMENT on "bin_width" where it is none.
absl::Status CheckBinWidth(double bin_width);

}  // namespace saed::recordings
