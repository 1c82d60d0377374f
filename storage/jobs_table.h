// The durable queue. Every change of a job's state is one transaction that checks the state it
// leaves.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/access.h"
#include "storage/attempt.h"
#include "storage/database.h"
#include "storage/job_query.h"

namespace saed::storage {

struct JobRow {
  std::string id;
  int64_t number = 0;
  std::string request_id;  // as request_keys.h says; empty: none
  // Of what was asked for, before the server completed it; see WasAskedFor in request_keys.h.
  std::string request_digest;
  std::string kind;   // "train", "analyse" or "trial"
  std::string state;  // QUEUED, RUNNING, SUCCEEDED, FAILED, CANCELLED
  std::string recording_id, name;
  std::string spec;  // JSON
  int threads = 1;
  int64_t created_at = 0;  // µs since 1970
  std::optional<int64_t> started_at, finished_at;
  int attempt = 0;
  bool cancel_requested = false;
  int error_code = 0;  // canonical code
  std::string error_message;
  std::string checkpoint;  // object digest; empty: none
  int64_t checkpoint_step = 0;
  std::string owner;      // user; empty on a server without users
  int priority = 0;       // -1 low, 0 normal, 1 high, 2 urgent
  int64_t memory = 0;     // bytes it is thought to need
  int64_t queued_at = 0;  // µs since 1970; began to wait
  std::string paused;     // empty, or by what: "user", "sweep", "user+sweep"; it starts no more
  std::vector<std::string> dependencies;  // ids of jobs that must succeed before
  int64_t not_before = 0;                 // µs since 1970
  int failures = 0;                       // that may pass, so far
  double time_limit = 0;                  // s of running; 0: none
  double run_seconds = 0;                 // of the attempts before this one
  std::string sweep_id;                   // empty: of no sweep
  int64_t trial = 0;                      // of its sweep
  int rung = 0;                           // where a trial stops next

  bool finished() const { return state != "QUEUED" && state != "RUNNING"; }
  // A person paused it, and it does not run before one resumes it, whatever else happens to it.
  bool held() const { return paused.starts_with("user"); }
  // A trial that reached a rung and waits for its sweep's decision.
  bool awaits_sweep() const { return paused.ends_with("sweep"); }
  // As people see it: PAUSED is a QUEUED job that waits for a person or a sweep.
  std::string shown_state() const {
    return state == "QUEUED" && !paused.empty() ? "PAUSED" : state;
  }
};

// What a user has computed, at a time.
struct UsageRow {
  std::string user;
  double core_seconds = 0;
  int64_t at = 0;  // µs since 1970
};

// Why a job goes back to the queue.
struct Requeue {
  double run_seconds = 0;  // of the attempt
  bool failed = false;     // of a fault that may pass
  int64_t not_before = 0;  // µs since 1970
  std::string error_message;
  bool awaits_sweep = false;  // beside a person's pause, which stays
};

// How an attempt ended.
struct AttemptEnd {
  std::string job, kind;
  std::string state;       // the job's, now
  std::string checkpoint;  // object that nothing names any more, which the caller removes; or empty
};

// A job during which the server died so often in a row, without a further checkpoint between, is
// given up: it may be what kills the server. More than a bad night of power cuts makes: whoever
// kills the server, all jobs that run beside it die with it.
inline constexpr int kMostDeaths = 20;

// Which jobs a caller asks for.
struct JobQuery {
  std::string state;  // as JobRow::shown_state; empty: all
  JobFilter filter = {};
  bool trials = true;  // those of sweeps, too
  Viewer viewer = {};
};

// What a watcher of jobs looks at.
struct LiveJobs {
  // QUEUED and RUNNING, and those that ended with a number above the one asked for; running ones
  // first, then in the order of their numbers, without their spec.
  std::vector<JobRow> rows;
  int64_t matching = 0;     // rows and those beyond the limit
  int64_t last_number = 0;  // of all jobs
};

struct QueueStatistics {
  struct Count {
    std::string state, kind;  // as shown
    int64_t jobs = 0;
  };
  std::vector<Count> counts;                // only what is not 0
  std::optional<int64_t> oldest_queued_at;  // µs since 1970
};

// Thread-safe.
class JobsTable {
 public:
  explicit JobsTable(Database& db) : db_(db) {}

  // Adds a QUEUED job, or returns the one with the same request_id. ALREADY_EXISTS where that one
  // asked for something else (SameRequest), RESOURCE_EXHAUSTED where the owner has
  // `most_unfinished` jobs that are QUEUED or RUNNING (0: not limited), FAILED_PRECONDITION where
  // the job's sweep has ended.
  absl::StatusOr<JobRow> Insert(const JobRow& row, int64_t most_unfinished = 0);
  // The job that a request made before; empty where it made none.
  absl::StatusOr<std::optional<JobRow>> OfRequest(const std::string& request_id);
  absl::StatusOr<JobRow> Get(const std::string& id);
  // Newest first, those with number < before.
  absl::StatusOr<std::vector<JobRow>> List(const JobQuery& query, int limit, int64_t before);
  // Trials of sweeps that a query without trials leaves out.
  absl::StatusOr<int64_t> TrialsLeftOut(const JobQuery& query);
  absl::StatusOr<LiveJobs> Live(const JobQuery& query, int limit, int64_t ended_above);
  // The job, where there is one that the viewer may see.
  absl::StatusOr<std::optional<JobRow>> Seen(const std::string& id, const Viewer& viewer);
  // QUEUED jobs, paused ones too, oldest first, without their spec.
  absl::StatusOr<std::vector<JobRow>> Queue();

