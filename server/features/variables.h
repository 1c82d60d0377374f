// Continuous variables: what a feature does along a position, a speed, a contrast (sae.md, section
// 7).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "server/features/association.h"
#include "server/recordings/recording.h"
#include "server/recordings/view.h"

namespace saed::features {

inline constexpr size_t kMaxVariables = 100;
inline constexpr int kTuningBins = 20;
inline constexpr int kVariableShifts = 1000;

// A number for every window, NaN where there is none.
struct Variable {
  std::string name;  // "series.channel" (or "series") or "table.column"
  std::vector<double> values;
};

// Every series channel, and every numeric column of an interval table that is not a time, while its
// rows last; those that never change, or have fewer than three values, are left out. `starts`:
// first bins of the windows; a window's value is that of its last bin. What is left out for want of
// room (kMaxVariables) is said in `warnings`.
std::vector<Variable> AutomaticVariables(const recordings::Recording& recording,
                                         const recordings::ViewData& view,
                                         const std::vector<int64_t>& starts,
                                         std::vector<std::string>& warnings);

// One side of a split, prepared for any number of features: windows with a value, in time order.
class VariableSide {
 public:
  // Values of the side's windows; NaN: none. `edges`: of the tuning curve, kTuningBins + 1 or none.
  // `blocks`: first windows of blocks whose values may change places (as SplitBlocks), then the
  // number of windows; fewer than kBlocksToDeal + 1 entries: windows are shifted instead.
  VariableSide(std::vector<double> values, const std::vector<double>& edges,
               const std::vector<int64_t>& blocks);

  int64_t windows() const { return static_cast<int64_t>(rank_.size()); }
  const std::vector<int64_t>& occupancy() const { return occupancy_; }  // [kTuningBins]

  // Spearman's rank correlation of activation and value, ties averaged; empty where one of them is
  // constant.
  std::optional<double> Spearman(const Activations& activations) const;
  // Two-sided: the values are moved against the activation by kVariableShifts random shifts, or
  // their blocks dealt out anew and turned; (1 + those with |ρ| as large) ÷ (1 + all), stopped
  // early as NullLabels.
  std::optional<double> PValue(const Activations& activations, uint64_t stream) const;
  // Mutual information in bits between activation (none, or which third of `levels`) and tuning
  // bin, less its bias (Miller 1955); may be slightly negative. Empty without edges.
  std::optional<double> Information(const Activations& activations,
                                    const std::vector<float>& levels) const;
  // [kTuningBins] mean activation over windows; NaN where there are none.
  std::vector<float> Tuning(const Activations& activations) const;

 private:
  // Of windows that have a value: (position among them, activation).
  Activations Known(const Activations& activations) const;

  std::vector<int64_t> known_;  // position of each window among those with a value, or −1
  std::vector<double> rank_;    // average rank less the mean
  double rank_square_ = 0;      // Σ rank²
  std::vector<int32_t> bin_;    // tuning bin of windows with a value
  std::vector<int64_t> occupancy_;
  std::vector<int64_t> blocks_;  // in positions among windows with a value
};

// kTuningBins + 1 edges of equal width between the 0.5th and the 99.5th percentile; empty where
// those are equal or nothing is known. Values outside count in the outer bins.
std::vector<double> TuningEdges(std::vector<double> values);

// Two limits that cut the positive activations into thirds; empty where there are fewer than three.
std::vector<float> ActivationLevels(const Activations& activations);

// How one feature goes with one variable.
struct VariableScores {
  std::optional<double> train_spearman, test_spearman;
  std::optional<double> train_information, test_information;  // bits
  std::optional<double> p, q;                                 // of the held-out Spearman
  std::vector<float> train_tuning, test_tuning;               // [kTuningBins]
};

}  // namespace saed::features
