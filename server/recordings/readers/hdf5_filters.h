// The filters that an HDF5 data set went through, and how large its pieces are.
#pragma once

#include <hdf5.h>

#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace saed::recordings {

// INVALID_ARGUMENT on `path` where a filter is not one that saed knows, or is not installed (with
// the Debian package that has it), where the chunks are too large to be unpacked, or where the data
// set claims far more values than its bytes in the file can hold.
absl::Status CheckUnpackable(hid_t dataset, const std::string& path);

// Bytes of a chunk in memory; 0 where the data set is not chunked.
uint64_t ChunkBytes(hid_t dataset);

}  // namespace saed::recordings
