#include "server/rpc/turns.h"

#include <chrono>

#include "server/base/on_behalf.h"

namespace saed::rpc {

absl::StatusOr<std::shared_ptr<const void>> Turns::Take() {
  const OnBehalf* call = OnBehalf::Current();
  const std::string who = call == nullptr ? "" : call->who();
  std::unique_lock lock(mutex_);
  const auto ready = [&] { return left_ > 0 && (who.empty() || !at_work_.contains(who)); };
  while (!ready()) {
    free_.wait_for(lock, std::chrono::milliseconds(50));
    if (ready()) break;
    lock.unlock();
    absl::Status wanted = StillWanted();
    if (!wanted.ok()) return wanted;
    lock.lock();
  }
  --left_;
  if (!who.empty()) ++at_work_[who];
  return std::shared_ptr<const void>(this, [this, who](const void*) { Return(who); });
}

void Turns::Return(const std::string& who) {
  {
    const std::lock_guard lock(mutex_);
    ++left_;
    at_work_.erase(who);
  }
  free_.notify_all();
}

}  // namespace saed::rpc
