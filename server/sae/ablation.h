// What each latent adds to the reconstruction (sae.md, section 6).
#pragma once

#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "server/sae/model.h"

namespace saed::sae {

inline constexpr int64_t kAblationWindows = 20000;

// [F] (SSE without the latent − SSE)/SST over the windows, or over kAblationWindows of them, evenly
// spaced, where there are more. The latent's code is set to 0 and nothing is selected in its place;
// SST is around each output's mean over these windows. Not additive: latents that stand in for each
// other each seem to add little. All 0 where every output is constant. Works in the caller's TBB
// arena, the same for any number of threads. CANCELLED once keep_going() says no.
absl::StatusOr<std::vector<double>> AblationImportance(const Encoder& encoder,
                                                       const CountView& counts,
                                                       const CountView& target, Starts starts,
                                                       const std::function<bool()>& keep_going);

}  // namespace saed::sae
