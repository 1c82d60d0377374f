#include "server/recordings/reader_places.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "server/base/faults.h"

namespace saed::recordings {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kLook = std::chrono::milliseconds(50);
constexpr int kTryAgain = 30;  // s

}  // namespace

absl::Status ReaderPlaces::Busy(const char* why) const {
  return WithRetryAfter(
      WithReason(absl::ResourceExhaustedError(fmt::format(
                     "{}: this server reads at most {} imports at once, in {} MB of memory "
                     "altogether; try again when others are done",
                     why, limits_.readers, limits_.memory_bytes >> 20)),
                 "READERS_BUSY"),
      kTryAgain);
}

absl::StatusOr<ReaderPlaces::Place> ReaderPlaces::Take(int64_t memory_bytes,
                                                       const std::function<bool()>& stop) {
  const int64_t bytes = std::clamp<int64_t>(memory_bytes, 0, limits_.memory_bytes);
  const auto end = Clock::now() + std::chrono::duration<double>(limits_.patience);
  std::unique_lock lock(mutex_);
  const auto fits = [&] {
    return readers_ < limits_.readers && held_ + bytes <= limits_.memory_bytes;
  };
  if (!waiting_.empty() || !fits()) {
    if (static_cast<int>(waiting_.size()) >= limits_.waiting) {
      return Busy("too many imports wait to be read");
    }
    const auto mine = waiting_.insert(waiting_.end(), 0);
    absl::Status given_up;
    while (given_up.ok() && (mine != waiting_.begin() || !fits())) {
      changed_.wait_for(lock, kLook);
      lock.unlock();  // what is asked may take its time
      const bool stopped = stop();
      lock.lock();
      if (stopped) given_up = absl::CancelledError("stopped while waiting for other imports");
      if (given_up.ok() && Clock::now() > end) given_up = Busy("the import waited too long");
    }
    waiting_.erase(mine);
    changed_.notify_all();
    if (!given_up.ok()) return given_up;
  }
  held_ += bytes;
  ++readers_;
  return Place(this, [this, bytes](const void*) { Return(bytes); });
}

void ReaderPlaces::Return(int64_t memory_bytes) {
  const std::lock_guard lock(mutex_);
  held_ -= memory_bytes;
  --readers_;
  changed_.notify_all();
}

}  // namespace saed::recordings
