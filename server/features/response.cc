#include "server/features/response.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace saed::features {
namespace {

constexpr int kMostLags = 200;  // on either side

}  // namespace

std::vector<int64_t> Onsets(const std::vector<uint8_t>& label, const std::vector<int64_t>& starts) {
  std::vector<int64_t> out;
  for (size_t w = 1; w < starts.size(); ++w) {
    if (label[w] == kHolds && label[w - 1] != kHolds && starts[w] == starts[w - 1] + 1) {
      out.push_back(static_cast<int64_t>(w));
    }
  }
  return out;
}

Response PeriEvent(const Activations& activations, const std::vector<int64_t>& onsets,
                   const std::vector<int64_t>& starts, double bin_width) {
  Response out;
  out.before = std::clamp(static_cast<int>(std::round(kBeforeEvent / bin_width)), 1, kMostLags);
  const int after = std::clamp(static_cast<int>(std::round(kAfterEvent / bin_width)), 1, kMostLags);
  const int lags = out.before + after + 1;
  std::vector<double> sum(lags, 0), square(lags, 0), count(lags, 0);
  const auto windows = static_cast<int64_t>(starts.size());
  for (int64_t onset : onsets) {
    const int64_t first = starts[onset] - out.before, last = starts[onset] + after;
    // Windows there are, then those of them that are active.
    int64_t w = std::lower_bound(starts.begin(), starts.end(), first) - starts.begin();
    auto active = std::lower_bound(activations.begin(), activations.end(), w,
                                   [](const auto& a, int64_t b) { return a.first < b; });
    for (; w < windows && starts[w] <= last; ++w) {
      const int64_t lag = starts[w] - first;
      count[lag] += 1;
      if (active == activations.end() || active->first != w) continue;
      const auto value = static_cast<double>(active->second);
      sum[lag] += value;
      square[lag] += value * value;
      ++active;
    }
    ++out.events;
  }
  double largest = -std::numeric_limits<double>::infinity();
  for (int lag = 0; lag < lags; ++lag) {
    const double n = count[lag], mean = sum[lag] / n;
    const double variance = n > 1 ? std::max(0.0, (square[lag] - n * mean * mean) / (n - 1)) : 0;
    constexpr float kNone = std::numeric_limits<float>::quiet_NaN();
    out.mean.push_back(n > 0 ? static_cast<float>(mean) : kNone);
    out.sem.push_back(n > 1 ? static_cast<float>(std::sqrt(variance / n)) : kNone);
    if (n > 0 && mean > largest) {
      largest = mean;
      out.latency = (lag - out.before) * bin_width;
    }
  }
  return out;
}

}  // namespace saed::features
