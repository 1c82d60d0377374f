#include "server/features/pool.h"

#include <algorithm>
#include <cmath>

namespace saed::features {

std::optional<Spread> SpreadOf(const std::vector<double>& values) {
  if (values.empty()) return std::nullopt;
  const auto n = static_cast<double>(values.size());
  Spread out;
  for (const double v : values) out.mean += v / n;
  if (values.size() < 2) return out;
  double square = 0;
  for (const double v : values) square += (v - out.mean) * (v - out.mean);
  out.sd = std::sqrt(square / (n - 1));
  return out;
}

std::optional<double> FisherCombined(const std::vector<double>& p) {
  if (p.empty()) return std::nullopt;
  double half = 0;  // of the statistic
  for (const double one : p) half -= std::log(one);
  // The survival function for an even number of degrees of freedom, in logarithms, because its
  // terms may be larger than a double: e^(−h)·Σ h^i/i!.
  double out = 0, logarithm = -half;
  for (size_t i = 0; i < p.size(); ++i) {
    if (i > 0) logarithm += std::log(half) - std::log(static_cast<double>(i));
    out += std::exp(logarithm);
    if (half == 0) return 1;
  }
  return std::min(1.0, out);
}

}  // namespace saed::features
