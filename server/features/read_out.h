// Which conditions can be read from the code, and how much of that one feature carries.
#pragma once

#include <cstdint>
#include <vector>

#include "server/features/dictionary.h"

namespace saed::features {

// At most `most` conditions that have a feature: the first `users`, then by its training AUROC.
std::vector<size_t> ChosenConditions(const std::vector<std::optional<int>>& best,
                                     const std::vector<double>& best_auroc, size_t users,
                                     size_t most);

// Evenly spaced members of [begin, end), at most `most`.
std::vector<int64_t> EvenlySpaced(int64_t begin, int64_t end, int64_t most);

// Probes of the chosen conditions (kProbedConditions). `starts`: training windows, then held-out
// ones unless in_sample. labels[condition][window]. best[condition] as Dictionary::best_features,
// and its training AUROC. The first `users` conditions come first. Works in the caller's TBB arena,
// the same for any number of threads. CANCELLED where progress says stop.
absl::StatusOr<std::vector<Probes>> ReadOut(
    const sae::Encoder& encoder, const recordings::ViewData& view,
    const std::vector<int64_t>& starts, int64_t train, bool in_sample,
    const std::vector<std::vector<uint8_t>>& labels, const std::vector<std::optional<int>>& best,
    const std::vector<double>& best_auroc, size_t users, const Progress& progress);

}  // namespace saed::features
