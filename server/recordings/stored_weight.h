// What a stored recording takes in memory once it is parsed, known before it is.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace saed::recordings {

struct StoredWeight {
  int64_t bytes = 0;  // of all that is not left in the file
  // Of these the counts or spikes, which are left there where they are large.
  int64_t last_bytes = 0;
  std::string largest;  // the part that takes most, as the user knows it: "series 'position'"
  int64_t largest_bytes = 0;
};

// Walks over the file, which is mapped, and keeps none of it. DATA_LOSS where it is not whole.
absl::StatusOr<StoredWeight> WeighStored(const std::string& path);

}  // namespace saed::recordings
