// Files that break the libraries which the readers read through, libhdf5 and libmatio, end the
// reading process and with it the import; that is what the process is for. Under fuzzing they end
// the program with an exit code of its own, after which run.sh goes on; so does a library that
// takes more memory than the reading process has. What such a library does to memory that was
// allocated elsewhere is a finding as any other.
#pragma once

#include <csignal>

namespace saed::fuzz {

inline constexpr int kLibraryBroke = 98;

void EndQuietlyInLibraries();

// Of the inputs so far; a target counts.
inline volatile std::sig_atomic_t inputs = 0;

}  // namespace saed::fuzz
