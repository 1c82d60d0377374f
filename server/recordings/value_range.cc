#include "server/recordings/value_range.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <optional>

namespace saed::recordings {
namespace {

constexpr double kNearlyWhole = 1e-6;  // of a step

// The number that `at` begins with, after which `at` is moved.
std::optional<double> Number(const char*& at) {
  char* end = nullptr;
  const double value = std::strtod(at, &end);
  if (end == at || std::isnan(value)) return std::nullopt;
  at = end;
  return value;
}

}  // namespace

absl::StatusOr<ValueRange> ValueRange::Parse(const std::string& text) {
  constexpr double kAll = std::numeric_limits<double>::infinity();
  ValueRange out;
  if (text == "even" || text == "odd") {
    out.low_ = -kAll;
    out.high_ = kAll;
    out.from_ = text == "odd" ? 1 : 0;
    out.step_ = 2;
    return out;
  }
  const char* at = text.c_str();
  const auto low = Number(at);
  if (low) {
    out.low_ = out.high_ = out.from_ = *low;
    if (*at == '\0') return out;
    if (*at == '-') {
      const auto high = Number(++at);
      if (high) {
        out.high_ = *high;
        if (*at == '\0' && *high >= *low) return out;
        if (*at == '/' && *high >= *low && std::isfinite(*low)) {
          const auto step = Number(++at);
          if (step && *at == '\0' && *step > 0 && std::isfinite(*step)) {
            out.step_ = *step;
            return out;
          }
        }
      }
    }
  }
  return absl::InvalidArgumentError(fmt::format(
      "'{}', which is neither a number, a range such as 0-22 or 0-1265/2 (every second), nor even "
      "or odd",
      text));
}

bool ValueRange::Has(double value) const {
  if (!(value >= low_ && value <= high_)) return false;
  if (step_ == 0) return true;
  const double steps = (value - from_) / step_;
  return std::abs(steps - std::round(steps)) <= kNearlyWhole;  // not where it is infinite
}

}  // namespace saed::recordings
