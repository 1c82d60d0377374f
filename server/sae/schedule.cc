#include "server/sae/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace saed::sae {

double LearningRate(const Optimiser& optimiser, int64_t i, int64_t n) {
  const Schedule& s = optimiser.schedule;
  const double peak = optimiser.learning_rate, least = s.final_fraction * peak;
  if (s.kind == ScheduleKind::kConstant) return peak;
  const auto part = [n](double fraction) {
    return static_cast<int64_t>(std::floor(fraction * static_cast<double>(n)));
  };
  const int64_t warmup = s.warmup_fraction > 0 ? std::max<int64_t>(1, part(s.warmup_fraction)) : 0;
  if (i < warmup) {
    return std::max(peak * static_cast<double>(i) / static_cast<double>(warmup), least);
  }
  const int64_t hold =
      s.kind == ScheduleKind::kWarmupHold ? std::max(warmup, part(s.hold_fraction)) : warmup;
  if (i < hold) return peak;
  const double phase =
      static_cast<double>(i - hold) / static_cast<double>(std::max<int64_t>(1, n - hold));
  if (s.kind == ScheduleKind::kLinear) return peak + (least - peak) * phase;
  return least + 0.5 * (peak - least) * (1 + std::cos(std::numbers::pi * phase));
}

}  // namespace saed::sae
