// Logistic probes: how well a condition can be read from one latent, from all latents or from the
// raw counts (sae.md, section 7).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "server/features/association.h"

namespace saed::features {

// A sparse matrix, row after row.
struct SparseRows {
  std::vector<int64_t> begin = {0};  // [rows + 1]
  std::vector<int32_t> column;
  std::vector<float> value;
  int32_t columns = 0;

  int64_t rows() const { return static_cast<int64_t>(begin.size()) - 1; }
  void Add(int32_t at, float v) {
    column.push_back(at);
    value.push_back(v);
  }
  void EndRow() { begin.push_back(static_cast<int64_t>(column.size())); }
};

// Columns as rows: [latent] over windows → rows of windows.
SparseRows Transpose(const std::vector<Activations>& columns, int64_t rows);

struct Logistic {
  std::vector<double> weight;  // [columns], of unscaled columns
  double intercept = 0;

  double Margin(const SparseRows& x, int64_t row) const;
};

// Minimises Σ over the chosen rows of −log p(label) + |w·σ|²/(2C), the intercept free, σ each
// column's standard deviation over those rows (a column that does not vary gets no weight), as
// scikit-learn's LogisticRegression on standardised columns. L-BFGS from `start` (if not empty: the
// weights of an earlier fit), to a gradient of `tolerance` of its size at 0, or `iterations`.
Logistic FitLogistic(const SparseRows& x, const std::vector<uint8_t>& label,
                     std::span<const int64_t> rows, double c, double tolerance = 1e-8,
                     int iterations = 3000, const Logistic& start = {});

struct ProbeRows {
  std::vector<int64_t> fit, validation, test;
};

struct ProbeScore {
  double balanced_accuracy = 0;  // on test rows
  double c = 0;                  // chosen by AUROC on validation rows, the smallest of equals
};

// C from {1e-3 … 1e3}, each fitted from the one before to a gradient of 1e-4 or 100 iterations; the
// threshold by balanced accuracy on validation rows (the highest of equals). Empty where one side
// of the rows has only one class.
std::optional<ProbeScore> Probe(const SparseRows& x, const std::vector<uint8_t>& label,
                                const ProbeRows& rows);

}  // namespace saed::features
