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

// Draws of rearranged labels are at most this many: enough for a small q among many pairs, and
// nearly all pairs are decided long before.
inline constexpr int kShifts = 10000;
// Where there are very many, and for pairs that nobody looks at first.
inline constexpr int kFewerShifts = 1000;
// A pair whose rearranged AUROC has reached the true one this often is decided (Besag & Clifford
// 1991).
inline constexpr int kEnoughExceedances = 100;
// Fewer blocks than this are too few to draw from with replacement, or to deal a variable's values.
inline constexpr size_t kBlocksToDeal = 10;

// Labels of the windows [0, n), prepared for any number of latents.
//
// Where there are blocks, labels are dealt out: each block gets the labels of another, all of them
// at random, and each block's labels are turned by a random amount. A shift would move labels
// across the blocks' borders and so never do as well as labels that keep to them. Where blocks in
// which a condition holds come in fewer runs than dealing would make (Wald & Wolfowitz 1940,
// one-sided 5 %), as contexts do that last for many trials, dealing would break up what belongs
// together: all blocks' labels then move on by one random number of blocks, around the end, turned
// as before. With one block the labels are shifted around the end, by different amounts drawn from
// all that exist, or by all where there are fewer.
class NullLabels {
 public:
  // labels[c][w] is 1 where condition c holds in window w. `blocks` as from TimeBlocks.
  NullLabels(const std::vector<std::vector<uint8_t>>& labels, int64_t windows,
             const std::vector<int64_t>& blocks);

  // One-sided p-values of one latent's AUROC against the wanted conditions, from at most `draws`
  // rearrangements: p = (1 + #{rearranged AUROC ≥ AUROC})/(1 + draws); where kEnoughExceedances
  // come early, after l draws, p = kEnoughExceedances/l. Empty where the AUROC is undefined or the
  // latent is never active. A draw costs the stretches of windows in which an undecided condition
  // holds, however many windows are active. `stream` makes the draws; thread-safe.
  std::vector<std::optional<double>> PValues(const Activations& activations,
                                             const std::vector<bool>& wanted, uint64_t stream,
                                             int draws = kShifts) const;

  // About what no p-value of condition c can be below, whatever a latent does: of a label that
  // keeps to whole blocks, P of B, it is one over the ways to choose them, B!/(P!·(B − P)!), or 1/B
  // where they come in runs. Else 0.
  double SmallestP(size_t c) const;

  bool deals() const { return blocks_.size() > 2; }
  // Stretches of all conditions together.
  int64_t stretches() const;

 private:
  class Draws;
  // Windows [begin, end) in which a condition holds, in one block where labels are dealt out.
  struct Stretch {
    int64_t begin, end;
  };
  struct Condition {
    int64_t positive = 0;
    std::vector<Stretch> stretches;       // ascending
    std::vector<int32_t> first_of = {0};  // the first stretch of each block, and their number
    bool in_runs = false;                 // the blocks in which it holds come one after another
  };

  int64_t windows_;
  std::vector<int64_t> blocks_;
  std::vector<Condition> conditions_;
};

// How many draws fit the work of a dictionary: kShifts, or kFewerShifts where the latents times the
// stretches of the labels are more than 10⁶.
int AffordableDraws(int64_t latents, int64_t stretches);

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

struct Interval {
  double low = 0, high = 0;
};

inline constexpr int kReplicates = 300;

// Percentile interval (95 %) of an AUROC over kReplicates draws of blocks with replacement. Empty
// where half of the draws or more lack one of the classes.
std::optional<Interval> BootstrapAuroc(const Activations& activations,
                                       const std::vector<uint8_t>& label,
                                       const std::vector<int64_t>& blocks, uint64_t stream);

// The same of the AUROC of `a` less that of `b`, both in the same draws.
std::optional<Interval> BootstrapDifference(const Activations& a, const Activations& b,
                                            const std::vector<uint8_t>& label,
                                            const std::vector<int64_t>& blocks, uint64_t stream);

}  // namespace saed::features
