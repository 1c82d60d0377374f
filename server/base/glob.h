// Patterns of file names.
#pragma once

#include <string_view>

namespace saed {

// Whether a name matches a pattern in which '*' stands for any run of characters but '/', and '**'
// for any run at all.
bool MatchesGlob(std::string_view name, std::string_view pattern);

}  // namespace saed
