// PeopleTable: what is whose, and users who leave.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

#include "server/base/faults.h"
#include "storage/people_table.h"

namespace saed::storage {
namespace {

constexpr std::array kOwned = {"recordings", "jobs", "sweeps", "models", "dictionaries"};

Holdings Count(SQLite::Database& db, const std::string& user) {
  Holdings out;
  int64_t* const counts[] = {&out.recordings, &out.jobs, &out.sweeps, &out.models,
                             &out.dictionaries};
  for (size_t i = 0; i < kOwned.size(); ++i) {
    SQLite::Statement s(db, fmt::format("SELECT count(*) FROM {} WHERE owner = ?", kOwned[i]));
    s.bind(1, user);
    s.executeStep();
    *counts[i] = s.getColumn(0).getInt64();
  }
  SQLite::Statement jobs(
      db,
      "SELECT count(*), coalesce(sum(state = 'RUNNING'), 0), coalesce(sum(CASE state WHEN "
      "'RUNNING' THEN threads ELSE 0 END), 0) FROM jobs WHERE state IN ('QUEUED', 'RUNNING') AND "
      "owner = ?");
  jobs.bind(1, user);
  jobs.executeStep();
  out.unfinished_jobs = jobs.getColumn(0).getInt64();
  out.running_jobs = jobs.getColumn(1).getInt64();
  out.threads = jobs.getColumn(2).getInt64();
  return out;
}

// "3 recordings, 1 model"; empty: nothing.
std::string Text(const Holdings& h) {
  std::vector<std::string> parts;
  const auto add = [&](int64_t count, const char* one, const char* many) {
    if (count > 0) parts.push_back(fmt::format("{} {}", count, count == 1 ? one : many));
  };
  add(h.recordings, "recording", "recordings");
  add(h.jobs, "job", "jobs");
  add(h.sweeps, "sweep", "sweeps");
  add(h.models, "model", "models");
  add(h.dictionaries, "dictionary", "dictionaries");
  return fmt::format("{}", fmt::join(parts, ", "));
}

// That there is somebody who can have what was the user's.
absl::Status CheckHeir(SQLite::Database& db, const std::string& user, const std::string& heir) {
  if (heir == user) {
    return InvalidField("reassign_to", fmt::format("is '{}', who is to be deleted; must be another "
                                                   "user",
                                                   heir));
  }
  SQLite::Statement s(db, "SELECT role, disabled FROM users WHERE name = ? AND deleted_at IS NULL");
  s.bind(1, heir);
  if (!s.executeStep()) {
    return InvalidField("reassign_to",
                        fmt::format("is '{}', whom there is not; must be a user", heir));
  }
  if (s.getColumn(0).getString() == "reader" || s.getColumn(1).getInt() != 0) {
    return InvalidField(
        "reassign_to",
        fmt::format("is '{}', who is {}; must be a member or an administrator who is let in", heir,
                    s.getColumn(1).getInt() != 0 ? "disabled" : "a reader"));
  }
  return absl::OkStatus();
}

absl::Status GiveAll(SQLite::Database& db, const std::string& from, const std::string& to) {
  SQLite::Statement both(db,
                         "SELECT a.id, b.id FROM recordings a JOIN recordings b ON b.digest = "
                         "a.digest WHERE a.owner = ? AND b.owner = ? LIMIT 1");
  SQLite::bind(both, from, to);
  if (both.executeStep()) {
    return absl::FailedPreconditionError(
        fmt::format("recordings/{} of '{}' has the same content as recordings/{} of '{}', and "
                    "nobody has one twice; delete one of them first, or name another user",
                    both.getColumn(0).getString(), from, both.getColumn(1).getString(), to));
  }
  for (const char* table : kOwned) {
    SQLite::Statement s(db, fmt::format("UPDATE {} SET owner = ? WHERE owner = ?", table));
    SQLite::bind(s, to, from);
    s.exec();
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Holdings> PeopleTable::HeldBy(const std::string& user) {
  return db_.Read(
      [&](SQLite::Database& db) -> absl::StatusOr<Holdings> { return Count(db, user); });
}

absl::StatusOr<Holdings> PeopleTable::DeleteUser(const std::string& name, const std::string& heir,
                                                 int64_t now, const std::string& by) {
  Holdings held;
  const absl::Status status = Change([&](SQLite::Database& db) -> absl::Status {
    if (const absl::Status may = StillAdministrator(db, by); !may.ok()) return may;
    SQLite::Statement there(db, "SELECT 1 FROM users WHERE name = ? AND deleted_at IS NULL");
    there.bind(1, name);
    if (!there.executeStep()) return NoUser(name);
    held = Count(db, name);
    const std::string text = Text(held);
    absl::Status can = absl::OkStatus();
    if (!heir.empty()) {
      can = CheckHeir(db, name, heir);
      if (can.ok()) can = GiveAll(db, name, heir);
    } else if (!text.empty()) {
      can = absl::FailedPreconditionError(fmt::format(
          "'{}' has {}; name in reassign_to the user whose they become, or delete them first", name,
          text));
    }
    if (!can.ok()) return can;
    SQLite::Statement leave(
        db, "UPDATE users SET deleted_at = ?, disabled = 1, heir = ? WHERE name = ?");
    SQLite::bind(leave, now, heir, name);
    leave.exec();
    // What they had from others who left goes on as well.
    SQLite::Statement heirs(db, "UPDATE users SET heir = ? WHERE heir = ?");
    SQLite::bind(heirs, heir, name);
    heirs.exec();
    SQLite::Statement tokens(
        db, "UPDATE tokens SET revoked_at = coalesce(revoked_at, ?) WHERE user = ?");
    SQLite::bind(tokens, now, name);
    tokens.exec();
    SQLite::Statement usage(db, "DELETE FROM usage WHERE user = ?");
    usage.bind(1, name);
    usage.exec();
    return AdministratorLeft(db, name);
  });
  if (!status.ok()) return status;
  return held;
}

}  // namespace saed::storage
