// Where the time of training steps goes; for benchmarks.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>

namespace saed::sae {

// Time by stage, summed over threads, in the clock's units.
enum Stage {
  kLoadStage,
  kEncodeStage,
  kSelectStage,
  kLossStage,
  kSortStage,
  kGradientStage,
  kUpdateStage,
  kStages
};
struct StageClock {
  std::function<int64_t()> now;
  std::array<std::atomic<int64_t>, kStages> spent{};
};

// Adds the time until destruction to a stage; nothing where there is no clock.
class Timed {
 public:
  Timed(StageClock* clock, Stage stage)
      : clock_(clock), stage_(stage), start_(clock == nullptr ? 0 : clock->now()) {}
  ~Timed() {
    if (clock_ != nullptr) clock_->spent[stage_] += clock_->now() - start_;
  }
  Timed(const Timed&) = delete;
  Timed& operator=(const Timed&) = delete;

 private:
  StageClock* clock_;
  Stage stage_;
  int64_t start_;
};

}  // namespace saed::sae
