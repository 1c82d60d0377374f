#include "storage/dictionary_remove.h"

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "storage/dictionaries_table.h"

namespace saed::storage {
namespace {

constexpr int kRows = 2000;  // of one transaction; features, which are large, fewer

// A table's rows of one dictionary have these columns as their key.
constexpr std::pair<const char*, const char*> kTables[] = {{"associations", "condition, latent"},
                                                           {"tunings", "variable, latent"},
                                                           {"responses", "latent, condition"},
                                                           {"features", "latent"},
                                                           {"variables", "position"},
                                                           {"conditions", "position"}};

// " AND …" of statements whose first parameter is the dictionary's id.
const char* Removable(WhoseJob whose) {
  return whose == WhoseJob::kAny
             ? ""
             : " AND NOT EXISTS (SELECT 1 FROM jobs WHERE id = ?1 AND state IN ('QUEUED', "
               "'RUNNING'))";
}

// How many rows it removed.
absl::StatusOr<int> Piece(Database& db, const std::string& id,
                          const std::optional<Attempt>& attempt, WhoseJob whose,
                          const std::string& table, const char* key) {
  return db.Write([&](SQLite::Database& raw) -> absl::StatusOr<int> {
    if (attempt) {
      if (auto fence = Fence(raw, *attempt); !fence.ok()) return fence;
    }
    SQLite::Statement s(
        raw, fmt::format("DELETE FROM {0} WHERE dictionary_id = ?1 AND ({1}) IN (SELECT {1} FROM "
                         "{0} WHERE dictionary_id = ?1 LIMIT ?2) AND EXISTS (SELECT 1 FROM "
                         "dictionaries WHERE id = ?1 AND complete = 0){2}",
                         table, key, Removable(whose)));
    SQLite::bind(s, id, table == "features" ? kRows / 20 : kRows);
    return s.exec();
  });
}

std::vector<std::string> Ids(SQLite::Statement& s) {
  std::vector<std::string> out;
  while (s.executeStep()) out.push_back(s.getColumn(0).getString());
  return out;
}

}  // namespace

absl::Status RemoveDictionary(Database& db, const std::string& id,
                              const std::optional<Attempt>& attempt, WhoseJob whose) {
  for (const auto& [table, key] : kTables) {
    while (true) {
      const auto removed = Piece(db, id, attempt, whose, table, key);
      if (!removed.ok()) return removed.status();
      if (*removed == 0) break;
    }
  }
  return db.Write([&](SQLite::Database& raw) -> absl::Status {
    if (attempt) {
      if (auto fence = Fence(raw, *attempt); !fence.ok()) return fence;
    }
    SQLite::Statement s(
        raw,
        fmt::format("DELETE FROM dictionaries WHERE id = ?1 AND complete = 0{}", Removable(whose)));
    s.bind(1, id);
    s.exec();
    return absl::OkStatus();
  });
}

absl::Status DictionariesTable::Delete(const std::string& id) {
  const absl::Status hidden = db_.Write([&](SQLite::Database& db) -> absl::Status {
    SQLite::Statement job(db, "SELECT 1 FROM jobs WHERE id = ? AND state IN ('QUEUED', 'RUNNING')");
    job.bind(1, id);
    SQLite::Statement hide(db,
                           "UPDATE dictionaries SET complete = 0 WHERE id = ? AND complete = 1");
    hide.bind(1, id);
    SQLite::Statement there(db, "SELECT complete FROM dictionaries WHERE id = ?");
    there.bind(1, id);
    if (!there.executeStep()) return NoSuch("dictionaries", id);
    const bool whole = there.getColumn(0).getInt() != 0;
    if (job.executeStep()) {
      if (!whole) return NoSuch("dictionaries", id);  // the job still makes it
      return absl::FailedPreconditionError(fmt::format(
          "jobs/{0}, which makes dictionaries/{0}, has not ended; cancel it first, or wait", id));
    }
    hide.exec();
    return absl::OkStatus();
  });
  if (!hidden.ok()) return hidden;
  return RemoveDictionary(db_, id, std::nullopt, WhoseJob::kEnded);
}

absl::Status DictionariesTable::Discard(const Attempt& attempt) {
  return RemoveDictionary(db_, attempt.job, attempt);
}

absl::StatusOr<int64_t> DictionariesTable::DiscardUnfinished() {
  const auto ids = db_.Read([&](SQLite::Database& db) -> absl::StatusOr<std::vector<std::string>> {
    SQLite::Statement s(db, "SELECT id FROM dictionaries WHERE complete = 0");
    return Ids(s);
  });
  if (!ids.ok()) return ids.status();
  for (const std::string& id : *ids) {
    if (auto removed = RemoveDictionary(db_, id); !removed.ok()) return removed;
  }
  return static_cast<int64_t>(ids->size());
}

}  // namespace saed::storage
