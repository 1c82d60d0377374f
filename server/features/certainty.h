// How sure a score is (sae.md, section 7): labels that are rearranged (null_labels.h), a bootstrap
// over blocks, and the false discovery rate. Neighbouring windows are alike, so windows are never
// taken as independent.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "server/features/association.h"
#include "server/features/null_labels.h"

namespace saed::features {

// Benjamini & Hochberg 1995: the smallest false discovery rate at which each p would be called.
std::vector<double> BenjaminiHochberg(const std::vector<double>& p);

// Benjamini & Bogomolov 2014: families first, each by Simes' p-value, then their members, at a
// level that shrinks with the fraction of families found. Entry [family][member]: the smallest
// level at which the member would be called. In families in which nothing is true, nearly nothing
// is called, however much is true in others.
std::vector<std::vector<double>> FamilyQValues(const std::vector<std::vector<double>>& p);

// First windows of blocks that are drawn as a whole, then the number of windows: stretches without
// a gap, cut to at most a fiftieth of all windows. `starts` ascend.
std::vector<int64_t> TimeBlocks(const std::vector<int64_t>& starts);

// Blocks that hold a window of the class, 0 or 1, that fewer of them hold.
int64_t BlocksOfRarer(const std::vector<uint8_t>& label, const std::vector<int64_t>& blocks);

// What is drawn for a condition: `blocks`; where those in which it holds come in runs
// (ComesInRuns), as contexts do that last for many trials, each run as a whole; where fewer than
// two of these hold one of the classes `shorter`, unless that is empty.
std::vector<int64_t> BlocksToDraw(const std::vector<uint8_t>& label,
                                  const std::vector<int64_t>& blocks,
                                  const std::vector<int64_t>& shorter);

struct Interval {
  double low = 0, high = 0;
};

inline constexpr int kReplicates = 300;

// Draws of blocks with replacement, kReplicates of them, for all that is scored with the same.
class BlockDraws {
 public:
  // `blocks` as from TimeBlocks; `stream` makes the draws.
  BlockDraws(const std::vector<int64_t>& blocks, uint64_t stream);

  // Interval (95 %) of an AUROC: on the scale of log(p ÷ (1 − p)), in which it is more even near 0
  // and 1 (Pepe 2003), its distances to the percentiles of the draws, times
  // t(n − 1) ÷ 1.96 · √(n ÷ (n − 1)) where n blocks hold windows of the rarer class: percentiles
  // alone are too narrow for few (Hesterberg 2015). In simulations of 2 to 20 trials percentiles
  // held the truth in 0.57 to 0.95 of sets, these in 0.93 to 1 up to an AUROC of 0.93, and in 0.85
  // to 1 near 1. Empty where n < 2, where n < 10 and all draws are the same, or where half of the
  // draws or more lack one of the classes. Windows outside count on neither side. Thread-safe.
  std::optional<Interval> Auroc(const Ordered& values, const std::vector<uint8_t>& label) const;
  // Of the AUROC of `a` less that of `b`, both in the same draws, on the scale as it is.
  std::optional<Interval> Difference(const Ordered& a, const Ordered& b,
                                     const std::vector<uint8_t>& label) const;

 private:
  struct Scores {
    int64_t blocks = 0;  // that hold windows of the rarer class; with none nothing is scored
    std::vector<double> of_all;    // one: the AUROC of all blocks
    std::vector<double> of_draws;  // of those that have both classes: the same for any values
  };
  Scores Aurocs(const Ordered& values, const std::vector<uint8_t>& label) const;

  std::vector<int64_t> blocks_;
  // How often each draw has each block, [draws ÷ 8, blocks, 8]. As one of n blocks is
  // drawn n times, 256 draws of the same are less likely than 10⁻⁵⁰⁰.
  std::vector<uint8_t> weight_;
};

// Of draws that are used once.
std::optional<Interval> BootstrapAuroc(const Ordered& values, const std::vector<uint8_t>& label,
                                       const std::vector<int64_t>& blocks, uint64_t stream);
std::optional<Interval> BootstrapDifference(const Ordered& a, const Ordered& b,
                                            const std::vector<uint8_t>& label,
                                            const std::vector<int64_t>& blocks, uint64_t stream);

}  // namespace saed::features
