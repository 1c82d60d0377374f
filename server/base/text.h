// Text that came from files.
#pragma once

#include <string>
#include <string_view>

namespace saed {

// The text with every byte that is not valid UTF-8 replaced by U+FFFD, and NULs dropped, so that it
// may travel in protocol messages.
std::string ValidUtf8(std::string_view bytes);

// Without leading and trailing white space.
std::string_view Trim(std::string_view text);

// The shortest decimal text that reads back as the same double; integers without a point.
std::string NumberText(double value);

}  // namespace saed
