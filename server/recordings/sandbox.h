// What shuts in the process that reads files from outside. It gives up, once and for good, what it
// does not need: after that not even code that a file smuggled in reaches another file, another
// process, the network, or more memory and time than its files warrant.
//
//   landlock     opens the files of the import and those made for what it writes, nothing else
//   seccomp      makes only the system calls that reading takes
//   limits       memory, processor time, size of what it writes, open files; no core dump
//   user         a user of its own; it has none yet, and says so
//   environment  has no environment and no descriptor of the server's
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace saed::recordings {

// A part of the above and whether this machine has it.
struct Guard {
  std::string name;
  bool active = false;
  std::string detail;  // why not, or what it does
};

struct ReaderLimits {
  int64_t memory_bytes = 0;  // private memory; what is mapped from files comes on top
  int64_t mapped_bytes = 0;  // all addresses
  int64_t cpu_seconds = 0;
  int64_t written_bytes = 0;  // of each file it writes
  int64_t open_files = 0;
  int64_t disk_bytes = 0;  // of all files it writes, which who started it watches
};

// The sum, or what no disk holds where that is less: a sparse file may claim any size.
int64_t AddSizes(int64_t a, int64_t b);

// What an import of so many bytes in so many files may take.
ReaderLimits LimitsFor(int64_t bytes, size_t files);

// What a reader that writes into this folder may take of its disk at most: others need some too.
int64_t RoomOnDisk(int directory);

struct Confinement {
  struct File {
    int descriptor = -1;
    bool own = false;  // the server's, which may be given to the reader's user
  };
  std::vector<File> files;
  // Descriptors of what may be written: files, no more of which can be made or removed.
  std::vector<int> writable;
  ReaderLimits limits;
};

// How a confined process opens a descriptor it holds once more. It may not be able to walk to it.
std::string PathOf(int descriptor);

// The names above.
const std::vector<std::string>& GuardNames();

// Shuts in the calling process, which has one thread so far. `without` names guards that are left
// out, for tests and probes alone. A guard that this system does not have is not active; INTERNAL
// where one that it has could not be put up, after which the process had better end.
absl::StatusOr<std::vector<Guard>> Confine(const Confinement& confinement,
                                           const std::set<std::string>& without = {});

}  // namespace saed::recordings
