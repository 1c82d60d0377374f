// Whether a training learned what it was asked to.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/sae/evaluate.h"
#include "server/sae/spec.h"

namespace saed::jobs {

// What a model fell short of on held-out windows, a line each, with the figures and what helps: an
// L0 that misses its target by half of it or more, explained variance or bits per spike below 0,
// most latents never active. FAILED_PRECONDITION where nothing was learned: no latent is ever
// active. `outside_trains`: training windows are not all inside trials, as held-out ones are.
absl::StatusOr<std::vector<std::string>> Shortcomings(const sae::FitSpec& fit, int64_t steps,
                                                      const sae::Evaluation& evaluation,
                                                      bool outside_trains = false);

}  // namespace saed::jobs
