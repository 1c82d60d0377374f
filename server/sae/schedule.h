// Learning rate of every step.
#pragma once

#include <cstdint>

#include "server/sae/spec.h"

namespace saed::sae {

// The rate of step i of n, 0 ≤ i < n. With kWarmupHold and the default fractions this is NLDisco's:
// w = max(1, ⌊0.1 n⌋), h = ⌊0.5 n⌋, m = 0.01·lr; i < w: max(lr·i/w, m); w ≤ i < h: lr;
// else m + ½(lr − m)(1 + cos(π(i − h)/max(1, n − h))).
double LearningRate(const Optimiser& optimiser, int64_t i, int64_t n);

}  // namespace saed::sae
