// What a feature is, without conditions: how often it is active, which units drive it, examples.
#pragma once

#include <cstdint>
#include <vector>

#include "server/features/dictionary.h"

namespace saed::features {

// Fills the statistics, trace map, top units and exemplars of `out`, whose latent is set. `active`
// over all windows `starts`.
void Describe(const sae::Model& model, const recordings::Recording& recording,
              const recordings::ViewData& view, const std::vector<int64_t>& starts,
              const Activations& active, Feature& out);

}  // namespace saed::features
