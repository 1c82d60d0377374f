#include "storage/jobs_table.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "storage/job_rows.h"
#include "storage/request_keys.h"

namespace saed::storage {
namespace {

constexpr const char* kColumns =
    "id, number, request_id, request_digest, kind, state, recording_id, name, spec, threads, "
    "created_at, started_at, finished_at, attempt, cancel_requested, error_code, error_message, "
    "checkpoint, checkpoint_step, owner, priority, memory, queued_at, paused, dependencies, "
    "not_before, failures, time_limit, run_seconds, sweep_id, trial, rung";

std::optional<int64_t> Time(const SQLite::Column& c) {
  if (c.isNull()) return std::nullopt;
  return c.getInt64();
}

JobRow Row(SQLite::Statement& s) {
  JobRow r;
  r.id = s.getColumn(0).getString();
  r.number = s.getColumn(1).getInt64();
  r.request_id = s.getColumn(2).getString();
  r.request_digest = s.getColumn(3).getString();
  r.kind = s.getColumn(4).getString();
  r.state = s.getColumn(5).getString();
  r.recording_id = s.getColumn(6).getString();
  r.name = s.getColumn(7).getString();
  r.spec = s.getColumn(8).getString();
  r.threads = s.getColumn(9).getInt();
  r.created_at = s.getColumn(10).getInt64();
  r.started_at = Time(s.getColumn(11));
  r.finished_at = Time(s.getColumn(12));
  r.attempt = s.getColumn(13).getInt();
  r.cancel_requested = s.getColumn(14).getInt() != 0;
  r.error_code = s.getColumn(15).getInt();
  r.error_message = s.getColumn(16).getString();
  r.checkpoint = s.getColumn(17).getString();
  r.checkpoint_step = s.getColumn(18).getInt64();
  r.owner = s.getColumn(19).getString();
  r.priority = s.getColumn(20).getInt();
  r.memory = s.getColumn(21).getInt64();
  r.queued_at = s.getColumn(22).getInt64();
  r.paused = s.getColumn(23).getString();
  const auto dependencies = nlohmann::json::parse(s.getColumn(24).getString(), nullptr, false);
  if (dependencies.is_array()) {
    for (const auto& id : dependencies) {
      if (id.is_string()) r.dependencies.push_back(id.get<std::string>());
    }
  }
  r.not_before = s.getColumn(25).getInt64();
  r.failures = s.getColumn(26).getInt();
  r.time_limit = s.getColumn(27).getDouble();
  r.run_seconds = s.getColumn(28).getDouble();
  r.sweep_id = s.getColumn(29).getString();
  r.trial = s.getColumn(30).getInt64();
  r.rung = s.getColumn(31).getInt();
  return r;
}

}  // namespace

std::string JobColumns() { return kColumns; }

std::string ShortJobColumns() {
  std::string out = kColumns;
  return out.replace(out.find(" spec,"), 6, " '',");
}

std::vector<JobRow> AllJobs(SQLite::Statement& s) {
  std::vector<JobRow> out;
  while (s.executeStep()) out.push_back(Row(s));
  return out;
}

absl::StatusOr<JobRow> FindJob(SQLite::Database& db, const std::string& id) {
  SQLite::Statement s(db, fmt::format("SELECT {} FROM jobs WHERE id = ?", kColumns));
  s.bind(1, id);
  if (!s.executeStep()) {
    return absl::NotFoundError(
        fmt::format("there is no job 'jobs/{}'; list them with ListJobs", id));
  }
  return Row(s);
}

absl::Status HasPlace(SQLite::Database& db, const std::string& owner, int64_t most_unfinished) {
  if (most_unfinished <= 0) return absl::OkStatus();
  SQLite::Statement mine(
      db, "SELECT count(*) FROM jobs WHERE state IN ('QUEUED', 'RUNNING') AND owner = ?");
  mine.bind(1, owner);
  mine.executeStep();
  const int64_t unfinished = mine.getColumn(0).getInt64();
  if (unfinished < most_unfinished) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      fmt::format("{} jobs of yours are queued or running, as many as you may have; wait for one, "
                  "or cancel one",
                  unfinished));
}

