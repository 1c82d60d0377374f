// Reading files from outside in a process of their own. The HDF5 library was not written for
// hostile files: what breaks it breaks that process and not the server, and its memory goes with
// it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/recordings/import.h"

namespace saed::recordings {

// A recording, and the file in the directory that holds its stored form.
struct ImportedApart : Imported {
  std::string stored;
};

// As Import(), by running `program --read-recording directory`, which must end in ReadApart().
// `directory` is empty and the caller's; it is asked about every 50 ms whether to `stop`, which
// ends the process and gives CANCELLED. INVALID_ARGUMENT where the process died of the files,
// RESOURCE_EXHAUSTED where it was killed, as the system does when memory runs out. Thread-safe.
absl::StatusOr<ImportedApart> ImportApart(const std::string& program, const std::string& directory,
                                          const ImportSpec& spec,
                                          const std::vector<ImportFile>& files,
                                          const std::function<bool()>& stop);

// What that program does: reads what ImportApart() wrote into the directory, and leaves its answer
// there. Returns the exit status.
int ReadApart(const std::string& directory);

}  // namespace saed::recordings
