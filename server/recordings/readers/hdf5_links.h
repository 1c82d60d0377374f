// Ways through an HDF5 file that stay inside it.
#pragma once

#include <hdf5.h>

#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace saed::recordings {

// The path ("/units/id") that leads to the same object over hard links alone; nothing where there
// is no such link or a soft one leads nowhere. Only such paths may be handed to the library, which
// would itself follow links to other files. INVALID_ARGUMENT on `path` where a link on the way
// leads to another file, or round in a circle.
absl::StatusOr<std::optional<std::string>> ResolveLinks(hid_t file, const std::string& path);

// INVALID_ARGUMENT on `path` where the values of an open data set lie in other files.
absl::Status CheckStoredInside(hid_t dataset, const std::string& path);

// Access lists that make the library fail at an external link rather than follow it, should one be
// met in spite of the checks, or look for storage where there is none.
hid_t LinkAccess();
hid_t DatasetAccess(size_t cache_bytes);

// The path of each object by its address, which is what an object reference holds; without leading
// slash.
std::map<haddr_t, std::string> PathsByAddress(hid_t file);

}  // namespace saed::recordings
