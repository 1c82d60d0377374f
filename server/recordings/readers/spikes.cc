// Plain arrays of spike times and units.
#include "server/base/status_macros.h"
#include "server/recordings/readers/registry.h"
#include "server/recordings/readers/spike_arrays.h"

namespace saed::recordings {
namespace {

Match RecogniseSpikes(const FileSet& files) {
  return HasSpikeArrays(files) ? Match::kMaybe : Match::kNo;
}

absl::StatusOr<Recording> ReadSpikes(const FileSet& files, const ImportOptions& options, Notes&) {
  SAED_ASSIGN_OR_RETURN(Recording out, ReadSpikeArrays(options, files));
  out.source = "spikes_npy";
  return out;
}

}  // namespace

const Reader& formats::spikes() {
  static const Reader reader = {"spikes",
                                "Arrays of spike times and units",
                                "spike_times.npy and spike_clusters.npy",
                                {"spike_times.npy", "spike_clusters.npy"},
                                {},
                                RecogniseSpikes,
                                ReadSpikes};
  return reader;
}

}  // namespace saed::recordings
