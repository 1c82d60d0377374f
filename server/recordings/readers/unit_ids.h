// Ids of units as files have them.
#pragma once

#include <string_view>

#include "absl/status/status.h"
#include "server/recordings/readers/notes.h"
#include "server/recordings/recording.h"

namespace saed::recordings {

// Sets the ids of the units: the file's own where they are whole numbers, all different; otherwise
// 0..n-1, with the file's in the unit column `original_id` and a note on `part`. There must be one
// for each unit.
void SetUnitIds(std::string_view part, const Texts& ids, Recording& recording, Notes& notes);

// A whole number, also as pandas and MATLAB write one: "7", "7.0". False where it is none.
bool WholeId(std::string_view text, int64_t& id);

}  // namespace saed::recordings
