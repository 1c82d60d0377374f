// Runs sweeps: begins trials, promotes and stops them, and trains the best settings at the end.
// Everything it knows is in the store, so that a killed server goes on where it was.
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "server/jobs/scheduler.h"
#include "server/jobs/stores.h"
#include "server/jobs/sweep_spec.h"

namespace saed::jobs {

// Every fault of the sweep at once, also those of the settings at the ends of every parameter.
// Returns how many trials there will be. Blocks on the disk.
absl::StatusOr<int64_t> Check(const Stores& stores, SweepSpec& spec, const SubmitLimits& limits);

// A trial as people see it.
struct TrialReport {
  enum class State { kWaiting, kRunning, kPaused, kStopped, kDone, kFailed };
  int64_t number = 0;
  std::string settings;  // JSON
  State state = State::kWaiting;
  bool held = false;  // a person paused a job of it, and the sweep does not end before that goes on
  std::vector<double> values;  // the objective at every rung, mean over the seeds
  // Means over the seeds at the last rung reached; empty before the first.
  std::optional<TrialResult> result;
  double core_seconds = 0;
  std::string error;
  std::vector<std::string> job_ids;  // by seed
  // No other fully trained trial has a smaller L0 and a larger explained variance.
  bool pareto = false;
};

struct SweepReport {
  storage::SweepRow row;
  int64_t planned = 0;  // trials
  std::vector<TrialReport> trials;
  std::optional<int64_t> best;  // trial, so far: of the highest rung that one has reached
  double core_seconds = 0;
};

// Thread-safe.
class Sweeps {
 public:
  // The stores, clock and scheduler must outlive it.
  Sweeps(Stores stores, const Clock& clock, Scheduler& scheduler);
  ~Sweeps();  // Stop()
  void Start();
  void Stop();

  // Checks and begins. With a request_id the same call again returns the same sweep.
  absl::StatusOr<storage::SweepRow> Submit(SweepSpec spec, const std::string& request_id,
                                           const std::string& owner);
  // Its jobs end within about a second; what it has reached stays.
  absl::StatusOr<storage::SweepRow> Cancel(const std::string& id);
  absl::StatusOr<SweepReport> Report(const std::string& id) const;

 private:
  void Loop();
  absl::Status Advance(const storage::SweepRow& row);
  absl::Status SubmitTrial(const storage::SweepRow& row, const SweepSpec& spec, int64_t number,
                           const nlohmann::json& settings);
  absl::Status Conclude(const SweepReport& report, const SweepSpec& spec);

  Stores stores_;
  const Clock& clock_;
  Scheduler& scheduler_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread loop_;
};

}  // namespace saed::jobs
