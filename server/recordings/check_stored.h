// The look over a stored recording that somebody else wrote.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "server/recordings/recording.h"

namespace saed::recordings {

struct Stored {
  std::string digest;  // SHA-256
  int64_t bytes = 0;
};

// Reads the file from its start to its end, once. INTERNAL where the trains of `recording`, which
// was parsed from it, that stay in the file are not ascending within its duration. (Those in memory
// are Validate()'s.)
absl::StatusOr<Stored> CheckStored(const std::string& path, const Recording& recording);

}  // namespace saed::recordings
