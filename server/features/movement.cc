#include "server/features/movement.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <string>

#include "absl/strings/ascii.h"
#include "server/features/expression.h"

namespace saed::features {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kCut = 4;             // standard deviations
constexpr int64_t kMostWeights = 400;  // on either side
constexpr double kFast = 0.95;

bool HasWord(const std::string& text, std::initializer_list<const char*> words) {
  return std::any_of(words.begin(), words.end(), [&](const char* word) {
    return absl::AsciiStrToLower(text).find(word) != std::string::npos;
  });
}

// One side of a Gaussian that sums to 1.
struct HalfGaussian {
  int64_t step = 1;            // bins from one weight to the next
  std::vector<double> weight;  // of the bin itself, then of those on either side

  explicit HalfGaussian(double bin_width) {
    const double deviation = kMovementSmoothing / bin_width;
    const auto reach = static_cast<int64_t>(std::llround(kCut * deviation));
    step = 1 + reach / (kMostWeights + 1);
    double sum = 0;
    for (int64_t i = 0; i <= reach; i += step) {
      const double z = static_cast<double>(i) / deviation;
      weight.push_back(std::exp(-0.5 * z * z));
      sum += (i == 0 ? 1 : 2) * weight.back();
    }
    for (double& w : weight) w /= sum;
  }
};

// Smooths values[begin, end) and writes their change per second to `out`.
void Differentiate(const std::vector<double>& values, int64_t begin, int64_t end,
                   const HalfGaussian& half, double bin_width, std::vector<double>& out) {
  const auto at = [&](int64_t b) { return values[std::clamp(b, begin, end - 1)]; };
  std::vector<double> smooth(end - begin);
  for (int64_t b = begin; b < end; ++b) {
    double sum = half.weight[0] * values[b];
    for (size_t i = 1; i < half.weight.size(); ++i) {
      const int64_t away = static_cast<int64_t>(i) * half.step;
      sum += half.weight[i] * (at(b - away) + at(b + away));
    }
    smooth[b - begin] = sum;
  }
  for (int64_t b = begin; b < end; ++b) {
    const int64_t before = std::max(b - 1, begin), after = std::min(b + 1, end - 1);
    out[b] = (smooth[after - begin] - smooth[before - begin]) /
             (static_cast<double>(after - before) * bin_width);
  }
}

// [channel][bin], NaN where any channel is.
std::vector<std::vector<double>> Velocity(const recordings::Series& series,
                                          const recordings::ViewData& view) {
  const size_t channels = series.channels.size();
  std::vector<std::vector<double>> position;
  for (size_t c = 0; c < channels; ++c) position.push_back(OnBins(series, c, view));
  const auto there = [&](int64_t b) {
    return std::all_of(position.begin(), position.end(),
                       [&](const auto& values) { return std::isfinite(values[b]); });
  };
  const auto joined = [&](int64_t b) {
    return view.segments.empty() || view.segments[b] == view.segments[b - 1];
  };
  std::vector<std::vector<double>> out(channels, std::vector<double>(view.bins, kNan));
  const HalfGaussian half(view.bin_width);
  for (int64_t begin = 0; begin < view.bins;) {
    int64_t end = begin;
    while (end < view.bins && there(end) && (end == begin || joined(end))) ++end;
    for (size_t c = 0; c < channels && end - begin > 1; ++c) {
      Differentiate(position[c], begin, end, half, view.bin_width, out[c]);
    }
    begin = std::max(end, begin + 1);
  }
  return out;
}

std::vector<double> Lengths(const std::vector<std::vector<double>>& velocity, int64_t bins) {
  std::vector<double> out(bins, 0);
  for (const auto& channel : velocity) {
    for (int64_t b = 0; b < bins; ++b) out[b] = std::hypot(out[b], channel[b]);
  }
  return out;
}

// Speeds at or below it are those of standing still; so is 0.
double Still(std::vector<double> speed) {
  std::erase_if(speed, [](double v) { return !std::isfinite(v); });
  if (speed.empty()) return 0;
  const auto at = static_cast<int64_t>(kFast * static_cast<double>(speed.size() - 1));
  std::nth_element(speed.begin(), speed.begin() + at, speed.end());
  return kStill * speed[at];
}

}  // namespace

bool IsPosition(const recordings::Series& series) {
  if (series.channels.empty() || series.channels.size() > kMostDimensions) return false;
  const auto other = [](const std::string& name) {
    return HasWord(name, {"veloc", "speed", "accel", "force"});
  };
  if (other(series.name) || std::any_of(series.channels.begin(), series.channels.end(), other) ||
      HasWord(series.unit, {"/s", "per second", "newton"})) {
    return false;
  }
  if (HasWord(series.name, {"position", "location", "tracking"})) return true;
  static const recordings::Texts lengths = {"m",      "cm",     "mm",     "um", "px",
                                            "meters", "metres", "pixels", "in", "inches"};
  const std::string unit = absl::AsciiStrToLower(series.unit);
  if (series.channels.size() > 1 &&
      std::find(lengths.begin(), lengths.end(), unit) != lengths.end()) {
    return true;
  }
  static const recordings::Texts axes = {"x", "y", "z"};
  for (size_t c = 0; c < series.channels.size(); ++c) {
    if (absl::AsciiStrToLower(series.channels[c]) != axes[c]) return false;
  }
  return true;
}

std::vector<double> Speed(const recordings::Series& series, const recordings::ViewData& view) {
  return Lengths(Velocity(series, view), view.bins);
}

std::vector<double> Direction(const recordings::Series& series, const recordings::ViewData& view) {
  std::vector<double> out(view.bins, kNan);
  if (series.channels.empty() || series.channels.size() > 2) return out;
  const auto velocity = Velocity(series, view);
  const std::vector<double> speed = Lengths(velocity, view.bins);
  const double still = Still(speed);
  for (int64_t b = 0; b < view.bins; ++b) {
    if (!(speed[b] > still)) continue;
    out[b] = velocity.size() == 1 ? std::copysign(1.0, velocity[0][b])
                                  : std::atan2(velocity[1][b], velocity[0][b]);
    // Exactly backwards is π, whatever the sign of the zero.
    if (out[b] == -std::numbers::pi) out[b] = std::numbers::pi;
  }
  return out;
}

}  // namespace saed::features
