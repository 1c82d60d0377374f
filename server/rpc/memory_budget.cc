#include "server/rpc/memory_budget.h"

#include <fmt/format.h>

#include <algorithm>

namespace saed::rpc {

absl::StatusOr<MemoryBudget::Hold> MemoryBudget::Take(int64_t bytes) {
  bytes = std::clamp<int64_t>(bytes, 0, most());
  {
    const std::lock_guard lock(mutex_);
    if (held_ + bytes > bytes_) {
      return absl::ResourceExhaustedError(
          fmt::format("this call needs about {} MB and other calls hold {} of the {} MB that calls "
                      "may take; try again in a moment, or send less at once",
                      (bytes >> 20) + 1, held_ >> 20, bytes_ >> 20));
    }
    held_ += bytes;
  }
  return Hold(this, [this, bytes](const void*) { Return(bytes); });
}

void MemoryBudget::Return(int64_t bytes) {
  const std::lock_guard lock(mutex_);
  held_ -= bytes;
}

int64_t MemoryBudget::held() const {
  const std::lock_guard lock(mutex_);
  return held_;
}

}  // namespace saed::rpc
