// The SQLite database: one writer connection behind a mutex, readers in lanes (readers.h).
//
// WAL, foreign keys on, STRICT tables, full synchronisation: what a write acknowledged survives a
// kill and a power cut. Exceptions of SQLiteCpp end here and become statuses.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>
#include <SQLiteCpp/VariadicBind.h>

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/base/faults.h"
#include "server/base/nice.h"
#include "storage/fair_mutex.h"
#include "storage/readers.h"

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
  // file is of a newer saed. `most_steps`: of one read for a call, see readers.h.
  static absl::StatusOr<std::unique_ptr<Database>> Open(const std::string& path,
                                                        TransactionObserver observer = {},
                                                        int64_t most_steps = kMostSteps);
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

  // Runs fn(SQLite::Database&) on a reader, in one snapshot. For a call (on_behalf.h) it ends with
  // the call, as DEADLINE_EXCEEDED or CANCELLED.
  template <class Fn>
  auto Read(Fn&& fn) -> std::invoke_result_t<Fn, SQLite::Database&> {
    return ReadIn(OnBehalf::Current() == nullptr ? Lane::kServer : Lane::kCalls, fn);
  }

  // The same for what may walk many rows, which no short read waits for and encoding goes before.
  // INVALID_ARGUMENT on `field`, which asks for it, where a call's search takes more than
  // kMostSteps.
  template <class Fn>
  auto Search(std::string_view field, Fn&& fn) -> std::invoke_result_t<Fn, SQLite::Database&> {
    std::optional<std::invoke_result_t<Fn, SQLite::Database&>> result;
    RunNicely([&] { result = ReadIn(Lane::kSearch, fn); });
    if (absl::IsResourceExhausted(StatusOf(*result)) && OnBehalf::Current() != nullptr) {
      return TooMuch(field);
    }
    return *std::move(result);
  }

 private:
  static const absl::Status& StatusOf(const absl::Status& status) { return status; }
  template <class T>
  static const absl::Status& StatusOf(const absl::StatusOr<T>& result) {
    return result.status();
  }
  static absl::Status TooMuch(std::string_view field);

  template <class Fn>
  auto ReadIn(Lane lane, Fn& fn) -> std::invoke_result_t<Fn, SQLite::Database&> {
    const Readers::Hold reader(readers_, lane);
    if (!reader.status().ok()) return reader.status();
    const Timer timer(*this, "read");
    try {
      SQLite::Transaction transaction(reader.get());
      return fn(reader.get());
    } catch (const SQLite::Exception& e) {
      return reader.ended().ok() ? FromException(e) : reader.ended();
    }
  }

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

  explicit Database(int64_t most_steps) : readers_(most_steps) {}

  TransactionObserver observer_;
  int migrations_ = 0;
  FairMutex writer_mutex_;
  std::unique_ptr<SQLite::Database> writer_;
  Readers readers_;
};

// Brings the schema to the newest version (migrations are numbered by PRAGMA user_version) and
// returns the one it had; 0: it was empty.
absl::StatusOr<int> Migrate(SQLite::Database& db);
inline constexpr int kSchemaVersion = 14;

}  // namespace saed::storage