absl::StatusOr<JobRow> JobsTable::Insert(const JobRow& row, int64_t most_unfinished) {
  return db_.Write([&](SQLite::Database& db) -> absl::StatusOr<JobRow> {
    if (!row.request_id.empty()) {
      SQLite::Statement find(db, fmt::format("SELECT {} FROM jobs WHERE request_id = ?", kColumns));
      find.bind(1, row.request_id);
      if (find.executeStep()) {
        JobRow known = Row(find);
        if (auto same = SameRequest(known, row); !same.ok()) return same;
        return known;
      }
    }
    SQLite::Statement there(db, "SELECT 1 FROM recordings WHERE id = ?");
    there.bind(1, row.recording_id);
    if (!there.executeStep()) {
      return absl::NotFoundError(
          fmt::format("there is no recording 'recordings/{}'; list them "
                      "with ListRecordings",
                      row.recording_id));
    }
    if (auto place = HasPlace(db, row.owner, most_unfinished); !place.ok()) return place;
    if (!row.sweep_id.empty()) {
      SQLite::Statement sweep(db, "SELECT 1 FROM sweeps WHERE id = ? AND state = 'RUNNING'");
      sweep.bind(1, row.sweep_id);
      if (!sweep.executeStep()) {
        return absl::FailedPreconditionError(
            fmt::format("sweeps/{} does not run, it begins no trials", row.sweep_id));
      }
    }
    SQLite::Statement s(db,
                        "INSERT INTO jobs (id, number, request_id, request_digest, kind, state, "
                        "recording_id, name, spec, threads, created_at, owner, priority, memory, "
                        "queued_at, dependencies, time_limit, sweep_id, trial, rung) VALUES (?, "
                        "(SELECT coalesce(max(number), 0) + 1 FROM jobs), ?, ?, ?, 'QUEUED', ?, ?, "
                        "?, ?, ?9, ?, ?, ?, ?9, ?, ?, ?, ?, ?)");
    s.bind(1, row.id);
    if (!row.request_id.empty()) s.bind(2, row.request_id);
    s.bind(3, row.request_digest);
    s.bind(4, row.kind);
    s.bind(5, row.recording_id);
    s.bind(6, row.name);
    s.bind(7, row.spec);
    s.bind(8, row.threads);
    s.bind(9, row.created_at);
    s.bind(10, row.owner);
    s.bind(11, row.priority);
    s.bind(12, row.memory);
    s.bind(13, nlohmann::json(row.dependencies).dump());
    s.bind(14, row.time_limit);
    if (!row.sweep_id.empty()) {
      s.bind(15, row.sweep_id);
      s.bind(16, row.trial);
    }
    s.bind(17, row.rung);
    s.exec();
    return FindJob(db, row.id);
  });
}

absl::StatusOr<std::optional<JobRow>> JobsTable::OfRequest(const std::string& request_id) {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<std::optional<JobRow>> {
    SQLite::Statement s(db, fmt::format("SELECT {} FROM jobs WHERE request_id = ?", kColumns));
    s.bind(1, request_id);
    if (!s.executeStep()) return std::nullopt;
    return Row(s);
  });
}

absl::StatusOr<JobRow> JobsTable::Get(const std::string& id) {
  return db_.Read([&](SQLite::Database& db) { return FindJob(db, id); });
}

absl::StatusOr<std::vector<JobRow>> JobsTable::Queue() {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<std::vector<JobRow>> {
    SQLite::Statement s(db,
                        fmt::format("SELECT {} FROM jobs WHERE state = 'QUEUED' ORDER BY number",
                                    ShortJobColumns()));
    return AllJobs(s);
  });
}

