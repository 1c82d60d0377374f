// Runs the jobs of the durable queue, each on a thread of its own, in the order of the policy.
#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "server/jobs/policy.h"
#include "server/jobs/progress.h"
#include "server/jobs/run_job.h"
#include "server/jobs/stores.h"
#include "server/jobs/submit.h"

namespace saed::jobs {

struct SchedulerOptions {
  PolicyOptions policy;     // how many threads and how much memory all running jobs have, and how
                            // they are shared
  int default_threads = 0;  // of a job that leaves it to the server; 0: a quarter, at least 4
  int user_unfinished = 0;  // jobs of one user, queued and running; 0: not limited
  double checkpoint_seconds = 15;
  std::string code_version;
};

// Why a job waits and for how long still.
struct WaitReport {
  std::string reason;
  // µs since 1970; empty where nobody can tell. From what running jobs say of themselves and what
  // the last jobs took.
  std::optional<int64_t> estimated_start;
};

// What one user has of the machine.
struct UserReport {
  std::string user;
  int running = 0, waiting = 0, threads = 0;
  double core_seconds = 0;  // decayed
  double share = 1;
};

// What one user may have of the machine. Empty: as much as everyone; 0: not limited.
struct UserTerms {
  double share = 1;  // their part against the others'
  std::optional<int64_t> threads, running_jobs, unfinished_jobs;
};

// Thread-safe.
class Scheduler {
 public:
  // The stores, clock and observer must outlive it.
  Scheduler(Stores stores, const Clock& clock, Observer& observer, SchedulerOptions options);
  ~Scheduler();  // Stop()

  // Puts jobs that ran when the server last died back into the queue (those that it died with again
  // and again it gives up), then begins.
  absl::Status Start();
  // Running jobs write a checkpoint and go back to the queue; returns when none runs.
  void Stop();

  // A new job may be there.
  void Wake();
  absl::StatusOr<storage::JobRow> Cancel(const std::string& id);
  // A running job writes a checkpoint and waits, with everything it has, until it is resumed.
  absl::StatusOr<storage::JobRow> Pause(const std::string& id);
  absl::StatusOr<storage::JobRow> Resume(const std::string& id);
  // What waits for its next attempt waits no more; what failed or was cancelled begins anew.
  absl::StatusOr<storage::JobRow> Retry(const std::string& id);

  // Empty for a job that does not wait.
  std::optional<WaitReport> Waiting(const storage::JobRow& job) const;
  std::vector<UserReport> Users() const;
  void SetTerms(const std::string& user, const UserTerms& terms);
  // What holds for a user: what was set, else that of everyone.
  UserTerms TermsOf(const std::string& user) const;
  // The user is no more, and what they run is the heir's.
  void Left(const std::string& user, const std::string& heir);

  Bell& bell() { return bell_; }
  int threads() const { return options_.policy.threads; }
  // For a job of this user.
  SubmitLimits LimitsFor(const std::string& user) const;

 private:
  enum class Stopping { kNo, kPause, kCancel, kServer, kTimeLimit };
  struct Running {
    storage::JobRow job;
    std::atomic<bool> stop{false};
    std::atomic<double> seconds_left{-1};  // below 0: unknown
    Stopping why = Stopping::kNo;
    double started = 0, charged = 0;  // monotonic s
    std::thread thread;
    bool done = false;
  };

  void Loop();
  void Reap();
  void Charge(double now);
  // Whose a running job is by now.
  const std::string& OwnerOf(const Running& running) const;
  // Fails those whose dependencies failed; the rest that could start now.
  std::vector<WaitingJob> Eligible(const std::vector<storage::JobRow>& queue);
  std::string DependencyFault(const storage::JobRow& job, std::string& waits_for);
  absl::Status StartWhatFits();
  void StartOne(const storage::JobRow& waiting);
  // What was said of why the job waits holds no more.
  void Reconsider(const std::string& id);
  // Puts back what is RUNNING in the store and not here: its start, or its thread's, went wrong.
  void PutBackStrays();
  void Ask(Running& running, Stopping why);
  void Run(Running& running);
  // Records how an attempt ended. FAILED_PRECONDITION, for which storage::IsGivenUp holds, where it
  // was over already.
  absl::Status Conclude(Running& running, const absl::StatusOr<Outcome>& outcome, double seconds);
  absl::Status Finish(const storage::JobRow& job, const char* state, const absl::Status& status,
                      double seconds);
  // The job leaves RUNNING for the queue; it may turn out to be cancelled.
  absl::Status PutBack(const storage::JobRow& job, const storage::Requeue& why);
  // Tells of what the store says became of an attempt, and removes what it left.
  void Tell(const storage::AttemptEnd& end);
  void SaveUsage();
  double Now() const { return clock_.MonotonicSeconds(); }

  Stores stores_;
  const Clock& clock_;
  Observer& observer_;
  SchedulerOptions options_;
  Bell bell_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false, work_ = false;
  Usage usage_;
  std::map<std::string, int64_t> most_unfinished_;  // of known users
  std::map<std::string, std::string> heirs_;        // of users who left
  std::map<std::string, std::unique_ptr<Running>> running_;
  // Of the last decision.
  struct Place {
    std::string reason;
    int64_t before = -1;  // jobs before it; below 0: it is not in line
  };
  std::map<std::string, Place> places_;
  std::map<std::string, int> waiting_of_;
  std::optional<double> typical_core_seconds_;
  double usage_saved_ = 0;
  std::thread loop_;
};

}  // namespace saed::jobs
