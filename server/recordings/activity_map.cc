#include "server/recordings/activity_map.h"

#include <algorithm>

namespace saed::recordings {
namespace {

constexpr double kLatest = 1e9;  // s; what comes later is no time in seconds

}  // namespace

void ActivityMap::CoverUntil(double time) {
  if (cells_.empty()) cells_.resize(kCells);
  while (time >= width_ * static_cast<double>(kCells)) {
    for (size_t i = 0; i < kCells / 2; ++i) cells_[i] = cells_[2 * i] | cells_[2 * i + 1];
    std::fill(cells_.begin() + kCells / 2, cells_.end(), uint8_t{0});
    width_ *= 2;
  }
}

void ActivityMap::Add(std::span<const double> times) {
  if (!known_ || times.empty()) return;
  if (!(times.front() >= 0) || !(times.back() <= kLatest)) return Forget();
  CoverUntil(times.back());
  const double per_second = 1 / width_;
  uint8_t* const cells = cells_.data();
  for (const double t : times) cells[static_cast<int64_t>(t * per_second)] = 1;
}

bool ActivityMap::NeverSilent(double end, double least) const {
  // A gap between spikes of neighbouring cells is shorter than two cells.
  if (!known_ || cells_.empty() || 2 * width_ > least) return false;
  if (!(end <= width_ * static_cast<double>(kCells))) return false;
  const auto last = static_cast<std::ptrdiff_t>(end / width_);
  return std::find(cells_.begin(), cells_.begin() + last, uint8_t{0}) == cells_.begin() + last;
}

}  // namespace saed::recordings
