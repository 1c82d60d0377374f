// What the page shows of one feature.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/inference/engine.h"
#include "server/jobs/stores.h"
#include "server/recordings/recording.h"

namespace saed::report {

// Four digits: what a plot can show. null where it is not finite.
nlohmann::json Short(double value);
nlohmann::json Short(const std::optional<double>& value);
nlohmann::json Short(const float* values, size_t count);

struct FeatureContext {
  const jobs::Stores& stores;
  const inference::LoadedModel& model;
  const recordings::Recording& recording;
  std::string dictionary_id, model_id;
  double bin_width = 0;  // s
  storage::Viewer viewer;
};

// Scores against conditions, tunings, responses, trace map and decoder of the top units, exemplars
// with the top units' spikes, notes.
absl::StatusOr<nlohmann::json> FeatureJson(const FeatureContext& context, int latent);

}  // namespace saed::report
