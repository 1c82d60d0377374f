// Scores of a feature against conditions (sae.md, section 7).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace saed::features {

// What a condition says of a window.
using WindowLabel = uint8_t;
// It holds not; it holds; it asks nothing of that window, which counts on neither side.
inline constexpr WindowLabel kHoldsNot = 0, kHolds = 1, kOutside = 2;

// [windows] 1 where the condition asks.
std::vector<uint8_t> Asked(const std::vector<WindowLabel>& label);

// One latent's activation over windows: (window, value > 0), windows ascending.
using Activations = std::vector<std::pair<int32_t, float>>;

// With A = active (value > 0) and C = the condition holds, over all windows of which the condition
// asks, inactive ones too.
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

// One latent's activations in the order of their values: made once for all scores that need it.
class Ordered {
 public:
  // NOLINTNEXTLINE(google-explicit-constructor): whoever scores once need not know of it.
  Ordered(const Activations& activations) : entries_(SortedByValue(activations)) {}

  // Ascending by value; ties by window, or in reverse in a negative.
  const Activations& entries() const { return entries_; }
  // Of the negative of the activations in all `windows`, with an entry for each of them.
  Ordered Negated(int64_t windows) const;

 private:
  Ordered() = default;

  Activations entries_;
};

// The windows of which some conditions ask.
class Scope {
 public:
  // Of all [0, windows); or of those where label is not kOutside.
  explicit Scope(int64_t windows) : windows_(windows) {}
  explicit Scope(const std::vector<WindowLabel>& label);

  int64_t windows() const { return windows_; }
  // Whether these are all.
  bool whole() const { return place_.empty(); }
  // Among the scope's windows, −1 where it is not one of them.
  int32_t Place(int64_t window) const {
    return whole() ? static_cast<int32_t>(window) : place_[window];
  }
  // Those that are in it, by their place, in the order that they have.
  Activations Restrict(const Activations& activations) const;
  // The labels of its windows.
  std::vector<WindowLabel> Restrict(const std::vector<WindowLabel>& label) const;
  // Where blocks begin among its windows, then the number of those; blocks without any are gone.
  std::vector<int64_t> RestrictBlocks(const std::vector<int64_t>& blocks) const;

 private:
  int64_t windows_ = 0;
  std::vector<int32_t> place_;
};

// Conditions that ask of the same windows.
struct ScopeConditions {
  Scope scope;
  std::vector<size_t> conditions;  // ascending
};

// In the order of each one's first condition. Linear in windows and conditions.
std::vector<ScopeConditions> ByScope(const std::vector<std::vector<WindowLabel>>& labels,
                                     int64_t windows);

// Which conditions hold in each of the windows [0, n).
struct WindowConditions {
  // Conditions that ask of the same windows. By the windows' places in the scope:
  struct Part {
    ScopeConditions of;
    std::vector<int64_t> begin;      // [windows of the scope + 1]
    std::vector<int32_t> condition;  // that hold, ascending in each window
    // The same by condition: places [first, last) in which of.conditions[i] holds are the
    // stretches from first_of[i] to first_of[i + 1].
    std::vector<std::pair<int32_t, int32_t>> stretches;
    std::vector<int64_t> first_of = {0};
  };
  std::vector<Part> parts;
  std::vector<int64_t> positive,
      asked;  // windows per condition in which it holds, of which it asks
};

// labels[c][w] is what condition c says of window w.
WindowConditions ByWindow(const std::vector<std::vector<WindowLabel>>& labels, int64_t windows);

// Scores of one latent against all conditions at once. Costs the number of active windows times the
// conditions that hold in them, after a sort: a zero activation is never visited.
std::vector<Scores> Score(const Ordered& activations, const WindowConditions& conditions);
// Their AUROCs alone.
std::vector<std::optional<double>> Aurocs(const Ordered& activations,
                                          const WindowConditions& conditions);

}  // namespace saed::features
