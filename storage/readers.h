// Connections that read, in lanes, so that nobody's searches hold up what everybody needs.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <array>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "server/base/on_behalf.h"

namespace saed::storage {

enum class Lane {
  kServer,  // the scheduler, the watchdog, metrics: never behind a call
  kCalls,   // short reads of calls
  kSearch,  // what may walk many rows, as a filter does
};
inline constexpr int kLanes = 3;

// Instructions of SQLite's machine that one read for a call may take; a row that is looked at takes
// ten to a hundred. Some ten seconds on one core.
inline constexpr int64_t kMostSteps = 400'000'000;

// Thread-safe.
class Readers {
 public:
  // `most_steps` is for tests.
  explicit Readers(int64_t most_steps = kMostSteps) : most_steps_(most_steps) {}
  // Before anything reads.
  void Add(Lane lane, std::unique_ptr<SQLite::Database> connection);

 private:
  struct Connection {
    std::unique_ptr<SQLite::Database> db;
    const OnBehalf* call = nullptr;
    int64_t steps_left = 0;
    absl::Status ended;
  };
  static int Progress(void* connection);

 public:
  // One connection of the lane, for a while. A read ends with the call that the thread works for;
  // one person has at most half of the search lane.
  class Hold {
   public:
    Hold(Readers& readers, Lane lane);
    ~Hold();
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;
    // Not OK where the call ended before a connection was free: there is none.
    const absl::Status& status() const { return status_; }
    SQLite::Database& get() const { return *connection_->db; }
    // Why the last statement was interrupted; OK where it was not.
    const absl::Status& ended() const { return connection_->ended; }

   private:
    Readers& readers_;
    Lane lane_;
    std::string who_;
    absl::Status status_;
    std::unique_ptr<Connection> connection_;
  };

 private:
  struct Pool {
    std::vector<std::unique_ptr<Connection>> free;
    int size = 0;
    std::map<std::string, int> held;  // of known users
  };

  int64_t most_steps_;
  std::mutex mutex_;
  std::condition_variable free_;
  std::array<Pool, kLanes> pools_;
};

}  // namespace saed::storage
