// What a score would be if labels had nothing to do with activity: they are rearranged, keeping
// what belongs together. Neighbouring windows are alike, so windows are never taken as independent.
#pragma once

#include <cstdint>
#include <memory>
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

// What p-values are asked of: one latent's values, or their negative, and for which conditions.
struct Tested {
  const Ordered* values = nullptr;  // outlives the call
  bool falls = false;
  std::vector<bool> wanted;  // [condition]
};

// Whether a sequence of 0 and 1 has significantly fewer runs of equal entries than in a random
// order (Wald & Wolfowitz 1940, one-sided 5 %).
bool ComesInRuns(const std::vector<uint8_t>& sequence);

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
  // labels[c][w] is what condition c says of window w; those outside are as if they were not there.
  // `blocks` as from TimeBlocks.
  NullLabels(const std::vector<std::vector<uint8_t>>& labels, int64_t windows,
             const std::vector<int64_t>& blocks);
  ~NullLabels();

  // One-sided p-values of one latent's AUROC against the wanted conditions, from at most `draws`
  // rearrangements: p = (1 + #{rearranged AUROC ≥ AUROC})/(1 + draws); where kEnoughExceedances
  // come early, after l draws, p = kEnoughExceedances/l. Empty where the AUROC is undefined or the
  // latent is never active. A draw costs the stretches of windows in which an undecided condition
  // holds, however many windows are active, or the blocks, where it keeps to whole ones. `stream`
  // makes the draws; thread-safe.
  std::vector<std::optional<double>> PValues(const Activations& activations,
                                             const std::vector<bool>& wanted, uint64_t stream,
                                             int draws = kShifts) const;
  // The same of several values of a latent in the same draws, [tested][condition].
  std::vector<std::vector<std::optional<double>>> PValuesOf(const std::vector<Tested>& tested,
                                                            uint64_t stream, int draws) const;

  // About what no p-value of condition c can be below, whatever a latent does: of a label that
  // keeps to whole blocks, P of B, it is one over the ways to choose them, B!/(P!·(B − P)!), or 1/B
  // where they come in runs. Else 0.
  double SmallestP(size_t c) const;

  // Labels of condition c in one rearrangement, those outside where they were.
  std::vector<WindowLabel> Rearranged(size_t c, uint64_t stream) const;

  // Stretches of all conditions together.
  int64_t stretches() const;

 private:
  class Part;  // of conditions that ask of the same windows
  class Draws;
  class Sums;  // of ranks

  int64_t windows_;
  std::vector<std::unique_ptr<const Part>> parts_;
  std::vector<std::pair<const Part*, size_t>>
      at_;  // of every condition, with its place in the part
};

// How many draws fit the work of a dictionary: kShifts, or kFewerShifts where the latents times the
// stretches of the labels are more than 10⁶.
int AffordableDraws(int64_t latents, int64_t stretches);

}  // namespace saed::features
