// Columns of units that came in a table of their own.
#pragma once

#include <string_view>

#include "absl/status/status.h"
#include "server/recordings/readers/notes.h"
#include "server/recordings/recording.h"

namespace saed::recordings {

// Adds the columns of a text table (csv.h) to the units of its first column's ids (`id`, `unit_id`,
// `cluster_id` or whatever it is called). Columns called label, region and depth set those of the
// units; the others join `unit_columns`. Units without a row keep what they had; rows without a
// unit are noted.
absl::Status AddUnitColumns(std::string_view name, std::string_view bytes, Recording& recording,
                            Notes& notes);

}  // namespace saed::recordings
