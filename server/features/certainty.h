// How sure a score is (sae.md, section 7): circular shifts, a bootstrap over blocks of time, and
// the false discovery rate. Neighbouring windows are alike, so windows are never taken as
// independent.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "server/features/association.h"

namespace saed::features {

// Labels of the windows [0, n), prepared for shifting.
class ShiftedLabels {
 public:
  // labels[c][w] is 1 where condition c holds in window w.
  ShiftedLabels(const std::vector<std::vector<uint8_t>>& labels, int64_t windows);

  int64_t windows() const { return windows_; }
  size_t conditions() const { return runs_.size(); }
  // Whether some windows are labelled 1 and some 0.
  bool has_both(size_t c) const;

 private:
  friend class ShiftSums;
  int64_t windows_;
  std::vector<std::vector<std::pair<int64_t, int64_t>>>
      runs_;                                 // [begin, end) of each stretch of 1s
  std::vector<std::vector<uint8_t>> twice_;  // labels, one after another
};

// Enough for a small q among many pairs; nearly all pairs are decided long before.
inline constexpr int kShifts = 10000;
// A pair whose shifted AUROC has reached the true one this often is decided (Besag & Clifford
// 1991).
inline constexpr int kEnoughExceedances = 100;

// One-sided p-values of one latent's AUROC against the wanted conditions: the activation is shifted
// against the labels by kShifts different amounts, drawn from all that exist, or by all where there
// are fewer. p = (1 + #{AUROC of a shift ≥ AUROC})/(1 + shifts); where kEnoughExceedances come
// early, after l shifts, p = kEnoughExceedances/l. Empty where the AUROC is undefined or the latent
// is never active. A shift costs the smaller of active windows and stretches of the condition.
// `stream` makes the draw; thread-safe.
std::vector<std::optional<double>> ShiftPValues(const Activations& activations,
                                                const ShiftedLabels& labels,
                                                const std::vector<bool>& wanted, uint64_t stream);

// Fewer blocks than this are too few to deal out.
inline constexpr size_t kBlocksToDeal = 10;

// The same for recordings in blocks, where a shift would move labels across the blocks' borders and
// so never do as well as labels that keep to them: each block gets the labels of another, all of
// them dealt out at random, and each block's labels are turned by a random amount. `blocks` as from
// TimeBlocks. A deal costs the active windows.
std::vector<std::optional<double>> DealPValues(const Activations& activations,
                                               const std::vector<std::vector<uint8_t>>& labels,
                                               const std::vector<int64_t>& blocks,
                                               const std::vector<bool>& wanted, uint64_t stream);

// Benjamini & Hochberg 1995: the smallest false discovery rate at which each p would be called.
std::vector<double> BenjaminiHochberg(const std::vector<double>& p);

// First windows of blocks that are drawn as a whole, then the number of windows: stretches without
// a gap, cut to at most a fiftieth of all windows. `starts` ascend.
std::vector<int64_t> TimeBlocks(const std::vector<int64_t>& starts);

struct Interval {
  double low = 0, high = 0;
};

inline constexpr int kReplicates = 300;

// Percentile interval (95 %) of an AUROC over kReplicates draws of blocks with replacement. Empty
// where half of the draws or more lack one of the classes.
std::optional<Interval> BootstrapAuroc(const Activations& activations,
                                       const std::vector<uint8_t>& label,
                                       const std::vector<int64_t>& blocks, uint64_t stream);

}  // namespace saed::features
