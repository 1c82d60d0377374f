// Which columns of a text table are times.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/recordings/readers/notes.h"
#include "server/recordings/readers/text_table.h"

namespace saed::recordings {

// Gives the columns of starts and stops, whatever they are called, the names start_time and
// stop_time; a table with moments only gets a stop_time that is its start. Says what it took.
// INVALID_ARGUMENT where there is none, where several could be it, or where the name says another
// unit than seconds.
absl::Status NameIntervalTimes(std::string_view name, TextTable& table, Notes& notes);

// The place of the column of a series' times; errors as above.
absl::StatusOr<size_t> FindSampleTimes(std::string_view name, const TextTable& table);

}  // namespace saed::recordings
