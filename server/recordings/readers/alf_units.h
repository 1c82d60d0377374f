// What ALF folders hold of clusters.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "server/recordings/readers/alf_names.h"
#include "server/recordings/readers/file_set.h"
#include "server/recordings/readers/notes.h"
#include "server/recordings/recording.h"

namespace saed::recordings {

// A collection with spikes, and the units that it became.
struct AlfProbe {
  std::string collection;
  std::string name;             // "probe00", else the collection
  std::vector<int64_t> ids;     // of its clusters, ascending
  std::vector<int64_t> counts;  // of their spikes
  size_t first = 0;             // unit of ids[0]
};

// Columns from the objects `clusters` and `channels` of each probe, a missing cell where a probe
// has no such column; then label, region and depth.
void AddAlfColumns(const FileSet& files,
                   const std::map<std::string, std::map<std::string, AlfObject>>& objects,
                   const std::vector<AlfProbe>& probes, Recording& recording, Notes& notes);

}  // namespace saed::recordings
