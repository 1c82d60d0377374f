// Scores of sets of features (saed.v1 FeatureSet) in windows of counts.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "server/base/counts.h"
#include "server/sae/evidence.h"
#include "server/sae/model.h"

namespace saed::inference {

struct SetMember {
  std::optional<sae::EvidenceKind> kind;  // none: its code
  int32_t latent = 0;
  double mean = 0, sd = 0, weight = 0;
};
using Set = std::vector<SetMember>;

// [windows, sets]: Σ weight·(value − mean)/sd over the members, in their order, in double precision
// and then rounded: the bits that the set's dictionary has. `codes` are of the same windows under
// the model's own rule. Works in the caller's TBB arena; a window's score does not depend on the
// others.
std::vector<float> ScoreSets(const sae::Model& model, const std::vector<Set>& sets,
                             const CountView& counts, sae::Starts starts,
                             const sae::Codes<float>& codes);

}  // namespace saed::inference
