#include "storage/recordings_table.h"

#include <fmt/format.h>

#include <map>

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

// Whether the viewer may see the thing of a row `f` of made_from.
std::string Seen(const Viewer& viewer) {
  if (viewer.all) return "1";
  std::string out = "CASE f.collection";
  for (const char* collection : {"jobs", "sweeps", "models", "dictionaries"}) {
    out += fmt::format(" WHEN '{0}' THEN 1{1}", collection, Visible(viewer, collection, "f.id"));
  }
  return out + " END";
}

// `seen`: how many things of each collection use it, of those that the caller may see.
absl::Status InUse(const std::string& id, std::map<std::string, int64_t>& seen) {
  const int64_t jobs = seen["jobs"] + seen["sweeps"], models = seen["models"],
                dictionaries = seen["dictionaries"];
  if (jobs + models + dictionaries == 0) {
    return absl::FailedPreconditionError(fmt::format(
        "recordings/{} is still in use; ask the keeper of the server, or make it private", id));
  }
  return absl::FailedPreconditionError(
      fmt::format("recordings/{} is used by {} jobs and sweeps, {} models and {} dictionaries; "
                  "delete those first",
                  id, jobs, models, dictionaries));
}

}  // namespace

absl::StatusOr<RecordingRow> RecordingsTable::Insert(const RecordingRow& given,
                                                     const std::vector<UnitRow>& units,
                                                     bool& created) {
  return db_.Write([&](SQLite::Database& db) -> absl::StatusOr<RecordingRow> {
    // What comes from one who left is the heir's, who may have it already.
    SQLite::Statement left(db, "SELECT heir FROM users WHERE name = ? AND deleted_at IS NOT NULL");
    left.bind(1, given.owner);
    const bool inherited = left.executeStep();
    RecordingRow row = given;
    if (inherited) row.owner = left.getColumn(0).getString();
    // The owner's own, else one that somebody shares. What others keep to themselves is not there.
    SQLite::Statement find(
        db, fmt::format("SELECT {} FROM recordings WHERE digest = ?1 AND (owner = ?2 OR (private = "
                        "0 AND ?3 = 0)) ORDER BY owner <> ?2, created_at, id LIMIT 1",
                        kColumns));
    SQLite::bind(find, row.digest, row.owner, static_cast<int>(row.is_private));
    created = !find.executeStep();
    if (!created) {
      RecordingRow known = Row(find);
      if (inherited && (known.is_private || row.is_private)) {
        return absl::UnauthenticatedError(fmt::format(
            "the user '{}' was deleted while this came; nothing of it was kept", given.owner));
      }
      if (known.is_private || !row.is_private) return known;
      return absl::AlreadyExistsError(fmt::format(
          "this is recordings/{}, which is yours and shared with the lab; make that private with "
          "UpdateRecording, which hides also what others made from it",
          known.id));
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
                        kColumns, Visible(viewer, "recordings", "id")));
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

absl::StatusOr<std::string> RecordingsTable::Delete(const std::string& id, const Viewer& viewer) {
  return db_.Write([&](SQLite::Database& db) -> absl::StatusOr<std::string> {
    SQLite::Statement find(db,
                           "SELECT digest, (SELECT count(*) FROM recordings o WHERE o.digest = "
                           "r.digest) FROM recordings r WHERE id = ?");
    find.bind(1, id);
    if (!find.executeStep()) return Missing(id);
    const std::string digest = find.getColumn(1).getInt() == 1 ? find.getColumn(0).getString() : "";
    SQLite::Statement used(
        db, fmt::format("SELECT collection, count(*), sum({}) FROM made_from f WHERE recording_id "
                        "= ? GROUP BY collection",
                        Seen(viewer)));
    used.bind(1, id);
    std::map<std::string, int64_t> seen;
    bool in_use = false;
    while (used.executeStep()) {
      in_use = true;
      seen[used.getColumn(0).getString()] = used.getColumn(2).getInt64();
    }
    if (in_use) return InUse(id, seen);
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
