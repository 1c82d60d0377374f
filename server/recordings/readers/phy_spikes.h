// Spike times and clusters of a Kilosort or Phy folder.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/recordings/readers/file_set.h"
#include "server/recordings/readers/notes.h"
#include "server/recordings/readers/reader.h"
#include "server/recordings/recording.h"

namespace saed::recordings {

// Reads `folder` ("" or "name/") in bounded memory: units by ascending cluster id. Times are
// samples or seconds (formats/phy.md); spikes before the start and those of no cluster are dropped
// and noted.
absl::StatusOr<Recording> ReadPhySpikes(const FileSet& files, const std::string& folder,
                                        const ImportOptions& options, Notes& notes);

// The file that has the clusters of the spikes: spike_templates.npy where nobody curated them.
std::string ClusterFile(const FileSet& files, const std::string& folder);

// From cluster ids, ascending, to their places. Copies are independent.
class ClusterPlaces {
 public:
  explicit ClusterPlaces(std::vector<int64_t> ids);
  explicit ClusterPlaces(const Recording& recording);

  // -1 for what is none of them.
  int64_t Of(double cluster) const {
    if (cluster >= 0 && cluster < static_cast<double>(places_.size())) {
      return places_[static_cast<size_t>(cluster)];
    }
    return OfLarge(cluster);
  }

 private:
  int64_t OfLarge(double cluster) const;

  std::vector<int64_t> ids_;
  std::vector<int32_t> places_;  // of the small ids, which come first
};

}  // namespace saed::recordings
