// Sweeps, their trials, and what trials reached. The jobs of trials are in the jobs table.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/access.h"
#include "storage/attempt.h"
#include "storage/database.h"

namespace saed::storage {

struct SweepRow {
  std::string id;
  int64_t number = 0;
  std::string request_id;  // as it was given, or read as request_keys.h says; empty: none
  std::string request_digest;
  std::string owner, name, recording_id;
  std::string state;       // RUNNING, SUCCEEDED, FAILED, CANCELLED
  std::string spec;        // JSON
  int64_t created_at = 0;  // µs since 1970
  std::optional<int64_t> finished_at;
  std::string error_message;
  std::optional<int64_t> best_trial;
  std::string best_job;  // empty: none yet

  bool finished() const { return state != "RUNNING"; }
};

struct TrialRow {
  int64_t number = 0;
  std::string point;     // JSON
  std::string settings;  // JSON
};

struct TrialEvaluation {
  std::string job_id;
  int rung = 0;
  std::string body;  // JSON
};

// How a sweep ends.
struct SweepEnd {
  std::string state, error_message;
  std::optional<int64_t> best_trial;
  std::string best_job;
};

// Thread-safe.
class SweepsTable {
 public:
  explicit SweepsTable(Database& db) : db_(db) {}

  // Adds a RUNNING sweep, or returns the one with the same request_id. ALREADY_EXISTS where that
  // one asked for something else.
  absl::StatusOr<SweepRow> Insert(const SweepRow& row);
  // The sweep that a request of the owner began before; empty where it began none.
  absl::StatusOr<std::optional<SweepRow>> OfRequest(const std::string& request_id,
                                                    const std::string& owner);
  absl::StatusOr<SweepRow> Get(const std::string& id);
  // Newest first, those with number < before.
  absl::StatusOr<std::vector<SweepRow>> List(int limit, int64_t before, const Viewer& viewer = {});
  absl::StatusOr<std::vector<SweepRow>> Running();
  // RUNNING → what `end` says; false where it is not RUNNING any more.
  absl::StatusOr<bool> Finish(const std::string& id, const SweepEnd& end, int64_t now);
  // A finished sweep, with its trials and their jobs; FAILED_PRECONDITION for a running one.
  absl::Status Delete(const std::string& id);

  // Does nothing where the trial is there.
  absl::Status InsertTrial(const std::string& sweep_id, const TrialRow& trial);
  absl::StatusOr<std::vector<TrialRow>> Trials(const std::string& sweep_id);
  // What an attempt at a trial's job reached (fenced, see attempt.h).
  absl::Status Record(const TrialEvaluation& evaluation, const Attempt& attempt);
  // Of all jobs of the sweep, by job and rung.
  absl::StatusOr<std::vector<TrialEvaluation>> Evaluations(const std::string& sweep_id);

 private:
  Database& db_;
};

}  // namespace saed::storage
