// A part that was refused, but can be left out.
#pragma once

#include <string_view>

#include "absl/status/status.h"
#include "server/recordings/readers/notes.h"

namespace saed::recordings {

// Notes on `part` that it is left out, with the words of the refusal; nothing where it is OK.
void LeaveOut(std::string_view part, const absl::Status& refusal, Notes& notes);

}  // namespace saed::recordings
