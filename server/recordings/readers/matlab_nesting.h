// How deep cells and structs lie in one another in a MATLAB file of version 5 to 7.2.
#pragma once

#include <cstddef>
#include <string>

#include "absl/status/status.h"

namespace saed::recordings {

// The deepest that libmatio, which calls itself for each level, gets to see.
inline constexpr size_t kMaxMatNesting = 64;

// Walks the tags of all variables, compressed ones too, in little memory. INVALID_ARGUMENT on
// `name` where something lies deeper. Of damaged or truncated files only that is told: the library
// finds out the rest.
absl::Status CheckMatNesting(const std::string& name, const std::string& path);

}  // namespace saed::recordings
