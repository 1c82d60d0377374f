// From a table with times to rows with a start and a stop.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/recordings/readers/notes.h"
#include "server/recordings/recording.h"

namespace saed::recordings {

// Makes the interval table of a table with the numeric columns start_time and stop_time or
// duration, s; every reader ends here. The table gets both columns. Rows keep their order; those
// without a start, without a stop, or that stop before they start are dropped and noted. Only the
// last to start may have no stop: it gets an infinite one, which ResolveOpenEnds() ends. `lines`
// are the rows' in the file, for notes; none where it has no lines.
absl::StatusOr<IntervalTable> MakeIntervals(std::string_view name, Table table, Notes& notes,
                                            const std::vector<uint32_t>& lines = {});

// Ends intervals without a stop at `end`, the recording's, s, and leaves out tables that have no
// row; both are noted.
void ResolveOpenEnds(double end, Recording& recording, Notes& notes);

}  // namespace saed::recordings
