// The characters of a text file, whatever program wrote it.
#pragma once

#include <string>
#include <string_view>

#include "server/recordings/readers/notes.h"

namespace saed::recordings {

// The text as UTF-8 with lines that end in '\n', without a byte order mark. UTF-8 and UTF-16 of
// either byte order are known by their mark or their looks; bytes that are not UTF-8 are those of
// Windows-1252, the Latin-1 of spreadsheets, which is noted. NULs are left out with a note. `name`
// names the file in notes.
std::string DecodeText(std::string_view name, std::string_view bytes, Notes& notes);

}  // namespace saed::recordings
