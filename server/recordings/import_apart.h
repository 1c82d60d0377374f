// Reading files from outside in a process of their own, which is shut in (sandbox.h). No library
// that parses such files was written for hostile ones: what breaks it breaks that process and not
// the server, its memory goes with it, and what takes it over finds nothing else.
#pragma once

#include <functional>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/recordings/check_stored.h"
#include "server/recordings/import.h"
#include "server/recordings/reader_places.h"

namespace saed::recordings {

// A recording, and the file in the directory that holds its stored form, with its SHA-256.
struct ImportedApart : Imported {
  std::string stored;
  Stored checked;
  std::shared_ptr<const void> memory;  // what was asked of Admission, for as long as this lives
};

// What an import may have of this machine.
struct Admission {
  ReaderPlaces* places = nullptr;  // null: as many readers at once as there are imports
  // What the server may keep in memory of a recording beside counts and spikes, which stay in files
  // where they are large.
  int64_t memory_bytes = std::numeric_limits<int64_t>::max();
  // Asked for so many bytes before they are taken; may refuse; may be empty.
  std::function<absl::StatusOr<std::shared_ptr<const void>>(int64_t bytes)> take = {};
};

// As Import(), by running `program --read-recording directory`, which must end in ReadApart().
// `directory` is empty and the caller's; it is asked about every 50 ms whether to `stop`, which
// ends the process and gives CANCELLED. INVALID_ARGUMENT where the process died of the files,
// RESOURCE_EXHAUSTED where it wanted more memory, time or disk than is given to files of their
// size, or no place to read came free. INVALID_ARGUMENT on the largest part of a recording that is
// more than may be admitted, which is seen before it is taken into memory. What it leaves is
// believed only after checks (import_wire.h, validate.h, check_stored.h). Thread-safe.
absl::StatusOr<ImportedApart> ImportApart(const std::string& program, const std::string& directory,
                                          const ImportSpec& spec,
                                          const std::vector<ImportFile>& files,
                                          const Admission& admission,
                                          const std::function<bool()>& stop);

// What that program does: opens the files of the question that ImportApart() wrote into the
// directory, shuts itself in, reads, and leaves its answer there. Returns the exit status.
// `without`: guards that are left out, by tests in whose process this runs.
int ReadApart(const std::string& directory, const std::set<std::string>& without = {});

}  // namespace saed::recordings
