#include "storage/recordings_table.h"

#include <fmt/format.h>

namespace saed::storage {
namespace {

constexpr const char* kColumns =
    "id, digest, name, source, created_at, duration, unit_count, spike_count, bytes, summary, "
    "owner, private";

RecordingRow Row(SQLite::Statement& s) {
  RecordingRow r;
  r.id = s.getColumn(0).getString();
  r.digest = s.getColumn(1).getString();
  r.name = s.getColumn(2).getString();
  r.source = s.getColumn(3).getString();
  r.created_at = s.getColumn(4).getInt64();
  r.duration = s.getColumn(5).getDouble();
  r.unit_count = s.getColumn(6).getInt64();
  r.spike_count = s.getColumn(7).getInt64();
  r.bytes = s.getColumn(8).getInt64();
  r.summary = s.getColumn(9).getString();
  r.owner = s.getColumn(10).getString();
  r.is_private = s.getColumn(11).getInt() != 0;
  return r;
}

absl::Status Missing(const std::string& id) {
  return absl::NotFoundError(
      fmt::format("there is no recording 'recordings/{}'; list them with ListRecordings", id));
}

}  // namespace

absl::StatusOr<RecordingRow> RecordingsTable::Insert(const RecordingRow& row,
                                                     const std::vector<UnitRow>& units,
                                                     bool& created) {
  return db_.Write([&](SQLite::Database& db) -> absl::StatusOr<RecordingRow> {
    SQLite::Statement find(db, fmt::format("SELECT {} FROM recordings WHERE digest = ?", kColumns));
    find.bind(1, row.digest);
    created = !find.executeStep();
    if (!created) {
      RecordingRow known = Row(find);
      if (!known.is_private || known.owner == row.owner) return known;
      return absl::AlreadyExistsError(
          "the same recording is stored already and private to another user; ask the keeper of the "
          "server");
    }
    SQLite::Statement insert(
        db, fmt::format("INSERT INTO recordings ({}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)", kColumns));
    SQLite::bind(insert, row.id, row.digest, row.name, row.source, row.created_at, row.duration,
                 row.unit_count, row.spike_count, row.bytes, row.summary, row.owner,
                 static_cast<int>(row.is_private));
    insert.exec();
    SQLite::Statement unit(db, "INSERT INTO units VALUES (?,?,?,?,?,?,?,?)");
    for (size_t i = 0; i < units.size(); ++i) {
      const UnitRow& u = units[i];
      unit.reset();
      unit.clearBindings();
      unit.bind(1, row.id);
      unit.bind(2, static_cast<int64_t>(i));
      unit.bind(3, u.id);
      unit.bind(4, u.label);
      unit.bind(5, u.region);
      if (u.depth) unit.bind(6, *u.depth);
      unit.bind(7, u.spike_count);
      unit.bind(8, u.columns);
      unit.exec();
    }
    return row;
  });
}

absl::StatusOr<RecordingRow> RecordingsTable::Get(const std::string& id) {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<RecordingRow> {
    SQLite::Statement s(db, fmt::format("SELECT {} FROM recordings WHERE id = ?", kColumns));
    s.bind(1, id);
    if (!s.executeStep()) return Missing(id);
    return Row(s);
  });
}

absl::StatusOr<std::vector<RecordingRow>> RecordingsTable::List(int limit, int64_t after_created_at,
                                                                const std::string& after_id,
                                                                const Viewer& viewer) {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<std::vector<RecordingRow>> {
    SQLite::Statement s(
        db, fmt::format("SELECT {} FROM recordings WHERE (?2 = '' OR (created_at, id) < (?1, "
                        "?2)){} ORDER BY created_at DESC, id DESC LIMIT ?3",
                        kColumns, Visible(viewer, "id")));
    SQLite::bind(s, after_created_at, after_id, limit);
    std::vector<RecordingRow> out;
    while (s.executeStep()) out.push_back(Row(s));
    return out;
  });
}

absl::StatusOr<std::vector<UnitRow>> RecordingsTable::Units(const std::string& id, int limit,
                                                            int64_t after, size_t most_bytes) {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<std::vector<UnitRow>> {
    SQLite::Statement s(db,
                        "SELECT id, label, region, depth, spike_count, columns FROM units "
                        "WHERE recording_id = ? AND position > ? ORDER BY position LIMIT ?");
    SQLite::bind(s, id, after, limit);
    std::vector<UnitRow> out;
    size_t bytes = 0;
    while (s.executeStep()) {
      UnitRow u;
      u.id = s.getColumn(0).getInt64();
      u.label = s.getColumn(1).getString();
      u.region = s.getColumn(2).getString();
      if (!s.getColumn(3).isNull()) u.depth = s.getColumn(3).getDouble();
      u.spike_count = s.getColumn(4).getInt64();
      u.columns = s.getColumn(5).getString();
      bytes += u.columns.size();
      if (bytes > most_bytes && !out.empty()) break;
      out.push_back(std::move(u));
    }
    return out;
  });
}

absl::StatusOr<std::string> RecordingsTable::Delete(const std::string& id) {
  return db_.Write([&](SQLite::Database& db) -> absl::StatusOr<std::string> {
    SQLite::Statement find(db, "SELECT digest FROM recordings WHERE id = ?");
    find.bind(1, id);
    if (!find.executeStep()) return Missing(id);
    const std::string digest = find.getColumn(0).getString();
    SQLite::Statement used(db,
                           "SELECT (SELECT count(*) FROM jobs WHERE recording_id = ?1) + "
                           "(SELECT count(*) FROM sweeps WHERE recording_id = ?1), "
                           "(SELECT count(*) FROM models WHERE recording_id = ?1), "
                           "(SELECT count(*) FROM dictionaries WHERE recording_id = ?1)");
    used.bind(1, id);
    used.executeStep();
    const int64_t jobs = used.getColumn(0).getInt64(), models = used.getColumn(1).getInt64(),
                  dictionaries = used.getColumn(2).getInt64();
    if (jobs + models + dictionaries > 0) {
      return absl::FailedPreconditionError(fmt::format(
          "recordings/{} is used by {} jobs and sweeps, {} models and {} dictionaries; delete "
          "those first",
          id, jobs, models, dictionaries));
    }
    SQLite::Statement s(db, "DELETE FROM recordings WHERE id = ?");
    s.bind(1, id);
    s.exec();
    return digest;
  });
}

absl::StatusOr<std::vector<std::string>> RecordingsTable::Digests() {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<std::vector<std::string>> {
    SQLite::Statement s(db, "SELECT digest FROM recordings");
    std::vector<std::string> out;
    while (s.executeStep()) out.push_back(s.getColumn(0).getString());
    return out;
  });
}

}  // namespace saed::storage
