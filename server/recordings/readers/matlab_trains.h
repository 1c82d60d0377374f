// The shapes in which MATLAB files hold spike times.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/recordings/readers/matlab_file.h"
#include "server/recordings/readers/notes.h"
#include "server/recordings/readers/reader.h"

namespace saed::recordings {

// The trains of the units, in the unit of time of the file, and what their numbers are like.
struct Trains {
  std::vector<Numbers> trains;
  std::vector<int64_t> ids;  // empty: not said
  bool integer = false;      // of an integer class
};

// Whether a described value is a cell array of vectors.
bool IsTrains(const MatValue& value);

// Likewise, as they are in the file.
std::vector<int64_t> WholeNumbers(const MatValue& value);
// Says which numbers of `value`, or of its cells, a double has not room for.
void SayRounded(const std::string& name, const MatValue& value, Notes& notes);

// `name` is the variable's in errors and notes.
absl::StatusOr<Trains> TrainsFromCell(const std::string& name, MatValue value);
// `times` is a vector; spikes whose cluster is no whole number are dropped, with a note.
absl::StatusOr<Trains> TrainsFromClusters(const std::string& name, const MatValue& times,
                                          const MatValue& clusters, Notes& notes);
// A unit in each row or column, with NaN behind the spikes; `ids`: of how many units there are ids,
// 0 where that is not known.
absl::StatusOr<Trains> TrainsFromMatrix(const std::string& name, const MatValue& matrix,
                                        const ImportOptions& options, size_t ids, Notes& notes);

// To seconds, by what the option time_unit says or the numbers leave no doubt about; sets the
// recording's sampling rate where they are samples.
absl::Status ToSeconds(const std::string& name, const ImportOptions& options, Trains& trains,
                       Recording& out);

// The numbers as integers; empty where one is not whole.
std::vector<int64_t> WholeNumbers(const Numbers& numbers);

}  // namespace saed::recordings
