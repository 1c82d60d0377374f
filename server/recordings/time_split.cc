#include "server/recordings/time_split.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "server/base/faults.h"

namespace saed::recordings {
namespace {

constexpr double kRounding = 1e-9, kRoom = 0.1;

}  // namespace

absl::Status Validate(const TimeSplit& split) {
  Faults faults;
  if (split.blocks < 0 || split.blocks > kMostStretches) {
    faults.Add("split.time.blocks", fmt::format("is {}; must be 1 to {}, or 0 for {}", split.blocks,
                                                kMostStretches, kStretches));
  }
  if (!(split.held_out >= 0 && split.held_out < 1)) {
    faults.Add("split.time.held_out",
               fmt::format("is {}; must be above 0 and below 1, e.g. 0.2", split.held_out));
  }
  if (split.embargo && !(std::isfinite(*split.embargo) && *split.embargo >= 0)) {
    faults.Add("split.time.embargo", fmt::format("is {} s; must be 0 or more", *split.embargo));
  }
  return faults.ToStatus();
}

absl::Status SplitByTime(const TimeSplit& split, const std::vector<uint8_t>& valid,
                         ViewData& data) {
  std::vector<int64_t> usable;
  for (int64_t i = 0; i < data.bins; ++i) {
    if (valid[i]) usable.push_back(i);
  }
  const auto n = static_cast<int64_t>(usable.size());
  const int64_t blocks = split.blocks == 0 ? kStretches : split.blocks;
  if (n < 2 * blocks) {
    return InvalidField("split.time.blocks",
                        fmt::format("is {}; the view has {} bins that were observed and are in "
                                    "the mask, and each block needs two",
                                    blocks, n));
  }
  const double fraction = split.held_out == 0 ? kHeldOutTime : split.held_out;
  const auto held = [&](int64_t length) {
    const double part = std::floor(static_cast<double>(length) * fraction + kRounding);
    return std::clamp<int64_t>(static_cast<int64_t>(part), 1, length - 1);
  };
  const double usual = std::max(
      (data.window - 1) * data.bin_width,
      std::min(kUsualEmbargo, kRoom * data.bin_width * static_cast<double>(held(n / blocks))));
  const double embargo = split.embargo.value_or(usual) / data.bin_width;
  data.embargo = static_cast<int64_t>(
      std::min(std::ceil(embargo - kRounding), static_cast<double>(data.bins)));
  for (const int64_t i : usable) data.sides[i] = Side::kTrain;
  const auto between = [&](int64_t block, bool begin) {
    const int64_t first = n * block / blocks, end = n * (block + 1) / blocks;
    return begin ? usable[end - held(end - first)] : usable[end - 1];
  };
  for (int64_t b = 0; b < blocks; ++b) {
    const int64_t first = std::max<int64_t>(0, between(b, true) - data.embargo);
    const int64_t last = std::min(data.bins - 1, between(b, false) + data.embargo);
    std::fill(data.sides.begin() + first, data.sides.begin() + last + 1, Side::kNone);
  }
  for (int64_t b = 0; b < blocks; ++b) {
    for (int64_t i = between(b, true); i <= between(b, false); ++i) {
      if (valid[i]) data.sides[i] = Side::kTest;
    }
  }
  return absl::OkStatus();
}

}  // namespace saed::recordings
