// What a job is asked to do.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/features/conditions.h"
#include "server/recordings/view.h"
#include "server/sae/spec.h"

namespace saed::jobs {

struct TrainSpec {
  std::string recording_id;
  std::string name;  // for people; may be empty
  recordings::DataView view;
  sae::FitSpec fit;
  std::vector<features::Condition> conditions;  // beside the automatic ones
  int threads = 0;                              // 0: as many as the server gives one job
};

// Builds a dictionary of a stored model on a recording.
struct AnalyseSpec {
  std::string model_id;
  std::string recording_id;
  std::string name;
  std::vector<features::Condition> conditions;
  int threads = 0;
};

nlohmann::json ToJson(const TrainSpec& spec);
nlohmann::json ToJson(const AnalyseSpec& spec);
nlohmann::json ToJson(const features::Condition& condition);
// DATA_LOSS where the text is not a spec that saed wrote.
absl::StatusOr<TrainSpec> ParseTrainSpec(const std::string& json);
absl::StatusOr<AnalyseSpec> ParseAnalyseSpec(const std::string& json);
absl::StatusOr<features::Condition> ParseCondition(const std::string& json);

}  // namespace saed::jobs
