// What lies in a recording of the Open Ephys GUI's binary format, before anything is read of it.
#pragma once

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/recordings/readers/file_set.h"
#include "server/recordings/readers/notes.h"
#include "server/recordings/readers/npy_items.h"

namespace saed::recordings {

// The file that marks the folder of a recording.
inline constexpr char kOpenEphysStructure[] = "structure.oebin";

// A folder of spikes, lines or messages: as many items in each array.
struct OpenEphysPart {
  std::string folder;  // in the set
  std::string key;     // behind the recording's folder
  std::string stream;
  nlohmann::json info;  // its entry in structure.oebin
  double rate = 0;      // Hz; 0: not said
  int64_t size = 0;
  std::optional<NpyFile> samples, times, values, electrodes;
  bool synchronised = false;  // `times` are
};

// A recording: what its Record Node wrote between start and stop.
struct OpenEphysSegment {
  std::string folder;  // "Record Node 101/experiment1/recording1/"
  std::string sync;    // sync_messages.txt
  std::vector<OpenEphysPart> spikes, lines, messages;
  double start = std::numeric_limits<double>::infinity(), end = 0;  // s
};

// Opens what is in a recording's folder, which ends with a slash; parts that cannot be read are
// left out, with a note.
absl::StatusOr<OpenEphysSegment> OpenOpenEphys(const FileSet& files, const std::string& folder,
                                               Notes& notes);

// The sample at which a stream began, and its rate, Hz; -1 and 0 where that is not said.
struct Began {
  double sample = -1, rate = 0;
};
Began BeganOf(const OpenEphysSegment& segment, const std::string& stream);

// The name of an electrode, by its index in the part (from 1); the part's where it has none.
std::string ElectrodeName(const OpenEphysPart& part, int64_t electrode);

}  // namespace saed::recordings
