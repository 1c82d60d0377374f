#include "server/rpc/memory_budget.h"

#include <fmt/format.h>

#include <algorithm>

#include "server/base/on_behalf.h"

namespace saed::rpc {

absl::StatusOr<MemoryBudget::Hold> MemoryBudget::Take(int64_t bytes) {
  bytes = std::clamp<int64_t>(bytes, 0, most());
  const OnBehalf* call = OnBehalf::Current();
  const std::string user = call == nullptr ? "" : call->who();
  {
    const std::lock_guard lock(mutex_);
    if (held_ + bytes > bytes_) {
      return absl::ResourceExhaustedError(
          fmt::format("this call needs about {} MB and other calls hold {} of the {} MB that calls "
                      "may take; try again in a moment, or send less at once",
                      (bytes >> 20) + 1, held_ >> 20, bytes_ >> 20));
    }
    if (!user.empty()) {
      int64_t& own = held_by_[user];
      if (own + bytes > most() + bytes_ / 16) {
        return absl::ResourceExhaustedError(fmt::format(
            "this call needs about {} MB and your other calls hold {} of the {} MB that the calls "
            "of one user may take; wait for them, or send less at once",
            (bytes >> 20) + 1, own >> 20, most() >> 20));
      }
      own += bytes;
    }
    held_ += bytes;
  }
  return Hold(this, [this, user, bytes](const void*) { Return(user, bytes); });
}

void MemoryBudget::Return(const std::string& user, int64_t bytes) {
  const std::lock_guard lock(mutex_);
  held_ -= bytes;
  if (const auto own = held_by_.find(user); own != held_by_.end()) {
    own->second -= bytes;
    if (own->second == 0) held_by_.erase(own);
  }
}

int64_t MemoryBudget::held() const {
  const std::lock_guard lock(mutex_);
  return held_;
}

}  // namespace saed::rpc
