// Which units make a feature tell a condition: the judged score traced back to neurons.
#pragma once

#include <cstdint>
#include <vector>

#include "server/features/association.h"
#include "server/features/judge.h"
#include "server/sae/model.h"

namespace saed::features {

// Mean windows where each condition holds less the mean of others of which it asks, over training
// windows.
class Contrasts {
 public:
  // Of at most kMost of the windows `starts` of `counts`, evenly spaced, in the model's normalised
  // units. `conditions` over the same windows.
  Contrasts(const sae::Model& model, const CountView& counts, const std::vector<int64_t>& starts,
            const WindowConditions& conditions);

  static constexpr int64_t kMost = 20000;

  // [units]: what each unit adds to the difference of the judged score between windows where
  // condition c holds and others, so that positive speaks for the condition: the sum over bins of
  // weight times difference in count. The weights are the encoder's row where the code judges, the
  // fixed filter of the kind, and for the kinds given the others the marginal one. Empty where the
  // model lacks what the filter needs or the condition never changes.
  std::vector<double> Drives(int32_t latent, size_t c, const Judged& judged) const;

 private:
  const sae::Model& model_;
  std::vector<std::vector<float>> difference_;  // [condition][S·N]
};

}  // namespace saed::features
