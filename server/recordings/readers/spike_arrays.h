// Spike times and the units they belong to, as two arrays.
#pragma once

#include "absl/status/statusor.h"
#include "server/recordings/readers/file_set.h"
#include "server/recordings/readers/reader.h"
#include "server/recordings/recording.h"

namespace saed::recordings {

// Whether spike_times.npy and spike_clusters.npy are there.
bool HasSpikeArrays(const FileSet& files);

// Reads both: units by ascending id. Times of integers are samples at the rate that `options` or
// params.py gives, others seconds.
absl::StatusOr<Recording> ReadSpikeArrays(const ImportOptions& options, const FileSet& files);

}  // namespace saed::recordings
