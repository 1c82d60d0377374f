// What libmatio has to be kept from in a MATLAB file of version 5 to 7.2: cells and structs that
// lie deep in one another, or say they hold far more than there is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace saed::recordings {

// The deepest that libmatio, which calls itself for each level, gets to see.
inline constexpr size_t kMaxMatNesting = 64;

// Of the arrays that the cells and structs of a variable say they hold, so many may be missing. The
// library makes some 200 bytes for each before it looks for it.
inline constexpr uint64_t kMaxMatLacking = 100'000;

// Walks the tags of all variables, compressed ones too, in little memory. INVALID_ARGUMENT on
// `name` where something lies deeper or more is missing. Of damaged or truncated files only that is
// told: the library finds out the rest.
absl::Status CheckMatNesting(const std::string& name, const std::string& path);

}  // namespace saed::recordings
