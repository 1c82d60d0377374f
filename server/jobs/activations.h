// A feature's activations over its dictionary's recording, computed when asked for.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "server/inference/engine.h"
#include "server/jobs/stores.h"
#include "server/sae/evidence.h"

namespace saed::jobs {

// Entries in time order, then by latent. `start_times`: of the windows' first bins, s. Returns
// whether to go on.
using ActivationSink =
    std::function<bool(const std::vector<double>& start_times, const std::vector<int>& latents,
                       const std::vector<float>& values)>;

inline constexpr int kAllLatents = -1;

// Encodes the recording's windows block by block; training and held-out windows are in time order.
// `latent`: one, or kAllLatents. `kind`: evidence of every window instead of activations; the model
// has it and is not paired.
absl::Status StreamActivations(const Stores& stores, const inference::LoadedModel& model,
                               const storage::DictionaryRow& dictionary, int latent,
                               std::optional<sae::EvidenceKind> kind, const ActivationSink& sink);

}  // namespace saed::jobs
