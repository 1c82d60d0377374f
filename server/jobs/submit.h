// From a spec to a queued job: everything is checked before anything is stored.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "server/jobs/spec.h"
#include "server/jobs/stores.h"
#include "server/recordings/view.h"

namespace saed::jobs {

// Reads a stored recording.
absl::StatusOr<recordings::Recording> LoadRecording(const Stores& stores, const std::string& id);

// The counts of the spec's paired population; empty where the target is the input itself. Faults
// are on fields of "target".
absl::StatusOr<std::optional<recordings::ViewData>> TargetOf(const Stores& stores,
                                                             const TrainSpec& spec,
                                                             const recordings::Recording& recording,
                                                             const recordings::ViewData& view);

// Every fault of the spec, also those that show only with the recording. Blocks on the disk.
absl::Status Check(const Stores& stores, const TrainSpec& spec, int max_threads);
absl::Status Check(const Stores& stores, const AnalyseSpec& spec, int max_threads);

// Checks and queues. With a request_id the same call again returns the same job.
absl::StatusOr<storage::JobRow> Submit(const Stores& stores, const Clock& clock,
                                       const TrainSpec& spec, const std::string& request_id,
                                       int max_threads);
absl::StatusOr<storage::JobRow> Submit(const Stores& stores, const Clock& clock,
                                       const AnalyseSpec& spec, const std::string& request_id,
                                       int max_threads);

}  // namespace saed::jobs
