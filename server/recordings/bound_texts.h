// Names and labels are told with every list of recordings and units: they are bounded.
#pragma once

#include "server/recordings/readers/notes.h"
#include "server/recordings/recording.h"

namespace saed::recordings {

inline constexpr size_t kLongestText = 200;            // bytes of a name, a label, a unit
inline constexpr size_t kMostNames = size_t{1} << 20;  // bytes of all names of tables and series

// The first bytes of a text, whole letters, at most so many.
std::string CutText(const std::string& text, size_t most);

// Cuts texts that are longer than kLongestText, and leaves out tables and series whose names, with
// those of their columns and channels, take more than kMostNames together. Both are said.
void BoundTexts(Recording& recording, Notes& notes);

}  // namespace saed::recordings