absl::StatusOr<JobRow> JobsTable::Pause(const std::string& id, int64_t now) {
  return db_.Write([&](SQLite::Database& db) -> absl::StatusOr<JobRow> {
    const auto job = FindJob(db, id);
    if (!job.ok()) return job.status();
    if (job->finished() || job->cancel_requested) {
      return absl::FailedPreconditionError(
          fmt::format("jobs/{} is {}; only QUEUED and RUNNING jobs can be paused", id,
                      job->finished() ? "already " + job->state : std::string("being cancelled")));
    }
    if (job->held()) {
      return absl::FailedPreconditionError(fmt::format("jobs/{} is paused already", id));
    }
    SQLite::Statement s(db, "UPDATE jobs SET paused = ?, queued_at = ? WHERE id = ?");
    SQLite::bind(s, job->awaits_sweep() ? "user+sweep" : "user", now, id);
    s.exec();
    return FindJob(db, id);
  });
}

absl::StatusOr<JobRow> JobsTable::Resume(const std::string& id, int64_t now) {
  return db_.Write([&](SQLite::Database& db) -> absl::StatusOr<JobRow> {
    const auto job = FindJob(db, id);
    if (!job.ok()) return job.status();
    if (job->finished()) {
      return absl::FailedPreconditionError(
          job->state == "SUCCEEDED"
              ? fmt::format("jobs/{} has SUCCEEDED; there is nothing left to do", id)
              : fmt::format("jobs/{} is {} and does not go on; RetryJob begins it anew", id,
                            job->state));
    }
    if (!job->held()) {
      return absl::FailedPreconditionError(
          job->awaits_sweep()
              ? fmt::format("jobs/{} is a trial that waits until sweeps/{} decides about it; "
                            "nobody paused it",
                            id, job->sweep_id)
              : fmt::format("jobs/{} is not paused", id));
    }
    SQLite::Statement s(db, "UPDATE jobs SET paused = ?, queued_at = ? WHERE id = ?");
    SQLite::bind(s, job->awaits_sweep() ? "sweep" : "", now, id);
    s.exec();
    return FindJob(db, id);
  });
}

absl::Status JobsTable::FailQueued(const std::string& id, int error_code,
                                   std::string_view error_message, int64_t now) {
  return db_.Write([&](SQLite::Database& db) -> absl::Status {
    SQLite::Statement s(db,
                        "UPDATE jobs SET state = 'FAILED', error_code = ?, error_message = ?, "
                        "finished_at = ?, checkpoint = NULL WHERE id = ? AND state = 'QUEUED'");
    SQLite::bind(s, error_code, std::string(error_message), now, id);
    s.exec();
    return absl::OkStatus();
  });
}

absl::StatusOr<JobRow> JobsTable::RequestCancel(const std::string& id, int64_t now) {
  return db_.Write([&](SQLite::Database& db) -> absl::StatusOr<JobRow> {
    auto job = FindJob(db, id);
    if (!job.ok()) return job.status();
    if (job->finished()) {
      return absl::FailedPreconditionError(fmt::format(
          "jobs/{} is already {}; only QUEUED and RUNNING jobs can be cancelled", id, job->state));
    }
    SQLite::Statement s(db,
                        "UPDATE jobs SET cancel_requested = 1, finished_at = CASE state WHEN "
                        "'QUEUED' THEN ?1 ELSE finished_at END, checkpoint = CASE state WHEN "
                        "'QUEUED' THEN NULL ELSE checkpoint END, state = CASE state WHEN 'QUEUED' "
                        "THEN 'CANCELLED' ELSE state END WHERE id = ?2");
    SQLite::bind(s, now, id);
    s.exec();
    auto after = FindJob(db, id);
    if (after.ok()) after->checkpoint = job->checkpoint;
    return after;
  });
}

