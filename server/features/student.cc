#include "server/features/student.h"

#include <cmath>
#include <numbers>

namespace saed::features {
namespace {

constexpr double kNormal = 1.959963984540054;  // quantile 0.975

// The probability of |t| ≤ x.
double Within(double x, int64_t degrees) {
  const double angle = std::atan(x / std::sqrt(static_cast<double>(degrees)));
  const double cosine = std::cos(angle);
  const bool odd = degrees % 2 == 1;
  // sin θ (cos θ + 2/3 cos³ θ + …), or sin θ (1 + 1/2 cos² θ + …): degrees ÷ 2 terms.
  double term = std::sin(angle) * (odd ? cosine : 1), sum = 0;
  for (int64_t i = odd ? 1 : 0; i < degrees - 1; i += 2) {
    sum += term;
    term *= cosine * cosine * static_cast<double>(i + 1) / static_cast<double>(i + 2);
  }
  return odd ? 2 / std::numbers::pi * (angle + sum) : sum;
}

double Expanded(double degrees) {
  const double x = kNormal, x2 = x * x;
  const double terms[] = {
      (x2 + 1) * x / 4,
      ((5 * x2 + 16) * x2 + 3) * x / 96,
      (((3 * x2 + 19) * x2 + 17) * x2 - 15) * x / 384,
  };
  return x + (terms[0] + (terms[1] + terms[2] / degrees) / degrees) / degrees;
}

}  // namespace

double StudentQuantile975(int64_t degrees) {
  if (degrees > 200) return Expanded(static_cast<double>(degrees));
  double low = kNormal, high = 13;  // one degree: 12.706
  for (int i = 0; i < 40; ++i) {
    const double middle = (low + high) / 2;
    (Within(middle, degrees) < 0.95 ? low : high) = middle;
  }
  return (low + high) / 2;
}

}  // namespace saed::features
