// Scores of a feature against conditions (sae.md, section 7).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace saed::features {

// One latent's activation over windows: (window, value > 0), windows ascending.
using Activations = std::vector<std::pair<int32_t, float>>;

// With A = active (value > 0) and C = the condition holds, over all windows, inactive ones too.
// A score is empty where it is undefined.
struct Scores {
  std::optional<double> coverage;     // P(A | C), the true positive rate
  std::optional<double> specificity;  // P(¬A | ¬C)
  std::optional<double> selectivity;  // TPR / (TPR + FPR); 0 where both are 0
  std::optional<double> precision;    // P(C | A)
  std::optional<double> prevalence;   // P(C)
  std::optional<double> auroc;        // P(a_C > a_¬C) + ½P(=), by average ranks
};

// Ascending by value, then by window; −0 counts as 0.
Activations SortedByValue(const Activations& activations);

// Which conditions hold in each of the windows [0, n).
struct WindowConditions {
  std::vector<int64_t> begin;      // [n + 1]
  std::vector<int32_t> condition;  // ascending in each window
  std::vector<int64_t> positive;   // windows per condition

  int64_t windows() const { return static_cast<int64_t>(begin.size()) - 1; }
};

// labels[c][w] is 1 where condition c holds in window w.
WindowConditions ByWindow(const std::vector<std::vector<uint8_t>>& labels, int64_t windows);

// Scores of one latent against all conditions at once. Costs the number of active windows times the
// conditions that hold in them, after a sort: a zero activation is never visited.
std::vector<Scores> Score(const Activations& activations, const WindowConditions& conditions);
// Their AUROCs alone.
std::vector<std::optional<double>> Aurocs(const Activations& activations,
                                          const WindowConditions& conditions);

}  // namespace saed::features
