// What a dictionary of random rows reaches: the part of an AUROC that comes from choosing among
// many filters. A trained dictionary must do better, or it found nothing.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "server/features/judge.h"

namespace saed::features {

// Per condition the best of as many random unit-norm rows as the model has, judged as the model's
// latents are (by the kinds of evidence that are fixed filters; feature, kind and sign chosen on
// training windows). Empty where the model has none of these kinds. `held` as JudgeByEvidence.
absl::StatusOr<std::vector<Judged>> RandomControl(const sae::Model& model, const CountView& target,
                                                  const std::vector<int64_t>& train_starts,
                                                  const WindowConditions& train,
                                                  const std::vector<int64_t>& test_starts,
                                                  const WindowConditions& test, int64_t held,
                                                  const Progress& progress);

}  // namespace saed::features
