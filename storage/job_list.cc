// Jobs that callers ask for.
#include <fmt/format.h>

#include "storage/job_rows.h"
#include "storage/jobs_table.h"

namespace saed::storage {
namespace {

// " AND …" of what the query asks for, beside its trials.
std::string Where(const JobQuery& query) {
  std::string out;
  if (query.state == "PAUSED") {
    out = " AND state = 'QUEUED' AND paused <> ''";
  } else if (query.state == "QUEUED") {
    out = " AND state = 'QUEUED' AND paused = ''";
  } else if (!query.state.empty()) {
    out = " AND state = ?";
  }
  if (!query.filter.where.empty()) out += " AND " + query.filter.where;
  return out + Visible(query.viewer, "jobs", "jobs.id");
}

std::string Trials(const JobQuery& query) { return query.trials ? "" : " AND sweep_id IS NULL"; }

// Binds the values of Where from `at` on; returns the next place.
int BindWhere(SQLite::Statement& s, const JobQuery& query, int at) {
  if (!query.state.empty() && query.state != "PAUSED" && query.state != "QUEUED") {
    s.bind(at++, query.state);
  }
  for (const std::string& value : query.filter.values) s.bind(at++, value);
  return at;
}

int64_t Count(SQLite::Database& db, const JobQuery& query, const std::string& also) {
  SQLite::Statement s(db, fmt::format("SELECT count(*) FROM jobs WHERE {}{}", also, Where(query)));
  BindWhere(s, query, 1);
  s.executeStep();
  return s.getColumn(0).getInt64();
}

// Where few of the rows may match, it may look at all of them.
template <class Fn>
auto Walk(Database& db, bool few, Fn&& fn) {
  return few ? db.Search("filter", fn) : db.Read(fn);
}

}  // namespace

absl::StatusOr<std::vector<JobRow>> JobsTable::List(const JobQuery& query, int limit,
                                                    int64_t before) {
  const bool few = !query.trials || !query.state.empty() || !query.filter.where.empty();
  return Walk(db_, few, [&](SQLite::Database& db) -> absl::StatusOr<std::vector<JobRow>> {
    SQLite::Statement s(
        db, fmt::format("SELECT {} FROM jobs WHERE number < ?{}{} ORDER BY number DESC LIMIT ?",
                        JobColumns(), Trials(query), Where(query)));
    s.bind(1, before);
    s.bind(BindWhere(s, query, 2), limit);
    return AllJobs(s);
  });
}

absl::StatusOr<int64_t> JobsTable::TrialsLeftOut(const JobQuery& query) {
  if (query.trials) return 0;
  return db_.Search("filter", [&](SQLite::Database& db) -> absl::StatusOr<int64_t> {
    return Count(db, query, "sweep_id IS NOT NULL");
  });
}

absl::StatusOr<LiveJobs> JobsTable::Live(const JobQuery& query, int limit, int64_t ended_above) {
  const bool few = !query.filter.where.empty();
  return Walk(db_, few, [&](SQLite::Database& db) -> absl::StatusOr<LiveJobs> {
    LiveJobs out;
    const std::string live = fmt::format("(state IN ('QUEUED', 'RUNNING') OR number > {}){}",
                                         ended_above, Trials(query));
    SQLite::Statement s(db, fmt::format("SELECT {} FROM jobs WHERE {}{} ORDER BY state = 'RUNNING' "
                                        "DESC, number LIMIT ?",
                                        ShortJobColumns(), live, Where(query)));
    s.bind(BindWhere(s, query, 1), limit);
    out.rows = AllJobs(s);
    out.matching = static_cast<int64_t>(out.rows.size());
    if (out.matching == limit) out.matching = Count(db, query, live);
    out.last_number = db.execAndGet("SELECT coalesce(max(number), 0) FROM jobs").getInt64();
    return out;
  });
}

absl::StatusOr<std::optional<JobRow>> JobsTable::Seen(const std::string& id, const Viewer& viewer) {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<std::optional<JobRow>> {
    SQLite::Statement s(db, fmt::format("SELECT {} FROM jobs WHERE id = ?{}", JobColumns(),
                                        Visible(viewer, "jobs", "jobs.id")));
    s.bind(1, id);
    auto rows = AllJobs(s);
    if (rows.empty()) return std::nullopt;
    return std::move(rows.front());
  });
}

absl::StatusOr<std::optional<JobsTable::Progress>> JobsTable::LatestProgress(
    const std::string& id) {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<std::optional<Progress>> {
    SQLite::Statement s(db,
                        "SELECT sequence, body FROM job_progress WHERE job_id = ? ORDER BY "
                        "sequence DESC LIMIT 1");
    s.bind(1, id);
    if (!s.executeStep()) return std::nullopt;
    return Progress{s.getColumn(0).getInt64(), s.getColumn(1).getString()};
  });
}

}  // namespace saed::storage
