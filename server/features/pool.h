// One condition over several recordings.
#pragma once

#include <optional>
#include <vector>

namespace saed::features {

struct Spread {
  double mean = 0;
  std::optional<double> sd;  // n − 1; of two or more
};

// Empty for no values.
std::optional<Spread> SpreadOf(const std::vector<double>& values);

// Fisher 1932: the chance that −2·Σ ln p of independent p-values is as large where all nulls are
// true, by χ² with 2·n degrees of freedom. Empty for none; p must be in (0, 1].
std::optional<double> FisherCombined(const std::vector<double>& p);

}  // namespace saed::features