absl::Status JobsTable::SetName(const std::string& id, const std::string& display_name) {
  return db_.Write([&](SQLite::Database& db) -> absl::Status {
    // The same request again still asks for the first name (request_keys.h).
    SQLite::Statement s(db,
                        "UPDATE jobs SET name = ?, request_digest = request_digest || CASE WHEN "
                        "instr(request_digest, char(10)) THEN '' ELSE char(10) || name END WHERE "
                        "id = ?");
    SQLite::bind(s, display_name, id);
    return s.exec() == 1 ? absl::OkStatus() : FindJob(db, id).status();
  });
}

absl::StatusOr<std::vector<std::string>> JobsTable::Checkpoints() {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<std::vector<std::string>> {
    SQLite::Statement s(db, "SELECT checkpoint FROM jobs WHERE checkpoint IS NOT NULL");
    std::vector<std::string> out;
    while (s.executeStep()) out.push_back(s.getColumn(0).getString());
    return out;
  });
}

absl::StatusOr<std::vector<JobsTable::Progress>> JobsTable::ReadProgress(const std::string& id,
                                                                         int64_t after, int limit) {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<std::vector<Progress>> {
    SQLite::Statement s(db,
                        "SELECT sequence, body FROM job_progress WHERE job_id = ? AND sequence > ? "
                        "ORDER BY sequence LIMIT ?");
    SQLite::bind(s, id, after, limit);
    std::vector<Progress> out;
    while (s.executeStep()) out.push_back({s.getColumn(0).getInt64(), s.getColumn(1).getString()});
    return out;
  });
}

absl::StatusOr<int64_t> JobsTable::LastProgress(const std::string& id) {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<int64_t> {
    SQLite::Statement s(db, "SELECT coalesce(max(sequence), 0) FROM job_progress WHERE job_id = ?");
    s.bind(1, id);
    s.executeStep();
    return s.getColumn(0).getInt64();
  });
}

absl::StatusOr<int64_t> JobsTable::ThinProgress(int64_t before, int keep) {
  return db_.Write([&](SQLite::Database& db) -> absl::StatusOr<int64_t> {
    SQLite::Statement find(
        db,
        "SELECT job_id, count(*), max(sequence) FROM job_progress WHERE job_id IN "
        "(SELECT id FROM jobs WHERE finished_at < ?) GROUP BY job_id HAVING "
        "count(*) > ?");
    SQLite::bind(find, before, keep + 1);
    int64_t removed = 0;
    while (find.executeStep()) {
      // Every so manieth in the order of their sequence, and the last one.
      SQLite::Statement thin(
          db,
          "DELETE FROM job_progress WHERE job_id = ?1 AND sequence != ?3 AND sequence IN "
          "(SELECT sequence FROM (SELECT sequence, row_number() OVER (ORDER BY sequence) - 1 AS n "
          "FROM job_progress WHERE job_id = ?1) WHERE n % ?2 != 0)");
      SQLite::bind(thin, find.getColumn(0).getString(),
                   (find.getColumn(1).getInt64() + keep - 1) / keep, find.getColumn(2).getInt64());
      removed += thin.exec();
    }
    return removed;
  });
}

absl::StatusOr<std::vector<JobRow>> JobsTable::OfSweep(const std::string& sweep_id) {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<std::vector<JobRow>> {
    SQLite::Statement s(db, fmt::format("SELECT {} FROM jobs WHERE sweep_id = ? ORDER BY trial, "
                                        "number",
                                        ShortJobColumns()));
    s.bind(1, sweep_id);
    return AllJobs(s);
  });
}

absl::Status JobsTable::Promote(const std::string& id, int rung, int64_t now) {
  return db_.Write([&](SQLite::Database& db) -> absl::Status {
    SQLite::Statement s(db,
                        "UPDATE jobs SET rung = ?, queued_at = ?, paused = CASE paused WHEN "
                        "'sweep' THEN '' ELSE 'user' END WHERE id = ? AND state = 'QUEUED' AND "
                        "paused IN ('sweep', 'user+sweep')");
    SQLite::bind(s, rung, now, id);
    if (s.exec() == 1) return absl::OkStatus();
    return absl::FailedPreconditionError(
        fmt::format("jobs/{} does not wait for its sweep any more", id));
  });
}

