// What MATLAB files say of units beside their spikes.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "server/recordings/readers/matlab_file.h"
#include "server/recordings/readers/notes.h"
#include "server/recordings/recording.h"

namespace saed::recordings {

// A vector of numbers (empty for NaN), of texts, or a cell of such, as one text each.
absl::StatusOr<Texts> MatTexts(const std::string& name, const MatValue& value, Notes& notes);

// Ids of the units: what the file says where that is whole and once each; else they are numbered
// from 0, with a note. Null, or not one for each: they stay as they are.
void SetMatUnitIds(const std::string& name, const MatValue* given, Recording& out, Notes& notes);

// One text for each unit; empty, with a note, where the sizes differ.
Texts MatUnitTexts(MatFile& file, const std::string& path, const Recording& out, Notes& notes);

}  // namespace saed::recordings
