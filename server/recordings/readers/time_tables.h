// What text tables hold that are given beside the files of a format.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/recordings/readers/intervals.h"
#include "server/recordings/readers/notes.h"
#include "server/recordings/recording.h"

namespace saed::recordings {

// An interval table: start_time and stop_time in seconds (or onset, duration and their like: see
// formats/tables.md), any further columns.
absl::StatusOr<IntervalTable> ParseIntervalsCsv(std::string_view name, std::string_view bytes,
                                                Notes& notes);

// A series: `timestamps` (or `time`) in seconds, in the file's order, which Finish() checks; the
// other columns are its channels, with NaN for what is missing.
absl::StatusOr<Series> ParseSeriesCsv(std::string_view name, std::string_view bytes, Notes& notes);

}  // namespace saed::recordings
