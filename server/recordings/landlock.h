// Landlock: the kernel lets this process open the files named here and no others.
#pragma once

#include <vector>

#include "absl/status/status.h"

namespace saed::recordings {

// What the kernel knows of it: 0 where it has none.
int LandlockVersion();

// From now on: of the file system only these files, and what lies in these folders, for reading,
// and what is `writable` for writing too: a file as it is, in a folder the files and, where they
// may be made, folders; with version 4 no TCP, with 6 no signal or abstract socket to another
// process. All are descriptors. Wants no-new-privileges to be set.
absl::Status RestrictFiles(const std::vector<int>& readable, const std::vector<int>& writable,
                           bool make_folders = false);

}  // namespace saed::recordings
