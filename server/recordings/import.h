// From files to a Recording.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/recordings/readers/reader.h"
#include "server/recordings/recording.h"

namespace saed::recordings {

enum class Role {
  kMain,       // what the format reads; `name` is the file's name, relative to the user's folder
  kIntervals,  // a text table of intervals called `name`
  kSeries,     // a text table of samples called `name`
  kUnits,      // a text table of columns by unit id
};

struct ImportFile {
  Role role = Role::kMain;
  std::string name;
  std::string path;  // where the bytes lie on this machine
  // A folder of the users that `path` begins with and must not lead out of, wherever its links go;
  // empty: a file of the server's own.
  std::string beneath = {};
};

struct ImportSpec {
  std::string format;  // a reader's name; empty: what the files are
  ImportOptions options = {};
  bool strict = false;  // refuse instead of leaving out or mending
  // What of the folder was passed over, as "NAME, why": links that lead out of what may be read.
  std::vector<std::string> left_out = {};
};

// Reads and checks. Errors are INVALID_ARGUMENT naming the file or the part in it. Blocks on the
// disk; HDF5 files are read one at a time (the HDF5 library is not thread-safe).
absl::StatusOr<Imported> Import(const ImportSpec& spec, const std::vector<ImportFile>& files);

// The checks that every recording passes, however it came: at least one unit, distinct ids, spike
// times finite, not negative and ascending, tables of one length. Sets `duration`.
absl::Status Finish(Recording& recording, Notes& notes);

absl::StatusOr<std::string> ReadFile(const std::string& path);

}  // namespace saed::recordings
