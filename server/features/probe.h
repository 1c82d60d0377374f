// Logistic probes: how well a condition can be read from one latent, from all latents or from the
// raw counts (sae.md, section 7).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "server/features/association.h"
#include "server/features/logistic.h"
#include "server/features/sparse_rows.h"

namespace saed::features {

// Columns as rows: [latent] over windows → rows of windows.
SparseRows Transpose(const std::vector<Activations>& columns, int64_t rows);

// One of FitLogistics, alone.
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
// of the rows has only one class. Rows ascend.
std::optional<ProbeScore> Probe(const SparseRows& x, const std::vector<uint8_t>& label,
                                const ProbeRows& rows);
// The same of several labels side by side, [label]. Works in the caller's TBB arena; the same for
// any number of threads.
std::vector<std::optional<ProbeScore>> ProbeAll(const SparseRows& x,
                                                const std::vector<std::vector<uint8_t>>& labels,
                                                const std::vector<ProbeRows>& rows);

}  // namespace saed::features
