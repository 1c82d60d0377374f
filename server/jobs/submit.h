// From a spec to a queued job: everything is checked before anything is stored.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/jobs/spec.h"
#include "server/jobs/stores.h"
#include "server/recordings/view.h"

namespace saed::jobs {

// Reads a stored recording.
absl::StatusOr<recordings::Recording> LoadRecording(const Stores& stores, const std::string& id);

// The input of a training: its view on the bins in which a paired target was observed, too. Faults
// are on fields of the view; what is wrong with the target is TargetOf's to say.
absl::StatusOr<recordings::ViewData> InputOf(const Stores& stores, const TrainSpec& spec,
                                             const recordings::Recording& recording);

// The counts of the spec's paired population; empty where the target is the input itself. Faults
// are on fields of "target".
absl::StatusOr<std::optional<recordings::ViewData>> TargetOf(const Stores& stores,
                                                             const TrainSpec& spec,
                                                             const recordings::Recording& recording,
                                                             const recordings::ViewData& view);

// What one job, one user and all jobs together may have.
struct SubmitLimits {
  int threads = 1;              // of one job
  int default_threads = 1;      // where a job leaves the choice to the server
  int64_t memory = 0;           // bytes; 0: not limited
  int64_t user_unfinished = 0;  // jobs of one user, queued and running; 0: not limited
};

// How a job is to be queued.
struct QueueOptions {
  // With it the same call again returns the same job, as it is then (storage/request_keys.h).
  std::string request_id;
  std::string owner;
  int priority = 0;                       // see policy.h
  std::vector<std::string> dependencies;  // ids of jobs that must succeed before
  double time_limit = 0;                  // s of running; 0: none
};

// Every fault of the spec, also those that show only with the recording; returns the bytes of
// memory that the job is thought to need. Fills in what a training leaves to the server (choose.h,
// choose_split.h), and what is likely not meant.
// Blocks on the disk.
absl::StatusOr<int64_t> Check(const Stores& stores, TrainSpec& spec, const SubmitLimits& limits);
absl::StatusOr<int64_t> Check(const Stores& stores, const AnalyseSpec& spec,
                              const SubmitLimits& limits);

// Faults of the options; NOT_FOUND for dependencies that do not exist.
absl::Status Check(const Stores& stores, const QueueOptions& options);

// Checks and queues. What was asked for before, with the same request_id, is not checked again: the
// answer is its job. RESOURCE_EXHAUSTED where the owner has too many unfinished jobs,
// ALREADY_EXISTS where the request_id was used for something else.
absl::StatusOr<storage::JobRow> Submit(const Stores& stores, const Clock& clock,
                                       const TrainSpec& spec, const QueueOptions& options,
                                       const SubmitLimits& limits);
absl::StatusOr<storage::JobRow> Submit(const Stores& stores, const Clock& clock,
                                       const AnalyseSpec& spec, const QueueOptions& options,
                                       const SubmitLimits& limits);

struct TrialSpec;
// Queues one seed of a trial, which was checked with its sweep but for its settings.
absl::StatusOr<storage::JobRow> SubmitTrialJob(const Stores& stores, const Clock& clock,
                                               const TrialSpec& spec, const std::string& sweep_id,
                                               int64_t trial, const QueueOptions& options,
                                               const SubmitLimits& limits);

}  // namespace saed::jobs
