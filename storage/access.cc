#include "storage/access.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace saed::storage {
namespace {

std::string Quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("''") : std::string(1, c);
  return out + "'";
}

absl::Status NoRecording(const std::string& id) { return NoSuch("recordings", id); }

}  // namespace

bool HasOwners(const std::string& collection) {
  constexpr std::array kCollections = {"recordings", "jobs", "sweeps", "models", "dictionaries"};
  return std::find(kCollections.begin(), kCollections.end(), collection) != kCollections.end();
}

absl::Status NoSuch(const std::string& collection, const std::string& id) {
  const std::string one =
      collection == "dictionaries" ? "dictionary" : collection.substr(0, collection.size() - 1);
  std::string many = collection;
  if (!many.empty()) many[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(many[0])));
  return absl::NotFoundError(
      fmt::format("there is no {} '{}/{}'; list them with List{}", one, collection, id, many));
}

std::string Visible(const Viewer& viewer, const std::string& collection,
                    const std::string& column) {
  if (viewer.all) return "";
  const std::string user = Quoted(viewer.user);
  if (collection == "recordings") {
    return fmt::format(" AND {} IN (SELECT id FROM recordings WHERE private = 0 OR owner = {})",
                       column, user);
  }
  return fmt::format(
      " AND NOT EXISTS (SELECT 1 FROM made_from m CROSS JOIN recordings r ON r.id = m.recording_id "
      "WHERE m.collection = '{}' AND m.id = {} AND r.private <> 0 AND r.owner <> {})",
      collection, column, user);
}

std::string VisibleAnnotation(const Viewer& viewer) {
  if (viewer.all) return "";
  return fmt::format(
      " AND (annotations.recording_id IS NULL OR annotations.author = {0} OR "
      "annotations.recording_id IN (SELECT id FROM recordings WHERE private = 0 OR owner = {0}))",
      Quoted(viewer.user));
}

absl::StatusOr<std::string> AccessTable::OwnerOf(const std::string& collection,
                                                 const std::string& id, const Viewer& viewer) {
  if (!HasOwners(collection)) {
    return absl::InternalError(fmt::format("{} have no owners", collection));
  }
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<std::string> {
    SQLite::Statement s(
        db, fmt::format("SELECT t.owner FROM {} t WHERE t.id = ?{}",
                        collection == "dictionaries" ? "whole_dictionaries" : collection,
                        Visible(viewer, collection, "t.id")));
    s.bind(1, id);
    if (!s.executeStep()) return NoSuch(collection, id);
    return s.getColumn(0).getString();
  });
}

absl::Status AccessTable::SetPrivate(const std::string& recording_id, bool is_private) {
  return db_.Write([&](SQLite::Database& db) -> absl::Status {
    SQLite::Statement s(db, "UPDATE recordings SET private = ? WHERE id = ?");
    SQLite::bind(s, static_cast<int>(is_private), recording_id);
    return s.exec() == 1 ? absl::OkStatus() : NoRecording(recording_id);
  });
}

absl::Status AccessTable::SetName(const std::string& recording_id,
                                  const std::string& display_name) {
  return db_.Write([&](SQLite::Database& db) -> absl::Status {
    SQLite::Statement s(db, "UPDATE recordings SET name = ? WHERE id = ?");
    SQLite::bind(s, display_name, recording_id);
    return s.exec() == 1 ? absl::OkStatus() : NoRecording(recording_id);
  });
}

absl::StatusOr<bool> AccessTable::Owns(const std::string& collection, const std::string& id,
                                       const std::string& user) {
  if (!HasOwners(collection) || user.empty()) return false;
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<bool> {
    SQLite::Statement s(db, fmt::format("SELECT 1 FROM {} WHERE id = ? AND owner = ?", collection));
    SQLite::bind(s, id, user);
    return s.executeStep();
  });
}

namespace {

// Selects from `t`, with id and created_at, the rows that a text names, the surer ways first.
std::vector<std::string> WaysToName(const std::string& collection) {
  if (collection != "dictionaries") {
    const std::string from = fmt::format("FROM {} t WHERE ", collection);
    return {from + "t.id = ?", from + "t.name = ?"};
  }
  const std::string from = "FROM whole_dictionaries t ";
  // What a training built goes with its model, whatever name that was given later.
  return {from + "WHERE t.id = ?",
          from +
              "LEFT JOIN jobs j ON j.id = t.id JOIN models m ON m.id = t.model_id WHERE CASE WHEN "
              "t.id = m.id THEN m.name ELSE j.name END = ?"};
}

}  // namespace

absl::StatusOr<std::vector<std::string>> AccessTable::Called(const std::string& collection,
                                                             const std::string& text,
                                                             const Viewer& viewer) {
  std::vector<std::string> out;
  if (!HasOwners(collection) || text.empty()) return out;
  const auto find = [&](SQLite::Database& db) -> absl::StatusOr<std::vector<std::string>> {
    for (const std::string& way : WaysToName(collection)) {
      SQLite::Statement s(db, fmt::format("SELECT t.id {}{} ORDER BY t.created_at DESC, t.id LIMIT "
                                          "20",
                                          way, Visible(viewer, collection, "t.id")));
      s.bind(1, text);
      while (s.executeStep()) out.push_back(s.getColumn(0).getString());
      if (!out.empty()) break;
    }
    return out;
  };
  // Names have no index, and there may be many jobs.
  return collection == "recordings" ? db_.Read(find) : db_.Search("name", find);
}

namespace {

// Who stores how much: recordings, models, and dictionaries, whose rows are not counted one by one:
// of each feature a decoder row, a map of the input, and scores for each condition.
constexpr char kStored[] =
    "SELECT owner, bytes FROM recordings "
    "UNION ALL SELECT m.owner, length(t.data) FROM models m JOIN model_tensors t ON t.model_id = "
    "m.id "
    "UNION ALL SELECT d.owner, d.features * (8 * m.window * m.units + 200 * (SELECT count(*) FROM "
    "conditions c WHERE c.dictionary_id = d.id)) FROM dictionaries d JOIN models m ON m.id = "
    "d.model_id";

}  // namespace

absl::StatusOr<int64_t> AccessTable::Bytes(const std::string& owner) {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<int64_t> {
    SQLite::Statement s(
        db, fmt::format("SELECT coalesce(sum(bytes), 0) FROM ({}) WHERE owner = ?", kStored));
    s.bind(1, owner);
    s.executeStep();
    return s.getColumn(0).getInt64();
  });
}

absl::StatusOr<std::map<std::string, int64_t>> AccessTable::BytesOfUsers() {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<std::map<std::string, int64_t>> {
    SQLite::Statement s(db,
                        fmt::format("SELECT owner, sum(bytes) FROM ({}) GROUP BY owner", kStored));
    std::map<std::string, int64_t> out;
    while (s.executeStep()) out[s.getColumn(0).getString()] = s.getColumn(1).getInt64();
    return out;
  });
}

}  // namespace saed::storage
