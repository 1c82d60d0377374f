// Comma- or tab-separated files with a header line (RFC 4180 quoting), and what they hold.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/recordings/readers/notes.h"
#include "server/recordings/recording.h"

namespace saed::recordings {

// All columns as text. `name` names the file in errors.
absl::StatusOr<Table> ParseSeparated(std::string_view name, std::string_view bytes, char separator);

// An interval table: columns start_time and stop_time in seconds (or duration instead of
// stop_time), any further columns. A column whose every cell is a number becomes numeric.
absl::StatusOr<IntervalTable> ParseIntervalsCsv(std::string_view name, std::string_view bytes,
                                                Notes& notes);

// A series: the first column `timestamps` (or `time`) in seconds, ascending; the others numbers.
absl::StatusOr<Series> ParseSeriesCsv(std::string_view name, std::string_view bytes, Notes& notes);

// Checks starts and stops and makes the table; every reader ends here. Rows keep their order.
absl::StatusOr<IntervalTable> MakeIntervals(std::string_view name, Table table, Notes& notes);

}  // namespace saed::recordings
