// Whether a training learned what it was asked to.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/sae/evaluate.h"
#include "server/sae/spec.h"

namespace saed::jobs {

// What a model fell short of on held-out windows, a line each, with the figures and what helps: an
// L0 that misses its target by a factor of 1.5 or more, explained variance or bits per spike below
// 0, most latents never active. FAILED_PRECONDITION where nothing was learned: no latent is ever
// active.
absl::StatusOr<std::vector<std::string>> Shortcomings(const sae::FitSpec& fit, int64_t steps,
                                                      const sae::Evaluation& evaluation);

}  // namespace saed::jobs
