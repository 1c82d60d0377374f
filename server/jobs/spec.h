// What a job is asked to do.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/features/conditions.h"
#include "server/recordings/view.h"
#include "server/sae/spec.h"

namespace saed::jobs {

// A paired population: the model reconstructs these units from those of the view, on the same bins.
struct Target {
  std::string recording_id;              // empty: the same recording
  std::vector<std::string> unit_labels;  // each empty: any
  std::vector<int64_t> unit_ids;
  std::vector<std::string> unit_regions;
  recordings::NormaliserKind normaliser = recordings::NormaliserKind::kNone;
};

struct TrainSpec {
  std::string recording_id;
  std::string name;              // for people; may be empty
  recordings::DataView view;     // its bin_width may be 0 until Check chooses
  std::optional<Target> target;  // absent: the input itself
  sae::FitSpec fit;              // levels, batch_size, epochs may be missing until Check chooses
  std::vector<std::string> choices;             // what Check chose and why, a line each
  std::vector<std::string> warnings;            // what Check found is likely not meant, too
  std::vector<features::Condition> conditions;  // beside the automatic ones
  features::ConditionColumns condition_columns;
  int threads = 0;  // 0: as many as the server gives one job
};

// Builds a dictionary of a stored model on a recording.
struct AnalyseSpec {
  std::string model_id;
  std::string recording_id;
  std::string name;
  std::vector<features::Condition> conditions;
  features::ConditionColumns condition_columns;
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
