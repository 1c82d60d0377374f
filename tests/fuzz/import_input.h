// One input as what an import is given: lines "name=value", then files, each behind a line of its
// own, "---- NAME", and the last without a line end of its own:
//
//   sampling_rate=30000
//   folder=sorter_output
//   ---- spike_times.npy
//   (bytes)
//   ---- intervals:trials
//   (bytes)
//
// "strict", "sampling_rate" and "bin_width" are the import's, others options of the format. A name
// that begins with "intervals:", "series:" or "units:" has that role.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "server/recordings/import.h"

namespace saed::fuzz {

struct ImportInput {
  recordings::ImportSpec spec;  // of `format`; options that it does not have are left out
  std::vector<recordings::ImportFile> files;
};

// Writes the files, at most kMostFiles, below a folder that it uses again and again.
ImportInput WriteImport(std::string_view format, std::string_view input);

inline constexpr size_t kMostFiles = 100;

}  // namespace saed::fuzz
