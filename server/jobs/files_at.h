// What lies at a path that a user names on the server's own disks.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/recordings/import.h"

namespace saed::jobs {

struct FilesFound {
  std::vector<recordings::ImportFile> files;  // each `beneath` the root
  int64_t bytes = 0;
  // What was passed over that could have held something, as "NAME, why".
  std::vector<std::string> left_out;
};

// At `path` below the folder `root`: the single file, or of a folder the files that the format
// reads, or that any does where none is named, with their names relative to the folder. Nothing
// outside the root is opened or told of: a link that leads out is passed over, and refused where a
// format would read it, as is what is neither a file nor a folder. INVALID_ARGUMENT on
// "header.server_path" where the path is not below the root or holds too much. Blocks on the disk.
absl::StatusOr<FilesFound> FilesAt(const std::string& root, const std::string& path,
                                   const std::string& format);

}  // namespace saed::jobs
