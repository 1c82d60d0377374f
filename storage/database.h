// The SQLite database: one writer connection behind a mutex, a pool of readers.
//
// WAL, foreign keys on, STRICT tables, full synchronisation: what a write acknowledged survives a
// kill and a power cut. Exceptions of SQLiteCpp end here and become statuses.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>
#include <SQLiteCpp/VariadicBind.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/fair_mutex.h"

namespace saed::storage {

// RESOURCE_EXHAUSTED where the disk is full, UNAVAILABLE where it failed or was busy, DATA_LOSS for
// a corrupt file, else INTERNAL.
absl::Status FromException(const SQLite::Exception& e);

// Told of every transaction: "read" or "write" and its seconds. Thread-safe.
using TransactionObserver = std::function<void(std::string_view kind, double seconds)>;

// Thread-safe.
class Database {
 public:
  // Opens or creates the file and migrates it to the newest schema. FAILED_PRECONDITION where the
  // file is of a newer saed.
  static absl::StatusOr<std::unique_ptr<Database>> Open(const std::string& path,
                                                        TransactionObserver observer = {});
  // Schema versions that Open stepped over; 0 for a file that is new or up to date.
  int migrations() const { return migrations_; }
  ~Database();

  // Runs fn(SQLite::Database&) in one IMMEDIATE transaction and commits where it returns OK (a
  // Status or StatusOr); rolls back otherwise. One writer at a time, in the order in which they
  // came: what takes long is written in several transactions, between which others have their turn.
  template <class Fn>
  auto Write(Fn&& fn) -> std::invoke_result_t<Fn, SQLite::Database&> {
    const std::lock_guard<FairMutex> lock(writer_mutex_);
    const Timer timer(*this, "write");
    try {
      SQLite::Transaction transaction(*writer_, SQLite::TransactionBehavior::IMMEDIATE);
      auto result = fn(*writer_);
      if (result.ok()) transaction.commit();
      return result;
    } catch (const SQLite::Exception& e) {
      return FromException(e);
    }
  }

  // Runs fn(SQLite::Database&) on a reader, in one snapshot.
  template <class Fn>
  auto Read(Fn&& fn) -> std::invoke_result_t<Fn, SQLite::Database&> {
    const Reader reader(*this);
    const Timer timer(*this, "read");
    try {
      SQLite::Transaction transaction(reader.get());
      return fn(reader.get());
    } catch (const SQLite::Exception& e) {
      return FromException(e);
    }
  }

 private:
  class Reader {
   public:
    explicit Reader(Database& db);
    ~Reader();
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;
    SQLite::Database& get() const { return *connection_; }

   private:
    Database& db_;
    std::unique_ptr<SQLite::Database> connection_;
  };
  class Timer {
   public:
    Timer(const Database& db, std::string_view kind);
    ~Timer();
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;

   private:
    const Database& db_;
    std::string_view kind_;
    double start_;
  };

  Database() = default;

  TransactionObserver observer_;
  int migrations_ = 0;
  FairMutex writer_mutex_;
  std::unique_ptr<SQLite::Database> writer_;
  std::mutex readers_mutex_;
  std::condition_variable reader_free_;
  std::vector<std::unique_ptr<SQLite::Database>> readers_;
};

// Brings the schema to the newest version (migrations are numbered by PRAGMA user_version) and
// returns the one it had; 0: it was empty.
absl::StatusOr<int> Migrate(SQLite::Database& db);
inline constexpr int kSchemaVersion = 12;

}  // namespace saed::storage
