// Progress of jobs: stored, so that a late watcher sees all of it, and announced, so that a waiting
// one sees it at once.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace saed::jobs {

// One progress record.
struct ProgressReport {
  std::string
      stage;  // "loading", "training", "calibrating", "evaluating", "dictionary", "finished"
  double fraction = 0;  // of the stage
  int64_t time = 0;     // µs since 1970
  int attempt = 0;
  int64_t step = 0, total_steps = 0;
  double loss = 0, reconstruction_loss = 0, l0 = 0, dead_fraction = 0, learning_rate = 0;
  double lambda = 0, gradient_norm = 0;
  double windows_per_second = 0;
  std::optional<double> seconds_left;
};

nlohmann::json ToJson(const ProgressReport& report);
ProgressReport ParseProgress(const std::string& json);  // defaults for what is missing

// Wakes whoever waits for something new. Thread-safe.
class Bell {
 public:
  void Ring() {
    {
      const std::lock_guard lock(mutex_);
      ++rings_;
    }
    changed_.notify_all();
  }
  uint64_t rings() const {
    const std::lock_guard lock(mutex_);
    return rings_;
  }
  // Until it rang more than `seen` times, or the time is over.
  void Wait(uint64_t seen, std::chrono::milliseconds limit) const {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, limit, [&] { return rings_ > seen; });
  }

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  uint64_t rings_ = 0;
};

}  // namespace saed::jobs
