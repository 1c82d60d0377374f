// Columns of units that came in tables of their own.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "server/recordings/readers/notes.h"
#include "server/recordings/readers/text_table.h"
#include "server/recordings/recording.h"

namespace saed::recordings {

// Adds the columns of a text table (formats/tables.md) to the units whose ids are in its column
// `id`, `unit_id`, `cluster_id` or the like, else in its first one. Columns called label, region
// and depth, or as the field calls them, set those of the units; the others join `unit_columns`.
// Units without a row keep what they had; rows without a unit are noted, or with `silent` become
// units without spikes, which is said. INVALID_ARGUMENT where no column holds ids, or none of them
// is a unit's.
absl::Status AddUnitColumns(std::string_view name, std::string_view bytes, bool silent,
                            Recording& recording, Notes& notes);

// The place of the column that holds unit ids; -1 where there is none.
int64_t FindIdColumn(const Table& table);

enum class Merge { kFill, kReplace };

// Sets a column that has a value for each unit: the values that are not missing take the place of
// those that there are, or only of missing ones.
void MergeUnitColumn(Column column, Merge merge, Recording& recording);

// Merges the columns of a table but `id`, by the row of each unit or -1, as AddUnitColumns does.
// `labels`: whether a column can be the label of the units.
void MergeUnitTable(std::string_view name, const TextTable& table, int64_t id,
                    const std::vector<int64_t>& rows, bool labels, Merge merge,
                    Recording& recording, Notes& notes);

}  // namespace saed::recordings
