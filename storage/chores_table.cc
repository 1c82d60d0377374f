#include "storage/chores_table.h"

namespace saed::storage {

absl::Status ChoresTable::Done(const std::string& name, int64_t now) {
  return db_.Write([&](SQLite::Database& db) -> absl::Status {
    SQLite::Statement s(db,
                        "INSERT INTO chores (name, done_at) VALUES (?, ?) ON CONFLICT (name) DO "
                        "UPDATE SET done_at = excluded.done_at");
    SQLite::bind(s, name, now);
    s.exec();
    return absl::OkStatus();
  });
}

absl::StatusOr<std::map<std::string, int64_t>> ChoresTable::LastDone() {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<std::map<std::string, int64_t>> {
    SQLite::Statement s(db, "SELECT name, done_at FROM chores");
    std::map<std::string, int64_t> out;
    while (s.executeStep()) out[s.getColumn(0).getString()] = s.getColumn(1).getInt64();
    return out;
  });
}

}  // namespace saed::storage
