// Hidden input units: at each step of training every window lacks some of its units, drawn anew, in
// all bins, and the model reconstructs all of them from what is left. So a latent learns what units
// do together, not one unit's own spikes.
//
// A hidden unit has the count 0, before the normaliser. The counts of the others are multiplied by
// 1/(1 − fraction), as dropout does it: the mean of W_e·x over the draws is then W_e·x of the full
// window, which is what a model reads once it is trained.
#pragma once

#include <cmath>
#include <cstdint>

#include "server/sae/random.h"

namespace saed::sae {

struct HiddenUnits {
  double fraction = 0;  // each unit's probability; 0: the full window
  uint64_t seed = 0;
  int64_t step = 0;

  bool any() const { return fraction > 0; }
  double gain() const { return 1 / (1 - fraction); }
};

// Sets hidden[n] to 1 or 0 for each unit of one window of the minibatch. A pure function of the
// seed, the step and the row.
inline void DrawHidden(const HiddenUnits& h, int64_t row, int units, uint8_t* hidden) {
  const auto below = static_cast<uint64_t>(std::llround(h.fraction * 0x1.0p32));
  const uint64_t stream = kHiddenStream + static_cast<uint64_t>(h.step);
  const int64_t blocks = (units + 3) / 4;  // a draw is for four units
  for (int n = 0; n < units; n += 4) {
    const auto words = Philox(h.seed, stream, static_cast<uint64_t>(row * blocks + n / 4));
    for (int i = 0; i < 4 && n + i < units; ++i) hidden[n + i] = words[i] < below;
  }
}

}  // namespace saed::sae
