#include "storage/readers.h"

#include <sqlite3.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "server/base/shared_steps.h"

namespace saed::storage {
namespace {

constexpr int kStepsBetween = 10'000;           // looks at the call, some 0.2 ms apart
constexpr std::chrono::milliseconds kLook{50};  // how often who waits for a connection looks

}  // namespace

void Readers::Add(Lane lane, std::unique_ptr<SQLite::Database> connection) {
  auto added = std::make_unique<Connection>();
  added->db = std::move(connection);
  sqlite3_progress_handler(added->db->getHandle(), kStepsBetween, &Readers::Progress, added.get());
  Pool& pool = pools_[static_cast<size_t>(lane)];
  pool.free.push_back(std::move(added));
  ++pool.size;
}

int Readers::Progress(void* connection) {
  auto& c = *static_cast<Connection*>(connection);
  if (c.call == nullptr) return 0;
  c.ended = c.call->StillWanted();
  c.steps_left -= kStepsBetween;
  if (c.ended.ok() && c.steps_left < 0) {
    c.ended = absl::ResourceExhaustedError(
        "this call makes the server look at more rows than one call may; ask for less at once");
  }
  return c.ended.ok() ? 0 : 1;
}

Readers::Hold::Hold(Readers& readers, Lane lane) : readers_(readers), lane_(lane) {
  const OnBehalf* call = OnBehalf::Current();
  if (call != nullptr) who_ = call->who();
  const bool counted = lane == Lane::kSearch && !who_.empty();
  std::unique_lock lock(readers.mutex_);
  Pool& pool = readers.pools_[static_cast<size_t>(lane)];
  const auto ready = [&] {
    return !pool.free.empty() && (!counted || pool.held[who_] < std::max(1, pool.size / 2));
  };
  while (!ready()) {
    readers.free_.wait_for(lock, kLook);
    if (ready()) break;
    lock.unlock();
    status_ = StillWanted();
    lock.lock();
    if (!status_.ok()) return;
  }
  connection_ = std::move(pool.free.back());
  pool.free.pop_back();
  if (counted) ++pool.held[who_];
  connection_->call = call;
  const SharedSteps* shared = SharedSteps::Current();
  connection_->steps_left =
      shared == nullptr ? readers.most_steps_ : shared->Left(readers.most_steps_);
  connection_->ended = absl::OkStatus();
}

Readers::Hold::~Hold() {
  if (connection_ == nullptr) return;
  if (SharedSteps* shared = SharedSteps::Current(); shared != nullptr) {
    shared->Leave(connection_->steps_left);
  }
  {
    const std::lock_guard lock(readers_.mutex_);
    Pool& pool = readers_.pools_[static_cast<size_t>(lane_)];
    connection_->call = nullptr;
    pool.free.push_back(std::move(connection_));
    if (const auto it = pool.held.find(who_); it != pool.held.end() && --it->second <= 0) {
      pool.held.erase(it);
    }
  }
  readers_.free_.notify_all();
}

}  // namespace saed::storage
