// From files to a Recording.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/recordings/recording.h"

namespace saed::recordings {

enum class Format {
  kNwb,        // one NWB 2.x file
  kPhy,        // spike_times.npy, spike_clusters.npy, label tables, params.py
  kSpikesNpy,  // spike times and clusters as .npy
  kCountsNpy,  // one count matrix [bins, units] as .npy
};

enum class Role {
  kMain,       // what the format names; `name` is the file's name
  kIntervals,  // a CSV interval table called `name`
  kSeries,     // a CSV series called `name`
};

struct ImportFile {
  Role role = Role::kMain;
  std::string name;
  std::string path;  // where the bytes lie on this machine
};

struct ImportSpec {
  Format format = Format::kNwb;
  double sampling_rate = 0;  // Hz; for integer spike times without params.py
  double bin_width = 0;      // s; for count matrices
};

// Reads and checks. Errors are INVALID_ARGUMENT naming the file or the data set in it. Blocks on
// the disk; NWB files are read one at a time (the HDF5 library is not thread-safe).
absl::StatusOr<Imported> Import(const ImportSpec& spec, const std::vector<ImportFile>& files);

// Readers of the single formats; `Import` adds CSV tables and the checks that hold for all.
absl::StatusOr<Imported> ReadNwb(const std::string& path);
absl::StatusOr<Imported> ReadSpikeArrays(const ImportSpec& spec,
                                         const std::vector<ImportFile>& files);
absl::StatusOr<Imported> ReadCountArray(const ImportSpec& spec,
                                        const std::vector<ImportFile>& files);

// The checks that every recording passes, however it came: at least one unit, distinct ids, spike
// times finite, not negative and ascending, tables of one length. Sets `duration`.
absl::Status Finish(Recording& recording);

absl::StatusOr<std::string> ReadFile(const std::string& path);

}  // namespace saed::recordings
