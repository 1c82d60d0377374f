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
  // What the client left out of it, each a line for the warnings.
  std::vector<std::string> not_sent = {};
};

// Reads and checks. Errors are INVALID_ARGUMENT naming the file or the part in it. Blocks on the
// disk; HDF5 files are read one at a time (the HDF5 library is not thread-safe).
absl::StatusOr<Imported> Import(const ImportSpec& spec, const std::vector<ImportFile>& files);

// What every recording passes, however it came: whatever is wrong and can be mended without
// guessing is (clean.h), what is unlikely is said (plausible.h, silence.h), and `duration` is set.
// Where the reader knows when the recording ends it has set `duration` before, and what comes later
// is dropped; with `own_duration` it is the recording's to the bit, whatever tables say.
// INVALID_ARGUMENT where there is no unit, or too many.
absl::Status Finish(Recording& recording, Notes& notes, bool own_duration = false);

absl::StatusOr<std::string> ReadFile(const std::string& path);

}  // namespace saed::recordings
