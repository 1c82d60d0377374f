// The rates and widths of bins that recordings have.
#pragma once

#include <fmt/format.h>

#include <string_view>

#include "absl/status/status.h"
#include "server/base/faults.h"

namespace saed::recordings {

// Hz: slow trackers to the fastest converters; frames: time lapse to the fastest cameras.
inline constexpr double kLeastRate = 1, kMostRate = 1e7;
inline constexpr double kLeastFrameRate = 0.001, kMostFrameRate = 1e6;
inline constexpr double kLeastBinWidth = 1e-6, kMostBinWidth = 3600;  // s

inline bool IsRate(double rate) { return rate >= kLeastRate && rate <= kMostRate; }
inline bool IsFrameRate(double rate) { return rate >= kLeastFrameRate && rate <= kMostFrameRate; }
inline bool IsBinWidth(double width) { return width >= kLeastBinWidth && width <= kMostBinWidth; }

// INVALID_ARGUMENT on `part` where the rate is none.
inline absl::Status CheckRate(std::string_view part, double rate) {
  if (IsRate(rate)) return absl::OkStatus();
  return InvalidField(part, fmt::format("is {} Hz; must be from {} to {:.0f} Hz, e.g. 30000", rate,
                                        kLeastRate, kMostRate));
}

inline absl::Status CheckFrameRate(std::string_view part, double rate) {
  if (IsFrameRate(rate)) return absl::OkStatus();
  return InvalidField(part, fmt::format("is {} Hz; must be a frame rate from {} to {:.0f} Hz, e.g. "
                                        "30",
                                        rate, kLeastFrameRate, kMostFrameRate));
}

}  // namespace saed::recordings
