// One attempt at a trial of a sweep: train to its rung, measure, wait for the sweep's decision.
#pragma once

#include <tbb/task_arena.h>

#include "absl/status/statusor.h"
#include "server/jobs/run_job.h"

namespace saed::jobs {

// Stores what the trial reached at its rung. kPaused before the last rung.
absl::StatusOr<Outcome> RunTrial(const RunContext& context, const storage::JobRow& job,
                                 tbb::task_arena& arena);

}  // namespace saed::jobs