absl::StatusOr<QueueStatistics> JobsTable::Statistics(const Viewer& viewer) {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<QueueStatistics> {
    QueueStatistics out;
    SQLite::Statement s(
        db, fmt::format("SELECT CASE WHEN state = 'QUEUED' AND paused <> '' THEN 'PAUSED' ELSE "
                        "state END AS shown, kind, count(*) FROM jobs WHERE 1{} GROUP BY shown, "
                        "kind",
                        Visible(viewer, "jobs", "jobs.id")));
    while (s.executeStep()) {
      out.counts.push_back(
          {s.getColumn(0).getString(), s.getColumn(1).getString(), s.getColumn(2).getInt64()});
    }
    SQLite::Statement oldest(
        db, "SELECT min(queued_at) FROM jobs WHERE state = 'QUEUED' AND paused = ''");
    oldest.executeStep();
    out.oldest_queued_at = Time(oldest.getColumn(0));
    return out;
  });
}

absl::StatusOr<std::optional<double>> JobsTable::TypicalCoreSeconds() {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<std::optional<double>> {
    SQLite::Statement s(db,
                        "SELECT avg(c) FROM (SELECT run_seconds * threads AS c FROM jobs WHERE "
                        "state = 'SUCCEEDED' ORDER BY number DESC LIMIT 50)");
    s.executeStep();
    if (s.getColumn(0).isNull()) return std::nullopt;
    return s.getColumn(0).getDouble();
  });
}

absl::StatusOr<std::vector<UsageRow>> JobsTable::Usage() {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<std::vector<UsageRow>> {
    SQLite::Statement s(db, "SELECT user, core_seconds, at FROM usage");
    std::vector<UsageRow> out;
    while (s.executeStep()) {
      out.push_back(
          {s.getColumn(0).getString(), s.getColumn(1).getDouble(), s.getColumn(2).getInt64()});
    }
    return out;
  });
}

absl::Status JobsTable::SaveUsage(const std::vector<UsageRow>& rows) {
  return db_.Write([&](SQLite::Database& db) -> absl::Status {
    SQLite::Statement s(db,
                        "INSERT OR REPLACE INTO usage (user, core_seconds, at) VALUES (?, ?, ?)");
    for (const UsageRow& row : rows) {
      SQLite::bind(s, row.user, row.core_seconds, row.at);
      s.exec();
      s.reset();
    }
    return absl::OkStatus();
  });
}

absl::Status JobsTable::Delete(const std::string& id) {
  return db_.Write([&](SQLite::Database& db) -> absl::Status {
    auto job = FindJob(db, id);
    if (!job.ok()) return job.status();
    if (!job->finished()) {
      return absl::FailedPreconditionError(
          fmt::format("jobs/{} is {}; cancel it first", id, job->state));
    }
    if (!job->sweep_id.empty()) {
      return absl::FailedPreconditionError(fmt::format(
          "jobs/{} is a trial of sweeps/{}; delete that with all its trials", id, job->sweep_id));
    }
    SQLite::Statement used(db,
                           "SELECT (SELECT count(*) FROM models WHERE id = ?1) + (SELECT count(*) "
                           "FROM dictionaries WHERE id = ?1)");
    used.bind(1, id);
    used.executeStep();
    if (used.getColumn(0).getInt() > 0) {
      return absl::FailedPreconditionError(fmt::format(
          "jobs/{} made a model or dictionary that is still there; delete that first", id));
    }
    SQLite::Statement s(db, "DELETE FROM jobs WHERE id = ?");
    s.bind(1, id);
    s.exec();
    return absl::OkStatus();
  });
}

}  // namespace saed::storage
