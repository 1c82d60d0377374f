#include "server/housekeeping.h"

#include <spdlog/spdlog.h>

#include <chrono>

namespace saed {
namespace {

constexpr int64_t kDay = int64_t{24} * 3600 * 1'000'000;  // µs

void Tell(const char* what, const absl::StatusOr<int64_t>& removed) {
  if (!removed.ok()) {
    spdlog::warn("cannot tidy up what={} error=\"{}\"", what,
                 std::string(removed.status().message()));
  } else if (*removed > 0) {
    spdlog::info("tidied up what={} removed={}", what, *removed);
  }
}

}  // namespace

Housekeeping::Housekeeping(const jobs::Stores& stores, storage::PeopleTable& people,
                           const jobs::Clock& clock, HousekeepingOptions options)
    : stores_(stores), people_(people), clock_(clock), options_(options) {
  thread_ = std::thread([this] { Loop(); });
}

Housekeeping::~Housekeeping() { Stop(); }

void Housekeeping::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (!thread_.joinable()) return;
  thread_.join();
  SaveUsed();
}

void Housekeeping::Loop() {
  constexpr int kMinutes = 60;  // between two tidyings
  std::unique_lock lock(mutex_);
  int minute = 0;
  do {
    lock.unlock();
    if (minute++ % kMinutes == 0) TidyUp();
    SaveUsed();
    Tell("objects", stores_.objects.RemoveLeft());
    lock.lock();
  } while (!wake_.wait_for(lock, std::chrono::minutes(1), [&] { return stopping_; }));
}

void Housekeeping::SaveUsed() {
  if (const absl::Status s = people_.SaveUsed(); !s.ok()) {
    spdlog::warn("cannot store when tokens were used error=\"{}\"", std::string(s.message()));
  }
}

void Housekeeping::TidyUp() {
  const int64_t now = clock_.NowMicros();
  if (options_.keep_progress_days > 0) {
    Tell("progress",
         stores_.jobs.ThinProgress(now - options_.keep_progress_days * kDay, kKeptProgress));
  }
  if (options_.keep_audit_days > 0) {
    Tell("audit", people_.DropAudit(now - options_.keep_audit_days * kDay));
  }
}

}  // namespace saed
