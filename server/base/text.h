// Text that came from files.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace saed {

// The text with every byte that is not valid UTF-8 replaced by U+FFFD, and NULs dropped, so that it
// may travel in protocol messages.
std::string ValidUtf8(std::string_view bytes);

// Appends a code point as UTF-8; U+FFFD where it is past the last one.
void AppendUtf8(uint32_t c, std::string& out);

// Without leading and trailing white space.
std::string_view Trim(std::string_view text);

// The shortest decimal text that reads back as the same double; integers without a point.
std::string NumberText(double value);

}  // namespace saed
