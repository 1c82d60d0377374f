#include "storage/sweeps_table.h"

#include <fmt/format.h>

#include "storage/request_keys.h"

namespace saed::storage {
namespace {

constexpr const char* kColumns =
    "id, number, request_id, request_digest, owner, name, recording_id, state, spec, created_at, "
    "finished_at, error_message, best_trial, best_job";

std::optional<int64_t> Number(const SQLite::Column& c) {
  if (c.isNull()) return std::nullopt;
  return c.getInt64();
}

SweepRow Row(SQLite::Statement& s) {
  SweepRow r;
  r.id = s.getColumn(0).getString();
  r.number = s.getColumn(1).getInt64();
  r.request_id = s.getColumn(2).getString();
  r.request_digest = s.getColumn(3).getString();
  r.owner = s.getColumn(4).getString();
  r.name = s.getColumn(5).getString();
  r.recording_id = s.getColumn(6).getString();
  r.state = s.getColumn(7).getString();
  r.spec = s.getColumn(8).getString();
  r.created_at = s.getColumn(9).getInt64();
  r.finished_at = Number(s.getColumn(10));
  r.error_message = s.getColumn(11).getString();
  r.best_trial = Number(s.getColumn(12));
  r.best_job = s.getColumn(13).getString();
  return r;
}

std::vector<SweepRow> All(SQLite::Statement& s) {
  std::vector<SweepRow> out;
  while (s.executeStep()) out.push_back(Row(s));
  return out;
}

absl::StatusOr<SweepRow> Find(SQLite::Database& db, const std::string& id) {
  SQLite::Statement s(db, fmt::format("SELECT {} FROM sweeps WHERE id = ?", kColumns));
  s.bind(1, id);
  if (s.executeStep()) return Row(s);
  return absl::NotFoundError(
      fmt::format("there is no sweep 'sweeps/{}'; list them with ListSweeps", id));
}

}  // namespace

absl::StatusOr<SweepRow> SweepsTable::Insert(const SweepRow& row) {
  return db_.Write([&](SQLite::Database& db) -> absl::StatusOr<SweepRow> {
    if (!row.request_id.empty()) {
      SQLite::Statement find(db,
                             fmt::format("SELECT {} FROM sweeps WHERE request_id = ?", kColumns));
      find.bind(1, UserRequest(row.owner, row.request_id));
      if (find.executeStep()) {
        SweepRow known = Row(find);
        if (known.request_digest == row.request_digest) return known;
        return absl::AlreadyExistsError(
            fmt::format("request_id '{}' was used for sweeps/{}, which asks for something else; "
                        "give each new sweep a new request_id",
                        row.request_id, known.id));
      }
    }
    SQLite::Statement s(
        db,
        "INSERT INTO sweeps (id, number, request_id, request_digest, owner, name, "
        "recording_id, state, spec, created_at) VALUES (?, (SELECT "
        "coalesce(max(number), 0) + 1 FROM sweeps), ?, ?, ?, ?, ?, 'RUNNING', ?, ?)");
    s.bind(1, row.id);
    if (!row.request_id.empty()) s.bind(2, UserRequest(row.owner, row.request_id));
    s.bind(3, row.request_digest);
    s.bind(4, row.owner);
    s.bind(5, row.name);
    s.bind(6, row.recording_id);
    s.bind(7, row.spec);
    s.bind(8, row.created_at);
    s.exec();
    return Find(db, row.id);
  });
}

absl::StatusOr<std::optional<SweepRow>> SweepsTable::OfRequest(const std::string& request_id,
                                                               const std::string& owner) {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<std::optional<SweepRow>> {
    SQLite::Statement s(
        db, fmt::format("SELECT {} FROM sweeps WHERE request_id = ? AND owner = ?", kColumns));
    SQLite::bind(s, UserRequest(owner, request_id), owner);
    if (!s.executeStep()) return std::nullopt;
    return Row(s);
  });
}

absl::StatusOr<SweepRow> SweepsTable::Get(const std::string& id) {
  return db_.Read([&](SQLite::Database& db) { return Find(db, id); });
}

absl::StatusOr<std::vector<SweepRow>> SweepsTable::List(int limit, int64_t before,
                                                        const Viewer& viewer) {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<std::vector<SweepRow>> {
    SQLite::Statement s(
        db, fmt::format("SELECT {} FROM sweeps WHERE number < ?{} ORDER BY number DESC LIMIT ?",
                        kColumns, Visible(viewer, "sweeps", "sweeps.id")));
    SQLite::bind(s, before, limit);
    return All(s);
  });
}

