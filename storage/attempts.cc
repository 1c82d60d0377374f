// What an attempt at a job writes, and how attempts begin and end.
#include <fmt/format.h>

#include "absl/strings/cord.h"
#include "server/base/text.h"
#include "storage/attempt.h"
#include "storage/job_rows.h"
#include "storage/jobs_table.h"

namespace saed::storage {
namespace {

constexpr const char* kGivenUp = "saed.storage/attempt-given-up";

absl::Status GivenUp(const Attempt& attempt) {
  absl::Status status = absl::FailedPreconditionError(
      fmt::format("attempt {} at jobs/{} is over", attempt.number, attempt.job));
  status.SetPayload(kGivenUp, absl::Cord());
  return status;
}

// The job of an attempt that is not over.
absl::StatusOr<JobRow> Fenced(SQLite::Database& db, const Attempt& attempt) {
  auto job = FindJob(db, attempt.job);
  if (!job.ok() || job->state != "RUNNING" || job->attempt != attempt.number) {
    return GivenUp(attempt);
  }
  return job;
}

void Cancel(SQLite::Database& db, const std::string& id, double run_seconds, int64_t now) {
  SQLite::Statement s(db,
                      "UPDATE jobs SET state = 'CANCELLED', error_code = 0, error_message = '', "
                      "finished_at = ?, checkpoint = NULL, run_seconds = run_seconds + ? WHERE id "
                      "= ?");
  SQLite::bind(s, now, run_seconds, id);
  s.exec();
}

}  // namespace

namespace {

absl::Status NoRetry(const JobRow& job, const std::string& why) {
  return absl::FailedPreconditionError(fmt::format("jobs/{} {}", job.id, why));
}

// Why an ended job cannot begin anew; OK where it can.
absl::Status MayBeginAnew(SQLite::Database& db, const JobRow& job) {
  if (job.state == "SUCCEEDED") return NoRetry(job, "SUCCEEDED; submit it again to train anew");
  if (!job.sweep_id.empty()) {
    return NoRetry(job, fmt::format("is a trial that ended, of sweeps/{}, which has decided "
                                    "without it; submit its settings as a job of their own",
                                    job.sweep_id));
  }
  if (job.time_limit > 0 && job.run_seconds >= job.time_limit) {
    constexpr double kFewSeconds = 10;  // of which parts matter
    return NoRetry(job, fmt::format("ran for {:.{}f} s and its time limit is {} s; submit it again "
                                    "with a longer one",
                                    job.run_seconds, job.run_seconds < kFewSeconds ? 2 : 0,
                                    NumberText(job.time_limit)));
  }
  for (const std::string& id : job.dependencies) {
    const auto other = FindJob(db, id);
    if (absl::IsNotFound(other.status())) {
      return NoRetry(job, "depends on a job that was deleted; submit it again without that");
    }
    if (!other.ok()) return other.status();
    if (other->state == "FAILED" || other->state == "CANCELLED") {
      return NoRetry(job, fmt::format("depends on a job that is {}; retry that first, or submit "
                                      "this one again without it",
                                      other->state));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<JobRow> JobsTable::Retry(const std::string& id, int64_t now,
                                        int64_t most_unfinished) {
  return db_.Write([&](SQLite::Database& db) -> absl::StatusOr<JobRow> {
    const auto job = FindJob(db, id);
    if (!job.ok()) return job.status();
    if (!job->finished()) {
      if (job->cancel_requested) return NoRetry(*job, "is being cancelled; retry it once it ended");
      if (job->state == "RUNNING") return NoRetry(*job, "is RUNNING; there is nothing to retry");
      if (job->held()) return NoRetry(*job, "is paused; resume it first");
      if (job->not_before <= now) {
        return NoRetry(*job, "waits for its turn in the queue, not for another attempt");
      }
    } else {
      if (auto may = MayBeginAnew(db, *job); !may.ok()) return may;
      if (auto place = HasPlace(db, job->owner, most_unfinished); !place.ok()) return place;
      SQLite::Statement anew(
          db,
          "UPDATE jobs SET state = 'QUEUED', cancel_requested = 0, finished_at = NULL, paused = "
          "'', deaths = 0, checkpoint_step = 0, run_seconds = 0, error_code = 0 WHERE id = ?");
      anew.bind(1, id);
      anew.exec();
    }
    SQLite::Statement s(db,
                        "UPDATE jobs SET queued_at = ?, not_before = 0, failures = 0, "
                        "error_message = '' WHERE id = ?");
    SQLite::bind(s, now, id);
    s.exec();
    return FindJob(db, id);
  });
}

bool IsGivenUp(const absl::Status& status) { return status.GetPayload(kGivenUp).has_value(); }

absl::Status Fence(SQLite::Database& db, const Attempt& attempt) {
  SQLite::Statement s(db, "SELECT 1 FROM jobs WHERE id = ? AND attempt = ? AND state = 'RUNNING'");
  SQLite::bind(s, attempt.job, attempt.number);
  return s.executeStep() ? absl::OkStatus() : GivenUp(attempt);
}

absl::Status FenceResult(SQLite::Database& db, const Attempt& attempt) {
  const auto job = Fenced(db, attempt);
  if (!job.ok()) return job.status();
  if (!job->cancel_requested) return absl::OkStatus();
  return absl::CancelledError(fmt::format("jobs/{} is to be cancelled", attempt.job));
}

absl::StatusOr<std::optional<JobRow>> JobsTable::Start(const std::string& id, int64_t now) {
  return db_.Write([&](SQLite::Database& db) -> absl::StatusOr<std::optional<JobRow>> {
    SQLite::Statement s(
        db,
        "UPDATE jobs SET state = 'RUNNING', attempt = attempt + 1, started_at = "
        "coalesce(started_at, ?) WHERE id = ? AND state = 'QUEUED' AND paused = ''");
    SQLite::bind(s, now, id);
    if (s.exec() == 0) return std::nullopt;
    return FindJob(db, id);
  });
}

absl::StatusOr<std::vector<AttemptEnd>> JobsTable::Recover(int64_t now) {
  return db_.Write([&](SQLite::Database& db) -> absl::StatusOr<std::vector<AttemptEnd>> {
    std::vector<AttemptEnd> out;
    SQLite::Statement running(
        db,
        "SELECT id, kind, coalesce(checkpoint, ''), cancel_requested, deaths + 1 FROM jobs "
        "WHERE state = 'RUNNING' ORDER BY number");
    while (running.executeStep()) {
      AttemptEnd end{running.getColumn(0).getString(), running.getColumn(1).getString(), "QUEUED",
                     running.getColumn(2).getString()};
      const int deaths = running.getColumn(4).getInt();
      if (running.getColumn(3).getInt() != 0) {
        end.state = "CANCELLED";
      } else if (deaths >= kMostDeaths) {
        end.state = "FAILED";
      }
      out.push_back(std::move(end));
    }
    for (AttemptEnd& end : out) {
      if (end.state == "CANCELLED") {
        Cancel(db, end.job, 0, now);
      } else if (end.state == "FAILED") {
        SQLite::Statement s(
            db,
            "UPDATE jobs SET state = 'FAILED', deaths = deaths + 1, error_code = "
            "?, error_message = ?, finished_at = ?, checkpoint = NULL WHERE id = ?");
        SQLite::bind(
            s, static_cast<int>(absl::StatusCode::kInternal),
            fmt::format("the server died {} times in a row while it ran, and it got no further "
                        "between; look in the server's log and the machine's for why (the memory "
                        "was not enough?), then queue it again",
                        kMostDeaths),
            now, end.job);
        s.exec();
      } else {
        SQLite::Statement s(db,
                            "UPDATE jobs SET state = 'QUEUED', deaths = deaths + 1 WHERE id = ?");
        SQLite::bind(s, end.job);
        s.exec();
        end.checkpoint.clear();
      }
    }
    return out;
  });
}

absl::StatusOr<std::vector<Attempt>> JobsTable::Running() {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<std::vector<Attempt>> {
    SQLite::Statement s(db, "SELECT id, attempt FROM jobs WHERE state = 'RUNNING'");
    std::vector<Attempt> out;
    while (s.executeStep()) out.push_back({s.getColumn(0).getString(), s.getColumn(1).getInt()});
    return out;
  });
}

absl::StatusOr<AttemptEnd> JobsTable::PutBack(const Attempt& attempt, const Requeue& why,
                                              int64_t now) {
  return db_.Write([&](SQLite::Database& db) -> absl::StatusOr<AttemptEnd> {
    const auto job = Fenced(db, attempt);
    if (!job.ok()) return job.status();
    if (job->cancel_requested) {
      Cancel(db, job->id, why.run_seconds, now);
      return AttemptEnd{job->id, job->kind, "CANCELLED", job->checkpoint};
    }
    SQLite::Statement s(
        db,
        "UPDATE jobs SET state = 'QUEUED', queued_at = ?, run_seconds = run_seconds + ?, failures "
        "= failures + ?, not_before = ?, error_message = ?, deaths = 0, paused = CASE WHEN ?6 = 0 "
        "THEN paused WHEN paused = '' THEN 'sweep' ELSE 'user+sweep' END WHERE id = ?7");
    SQLite::bind(s, now, why.run_seconds, static_cast<int>(why.failed), why.not_before,
                 why.error_message, static_cast<int>(why.awaits_sweep), job->id);
    s.exec();
    return AttemptEnd{job->id, job->kind, "QUEUED", ""};
  });
}

absl::StatusOr<AttemptEnd> JobsTable::Finish(const Attempt& attempt, std::string_view state,
                                             int error_code, std::string_view error_message,
                                             double run_seconds, int64_t now) {
  return db_.Write([&](SQLite::Database& db) -> absl::StatusOr<AttemptEnd> {
    const auto job = Fenced(db, attempt);
    if (!job.ok()) return job.status();
    if (job->cancel_requested || state == "CANCELLED") {
      Cancel(db, job->id, run_seconds, now);
      return AttemptEnd{job->id, job->kind, "CANCELLED", job->checkpoint};
    }
    SQLite::Statement s(db,
                        "UPDATE jobs SET state = ?, error_code = ?, error_message = ?, finished_at "
                        "= ?, checkpoint = NULL, run_seconds = run_seconds + ? WHERE id = ?");
    SQLite::bind(s, std::string(state), error_code, std::string(error_message), now, run_seconds,
                 job->id);
    s.exec();
    return AttemptEnd{job->id, job->kind, std::string(state), job->checkpoint};
  });
}

absl::StatusOr<std::string> JobsTable::SetCheckpoint(const Attempt& attempt,
                                                     const std::string& digest, int64_t step) {
  return db_.Write([&](SQLite::Database& db) -> absl::StatusOr<std::string> {
    const auto job = Fenced(db, attempt);
    if (!job.ok()) return job.status();
    SQLite::Statement s(db,
                        "UPDATE jobs SET checkpoint = ?1, deaths = CASE WHEN ?2 > checkpoint_step "
                        "THEN 0 ELSE deaths END, checkpoint_step = ?2 WHERE id = ?3");
    SQLite::bind(s, digest, step, attempt.job);
    s.exec();
    return job->checkpoint;
  });
}

absl::Status JobsTable::AppendProgress(const Attempt& attempt, const std::string& body) {
  return db_.Write([&](SQLite::Database& db) -> absl::Status {
    if (auto fence = Fence(db, attempt); !fence.ok()) return fence;
    SQLite::Statement s(db,
                        "INSERT INTO job_progress SELECT ?1, coalesce(max(sequence), 0) + 1, ?2 "
                        "FROM job_progress WHERE job_id = ?1");
    SQLite::bind(s, attempt.job, body);
    s.exec();
    return absl::OkStatus();
  });
}

}  // namespace saed::storage
