#include "storage/database.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <chrono>

namespace saed::storage {
namespace {

constexpr std::pair<Lane, int> kReaders[] = {
    {Lane::kServer, 2}, {Lane::kCalls, 4}, {Lane::kSearch, 4}};
constexpr int kBusyTimeoutMs = 10'000;

double Seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::unique_ptr<SQLite::Database> Connect(const std::string& path, int flags) {
  auto db = std::make_unique<SQLite::Database>(path, flags, kBusyTimeoutMs);
  db->exec("PRAGMA foreign_keys = ON");
  db->exec("PRAGMA synchronous = FULL");
  db->exec("PRAGMA cache_size = -8192");  // KiB
  return db;
}

}  // namespace

absl::Status FromException(const SQLite::Exception& e) {
  const std::string message = fmt::format("the database: {}", e.what());
  switch (e.getErrorCode()) {
    case SQLITE_FULL:
      return absl::ResourceExhaustedError(message + "; make room on the data directory's disk");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
      return absl::UnavailableError(message);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::DataLossError(message);
    case SQLITE_NOMEM:
      return absl::ResourceExhaustedError(message);
    default:
      return absl::InternalError(message);
  }
}

absl::StatusOr<std::unique_ptr<Database>> Database::Open(const std::string& path,
                                                         TransactionObserver observer,
                                                         int64_t most_steps) {
  std::unique_ptr<Database> db(new Database(most_steps));
  db->observer_ = std::move(observer);
  try {
    db->writer_ = Connect(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    db->writer_->exec("PRAGMA journal_mode = WAL");
    const auto had = Migrate(*db->writer_);
    if (!had.ok()) return had.status();
    if (*had > 0) db->migrations_ = kSchemaVersion - *had;
    for (const auto& [lane, count] : kReaders) {
      for (int i = 0; i < count; ++i) {
        db->readers_.Add(lane, Connect(path, SQLite::OPEN_READONLY));
      }
    }
  } catch (const SQLite::Exception& e) {
    return FromException(e);
  }
  return db;
}

Database::~Database() = default;

absl::Status Database::TooMuch(std::string_view field) {
  return InvalidField(
      field,
      "makes the server look at more rows than one call may; must ask for less: one "
      "dictionary, fewer conditions and variables, or a comparison that must hold "
      "(outside OR and NOT)");
}

Database::Timer::Timer(const Database& db, std::string_view kind)
    : db_(db), kind_(kind), start_(Seconds()) {}

Database::Timer::~Timer() {
  if (db_.observer_) db_.observer_(kind_, Seconds() - start_);
}

}  // namespace saed::storage
