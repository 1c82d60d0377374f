// The one number by which a search judges a model against a condition.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "server/features/conditions.h"
#include "server/features/dictionary.h"

namespace saed::features {

// AUROC in the windows `validation` of the feature that has the highest one in the windows `train`,
// by its code or a kind of evidence and the sign chosen there too (see judge.h). `target`: the
// counts that the model reconstructs, on the view's bins. Empty where the condition holds in none
// or all windows of a side. Works in the caller's TBB arena.
absl::StatusOr<std::optional<double>> ChosenAuroc(
    const sae::Encoder& encoder, const recordings::Recording& recording,
    const recordings::ViewData& view, const CountView& target, const Condition& condition,
    const std::vector<int64_t>& train, const std::vector<int64_t>& validation,
    const Progress& progress);

}  // namespace saed::features
