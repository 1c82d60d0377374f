// One attempt at one job, from start to end.
#pragma once

#include <atomic>
#include <string>

#include "absl/status/statusor.h"
#include "server/jobs/progress.h"
#include "server/jobs/stores.h"

namespace saed::jobs {

struct RunContext {
  const Stores& stores;
  const Clock& clock;
  Observer& observer;
  Bell& bell;                         // rung after every stored progress record
  const std::atomic<bool>& stop;      // return CANCELLED soon, with a checkpoint
  std::atomic<double>& seconds_left;  // set where it is known
  double checkpoint_seconds = 15;
  std::string code_version;
};

// Under which name it writes: what an attempt writes once it is over changes nothing.
inline storage::Attempt AttemptOf(const storage::JobRow& job) { return {job.id, job.attempt}; }

enum class Outcome {
  kDone,
  kPaused,  // a trial that waits for its sweep's decision
};

// Runs the job in a TBB arena with the job's threads; blocking work stays on the calling thread.
// What it makes (model, dictionary) is stored under the job's id, each in one transaction that does
// nothing where it is there already; so an attempt that was killed can simply be made again, and
// training goes on from the last checkpoint to the same bits.
absl::StatusOr<Outcome> RunJob(const RunContext& context, const storage::JobRow& job);

}  // namespace saed::jobs
