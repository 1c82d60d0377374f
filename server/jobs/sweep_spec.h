// What a sweep is asked to do.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/features/conditions.h"
#include "server/jobs/search.h"
#include "server/jobs/search_space.h"
#include "server/jobs/spec.h"

namespace saed::jobs {

enum class ObjectiveKind {
  kError,              // mean squared error of the reconstruction; small is good
  kExplainedVariance,  // large is good, as all that follow
  kBitsPerSpike,       // models whose target is counts
  kAuroc,              // of a condition, for the feature chosen on the training windows
};

// Measured on validation windows: part of the training side, which the trials do not train on.
// Held-out windows are never looked at, so that their scores stay honest.
struct Objective {
  ObjectiveKind kind = ObjectiveKind::kExplainedVariance;
  // Explained variance and bits per spike lose max(0, L0/target − 1); 0: no target.
  double l0_target = 0;
  features::Condition condition;  // of kAuroc
};

enum class SearchMethod { kGrid, kRandom, kTpe };

struct SweepSpec {
  TrainSpec base;
  std::string name;
  std::vector<SearchParameter> parameters;
  SearchMethod method = SearchMethod::kTpe;
  Objective objective;
  int trials = 0;                    // of random and TPE
  int seeds = 1;                     // per trial, whose value is the mean over them
  Rungs rungs;                       // one: no early stopping
  int parallel = 0;                  // trials at once; 0: as many as fit the server's threads
  double validation_fraction = 0.2;  // of the training windows
  double core_seconds = 0;           // nothing new is begun after so many; 0: no limit
  uint64_t seed = 0;                 // of the search
  bool train_best = true;            // on all training windows, with a dictionary, at the end
};

// One trial's job.
struct TrialSpec {
  TrainSpec train;
  Objective objective;
  Rungs rungs;
  double validation_fraction = 0.2;
};

// What a trial reached at a rung.
struct TrialResult {
  int64_t step = 0;
  double value = 0;  // of the objective
  double error = 0, l0 = 0, dead_fraction = 0;
  std::optional<double> explained_variance, bits_per_spike, auroc;
};

// Whether a is better than b.
inline bool SmallIsGood(ObjectiveKind kind) { return kind == ObjectiveKind::kError; }

nlohmann::json ToJson(const SweepSpec& spec);
nlohmann::json ToJson(const TrialSpec& spec);
nlohmann::json ToJson(const TrialResult& result);
// DATA_LOSS where the text is not what saed wrote.
absl::StatusOr<SweepSpec> ParseSweepSpec(const std::string& json);
absl::StatusOr<TrialSpec> ParseTrialSpec(const std::string& json);
absl::StatusOr<TrialResult> ParseTrialResult(const std::string& json);

}  // namespace saed::jobs