absl::StatusOr<std::vector<SweepRow>> SweepsTable::Running() {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<std::vector<SweepRow>> {
    SQLite::Statement s(
        db, fmt::format("SELECT {} FROM sweeps WHERE state = 'RUNNING' ORDER BY number", kColumns));
    return All(s);
  });
}

absl::StatusOr<bool> SweepsTable::Finish(const std::string& id, const SweepEnd& end, int64_t now) {
  return db_.Write([&](SQLite::Database& db) -> absl::StatusOr<bool> {
    SQLite::Statement s(
        db,
        "UPDATE sweeps SET state = ?, error_message = ?, best_trial = ?, best_job = "
        "?, finished_at = ? WHERE id = ? AND state = 'RUNNING'");
    s.bind(1, end.state);
    s.bind(2, end.error_message);
    if (end.best_trial) s.bind(3, *end.best_trial);
    if (!end.best_job.empty()) s.bind(4, end.best_job);
    s.bind(5, now);
    s.bind(6, id);
    return s.exec() == 1;
  });
}

absl::Status SweepsTable::Delete(const std::string& id) {
  return db_.Write([&](SQLite::Database& db) -> absl::Status {
    const auto sweep = Find(db, id);
    if (!sweep.ok()) return sweep.status();
    if (!sweep->finished()) {
      return absl::FailedPreconditionError(
          fmt::format("sweeps/{} is RUNNING; cancel it first", id));
    }
    SQLite::Statement open(
        db, "SELECT count(*) FROM jobs WHERE sweep_id = ? AND state IN ('QUEUED', 'RUNNING')");
    open.bind(1, id);
    open.executeStep();
    if (open.getColumn(0).getInt() > 0) {
      return absl::FailedPreconditionError(
          fmt::format("jobs of sweeps/{} still run; wait a moment", id));
    }
    for (const char* sql :
         {"DELETE FROM jobs WHERE sweep_id = ?", "DELETE FROM sweeps WHERE id = ?"}) {
      SQLite::Statement s(db, sql);
      s.bind(1, id);
      s.exec();
    }
    return absl::OkStatus();
  });
}

absl::Status SweepsTable::InsertTrial(const std::string& sweep_id, const TrialRow& trial) {
  return db_.Write([&](SQLite::Database& db) -> absl::Status {
    SQLite::Statement s(db,
                        "INSERT OR IGNORE INTO trials (sweep_id, number, point, settings) VALUES "
                        "(?, ?, ?, ?)");
    SQLite::bind(s, sweep_id, trial.number, trial.point, trial.settings);
    s.exec();
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<TrialRow>> SweepsTable::Trials(const std::string& sweep_id) {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<std::vector<TrialRow>> {
    SQLite::Statement s(
        db, "SELECT number, point, settings FROM trials WHERE sweep_id = ? ORDER BY number");
    s.bind(1, sweep_id);
    std::vector<TrialRow> out;
    while (s.executeStep()) {
      out.push_back(
          {s.getColumn(0).getInt64(), s.getColumn(1).getString(), s.getColumn(2).getString()});
    }
    return out;
  });
}

absl::Status SweepsTable::Record(const TrialEvaluation& e, const Attempt& attempt) {
  return db_.Write([&](SQLite::Database& db) -> absl::Status {
    if (auto fence = FenceResult(db, attempt); !fence.ok()) return fence;
    SQLite::Statement s(
        db, "INSERT OR REPLACE INTO trial_evaluations (job_id, rung, body) VALUES (?, ?, ?)");
    SQLite::bind(s, e.job_id, e.rung, e.body);
    s.exec();
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<TrialEvaluation>> SweepsTable::Evaluations(const std::string& sweep_id) {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<std::vector<TrialEvaluation>> {
    SQLite::Statement s(db,
                        "SELECT e.job_id, e.rung, e.body FROM jobs j JOIN trial_evaluations e ON "
                        "e.job_id = j.id WHERE j.sweep_id = ? ORDER BY e.job_id, e.rung");
    s.bind(1, sweep_id);
    std::vector<TrialEvaluation> out;
    while (s.executeStep()) {
      out.push_back(
          {s.getColumn(0).getString(), s.getColumn(1).getInt(), s.getColumn(2).getString()});
    }
    return out;
  });
}

}  // namespace saed::storage
