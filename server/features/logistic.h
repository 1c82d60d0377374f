// L2 logistic regression, several fits side by side.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "server/features/sparse_rows.h"

namespace saed::features {

struct Logistic {
  std::vector<double> weight;  // [columns], of unscaled columns
  double intercept = 0;

  double Margin(const SparseRows& x, int64_t row) const;
};

// What one fit is of. Labels and rows outlive it; rows ascend.
struct LogisticFit {
  const std::vector<uint8_t>* label = nullptr;
  std::span<const int64_t> rows;
  double c = 1;
  Logistic start;  // if not empty: the weights of an earlier fit
};

// Minimises Σ over the chosen rows of −log p(label) + |w·σ|²/(2C), the intercept free, σ each
// column's standard deviation over those rows (a column that does not vary gets no weight), as
// scikit-learn's LogisticRegression on standardised columns. L-BFGS from `start`, to a gradient of
// `tolerance` of its size at 0, or `iterations`. The same bits for any number of threads; what goes
// beside a fit may change its sums in their last bits. Works in the caller's TBB arena.
std::vector<Logistic> FitLogistics(const SparseRows& x, const std::vector<LogisticFit>& fits,
                                   double tolerance, int iterations);
// The same; where fit i ends, next(i, what it came to) says what it goes on with, on the same rows
// and labels with another C, or nothing. Called for several at once. `beside_others`: other calls
// keep the cores busy, so that few fits share one.
void FitLogistics(const SparseRows& x, const std::vector<LogisticFit>& fits, double tolerance,
                  int iterations,
                  const std::function<std::optional<double>(size_t i, const Logistic&)>& next,
                  bool beside_others = false);

}  // namespace saed::features
