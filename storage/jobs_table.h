// The durable queue. Every change of a job's state is one transaction that checks the state it
// leaves.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/database.h"

namespace saed::storage {

struct JobRow {
  std::string id;
  int64_t number = 0;
  std::string request_id;      // empty: none
  std::string request_digest;  // of what was asked for
  std::string kind;            // "train" or "analyse"
  std::string state;           // QUEUED, RUNNING, SUCCEEDED, FAILED, CANCELLED
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

  bool finished() const { return state != "QUEUED" && state != "RUNNING"; }
};

struct QueueStatistics {
  struct Count {
    std::string state, kind;
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
  // asked for something else.
  absl::StatusOr<JobRow> Insert(const JobRow& row);
  absl::StatusOr<JobRow> Get(const std::string& id);
  // Newest first, those with number < before; state "" lists all.
  absl::StatusOr<std::vector<JobRow>> List(std::string_view state, int limit, int64_t before);
  // Oldest first: the queue in its order.
  absl::StatusOr<std::vector<JobRow>> Queue(int limit);

  // QUEUED → RUNNING; false where the job has left QUEUED meanwhile.
  absl::StatusOr<bool> Start(const std::string& id, int64_t now);
  // RUNNING → QUEUED for every job, at start-up: nothing runs yet. Returns how many.
  absl::StatusOr<int64_t> RequeueRunning();
  // RUNNING → SUCCEEDED, FAILED or CANCELLED; drops the checkpoint and returns its digest ("" where
  // none), whose object the caller removes.
  absl::StatusOr<std::string> Finish(const std::string& id, std::string_view state, int error_code,
                                     std::string_view error_message, int64_t now);
  // A QUEUED job becomes CANCELLED at once; a RUNNING one is asked to stop; a finished one is
  // FAILED_PRECONDITION. Returns the row as it is then.
  absl::StatusOr<JobRow> RequestCancel(const std::string& id, int64_t now);

  // Replaces the checkpoint; returns the digest it replaced.
  absl::StatusOr<std::string> SetCheckpoint(const std::string& id, const std::string& digest,
                                            int64_t step);
  absl::StatusOr<std::vector<std::string>> Checkpoints();

  // Appends a progress record; its sequence is one more than the last one's.
  absl::Status AppendProgress(const std::string& id, const std::string& body);
  struct Progress {
    int64_t sequence;
    std::string body;
  };
  absl::StatusOr<std::vector<Progress>> ReadProgress(const std::string& id, int64_t after,
                                                     int limit);

  absl::StatusOr<QueueStatistics> Statistics();
  // Finished jobs only, with what they made: FAILED_PRECONDITION otherwise or where a model of the
  // job is still there.
  absl::Status Delete(const std::string& id);

 private:
  Database& db_;
};

}  // namespace saed::storage