  // Begins an attempt: QUEUED and not paused → RUNNING. The row of the attempt; empty where the job
  // has left QUEUED, or was paused, meanwhile.
  absl::StatusOr<std::optional<JobRow>> Start(const std::string& id, int64_t now);
  // At start-up, when nothing runs yet: what is RUNNING died with the server. It is QUEUED again,
  // CANCELLED where that was asked for, and FAILED after kMostDeaths.
  absl::StatusOr<std::vector<AttemptEnd>> Recover(int64_t now);
  // All that are RUNNING.
  absl::StatusOr<std::vector<Attempt>> Running();

  // What follows is fenced (attempt.h). A cancel that was asked for wins over all else: the job is
  // CANCELLED then, whatever the attempt came to.
  //
  // RUNNING → QUEUED; the job keeps its checkpoint.
  absl::StatusOr<AttemptEnd> PutBack(const Attempt& attempt, const Requeue& why, int64_t now);
  // RUNNING → SUCCEEDED, FAILED or CANCELLED; adds the attempt's seconds of running.
  absl::StatusOr<AttemptEnd> Finish(const Attempt& attempt, std::string_view state, int error_code,
                                    std::string_view error_message, double run_seconds,
                                    int64_t now);
  // Replaces the checkpoint; returns the digest it replaced.
  absl::StatusOr<std::string> SetCheckpoint(const Attempt& attempt, const std::string& digest,
                                            int64_t step);
  // Appends a progress record; its sequence is one more than the last one's.
  absl::Status AppendProgress(const Attempt& attempt, const std::string& body);

  // What people ask for. FAILED_PRECONDITION for a finished job, one that is to be cancelled, and
  // one that a person paused already, or did not. Each returns the row as it is then.
  absl::StatusOr<JobRow> Pause(const std::string& id, int64_t now);
  absl::StatusOr<JobRow> Resume(const std::string& id, int64_t now);
  // A job that waits for its next attempt waits no more. A FAILED or CANCELLED one → QUEUED: it
  // begins anew, with its attempts counted on and its failures and seconds of running from 0.
  // FAILED_PRECONDITION for any other, for trials that ended, after the time limit, and where a
  // dependency cannot succeed; RESOURCE_EXHAUSTED as of Insert.
  absl::StatusOr<JobRow> Retry(const std::string& id, int64_t now, int64_t most_unfinished = 0);
  // QUEUED → FAILED, for a job that can never start.
  absl::Status FailQueued(const std::string& id, int error_code, std::string_view error_message,
                          int64_t now);
  // A QUEUED job becomes CANCELLED at once; a RUNNING one is asked to stop; a finished one is
  // FAILED_PRECONDITION. Returns the row as it is then, but with the checkpoint it had: that of a
  // QUEUED job is dropped, and the caller removes its object.
  absl::StatusOr<JobRow> RequestCancel(const std::string& id, int64_t now);

  absl::Status SetName(const std::string& id, const std::string& display_name);

  absl::StatusOr<std::vector<std::string>> Checkpoints();

  struct Progress {
    int64_t sequence;
    std::string body;
  };
  // Sequence of the latest; 0: there is none.
  absl::StatusOr<int64_t> LastProgress(const std::string& id);
  // The latest record; empty where there is none.
  absl::StatusOr<std::optional<Progress>> LatestProgress(const std::string& id);
  absl::StatusOr<std::vector<Progress>> ReadProgress(const std::string& id, int64_t after,
                                                     int limit);

  // Leaves about `keep` progress records, evenly spread, of every job that ended before `before`.
  // Returns how many it removed.
  absl::StatusOr<int64_t> ThinProgress(int64_t before, int keep);

  // Jobs of a sweep, by trial, without their spec.
  absl::StatusOr<std::vector<JobRow>> OfSweep(const std::string& sweep_id);
  // A trial that waits for its sweep goes on to a later rung, once no person holds it.
  absl::Status Promote(const std::string& id, int rung, int64_t now);

  absl::StatusOr<QueueStatistics> Statistics(const Viewer& viewer = {});
  // Mean core-seconds of the last 50 jobs that succeeded; empty where there are none.
  absl::StatusOr<std::optional<double>> TypicalCoreSeconds();
  absl::StatusOr<std::vector<UsageRow>> Usage();
  absl::Status SaveUsage(const std::vector<UsageRow>& rows);
  // Finished jobs only, with what they made: FAILED_PRECONDITION otherwise or where a model of the
  // job is still there.
  absl::Status Delete(const std::string& id);

 private:
  Database& db_;
};

}  // namespace saed::storage
