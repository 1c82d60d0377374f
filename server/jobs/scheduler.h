// Takes jobs off the durable queue in order and runs each on a thread of its own.
#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "server/jobs/progress.h"
#include "server/jobs/run_job.h"
#include "server/jobs/stores.h"

namespace saed::jobs {

struct SchedulerOptions {
  int threads = 1;  // granted to all running jobs together
  double checkpoint_seconds = 15;
  std::string code_version;
};

// Thread-safe.
class Scheduler {
 public:
  // The stores, clock and observer must outlive it.
  Scheduler(Stores stores, const Clock& clock, Observer& observer, SchedulerOptions options);
  ~Scheduler();  // Stop()

  // Puts jobs that ran when the server last stopped back into the queue, then begins.
  absl::Status Start();
  // Running jobs write a checkpoint and go back to the queue; returns when none runs.
  void Stop();

  // A new job may be there.
  void Wake();
  absl::StatusOr<storage::JobRow> Cancel(const std::string& id);

  Bell& bell() { return bell_; }
  int threads() const { return options_.threads; }

 private:
  struct Running {
    std::atomic<bool> stop{false};
    int threads = 0;
    std::thread thread;
    bool done = false;
  };

  void Loop();
  void StartWhatFits();
  void Run(storage::JobRow job, Running& running);
  void Conclude(const storage::JobRow& job, const absl::Status& status, bool stopped);

  Stores stores_;
  const Clock& clock_;
  Observer& observer_;
  SchedulerOptions options_;
  Bell bell_;

  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false, work_ = false;
  int free_threads_ = 0;
  std::map<std::string, std::unique_ptr<Running>> running_;
  std::thread loop_;
};

}  // namespace saed::jobs
