// Codes of many windows, by latent.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "server/features/association.h"
#include "server/recordings/view.h"
#include "server/sae/model.h"

namespace saed::features {

using Progress = std::function<bool(double fraction)>;  // false: stop

// Activations of every latent over the windows `starts`, window indices into `starts`. `wanted`
// [F], where it is not empty: the others are left empty. Works in the caller's TBB arena. CANCELLED
// where progress says stop.
absl::StatusOr<std::vector<Activations>> Activate(const sae::Encoder& encoder,
                                                  const recordings::ViewData& view,
                                                  const std::vector<int64_t>& starts,
                                                  const Progress& progress,
                                                  const std::vector<bool>& wanted = {});

// The activations of all latents, or only how many there are of each where that is more than
// `held`.
struct Encoded {
  std::vector<int64_t> entries;
  std::vector<Activations> activations;
  bool whole = true;
};
absl::StatusOr<Encoded> EncodeAll(const sae::Encoder& encoder, const recordings::ViewData& view,
                                  const std::vector<int64_t>& starts, int64_t held,
                                  const Progress& progress);

// Neighbouring latents [begin, end) whose activations are at most `held` together, where one alone
// is not more.
std::vector<std::pair<int64_t, int64_t>> Groups(const Encoded& encoded, int64_t held);
// The same of latents that have so many values each.
std::vector<std::pair<int64_t, int64_t>> Groups(const std::vector<int64_t>& values, int64_t held);

// Activations of windows [begin, end), renumbered from 0.
Activations Part(const Activations& all, int64_t begin, int64_t end);

}  // namespace saed::features
