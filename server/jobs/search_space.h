// What a sweep varies: fields of a training specification and the values each may take.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/jobs/spec.h"

namespace saed::jobs {

// One field and its domain: a list of values, or a range.
struct SearchParameter {
  // A field of TrainSpec as `model.levels[0].k` or `optimiser.learning_rate`; or a short name: lr,
  // k and features (of the last level), lambda, selection, loss, epochs, window.
  std::string field;
  std::vector<nlohmann::json> values;  // numbers, texts or booleans; empty: the range
  double low = 0, high = 0;            // inclusive
  bool logarithmic = false, integer = false;
  int points = 0;  // of the range, in a grid
  // Only where that field, one before this one, has one of these values; empty: always.
  std::string when_field;
  std::vector<nlohmann::json> when_values;

  bool categorical() const;  // values without an order: texts or booleans
};

inline constexpr size_t kMaxParameters = 20;
inline constexpr int64_t kMaxGrid = 10'000;

class SearchSpace {
 public:
  // Every fault at once, on "parameters[i].…".
  static absl::StatusOr<SearchSpace> Make(std::vector<SearchParameter> parameters);

  const std::vector<SearchParameter>& parameters() const { return parameters_; }
  size_t size() const { return parameters_.size(); }

  // Points of the unit cube stand for settings: value i of n values is [i/n, (i+1)/n), a range is
  // linear or logarithmic in [0, 1].
  nlohmann::json Value(size_t parameter, double unit) const;
  // Which parameters count at this point.
  std::vector<bool> Active(const std::vector<double>& point) const;

  // All points of the grid, those that differ only in what does not count once. A range gives its
  // `points` values, ends included. INVALID_ARGUMENT where a range has none, or for more than
  // kMaxGrid.
  absl::StatusOr<std::vector<std::vector<double>>> Grid() const;

  // {"field": value} of what counts.
  nlohmann::json Settings(const std::vector<double>& point) const;
  // The specification with these settings. INVALID_ARGUMENT names fields that do not exist or take
  // no such value.
  static absl::StatusOr<TrainSpec> Apply(const TrainSpec& base, const nlohmann::json& settings);

 private:
  std::vector<SearchParameter> parameters_;
  std::vector<int> when_;  // index of the parameter that the condition is about; -1: none
};

nlohmann::json ToJson(const SearchParameter& parameter);
SearchParameter ParseSearchParameter(const nlohmann::json& json);

}  // namespace saed::jobs
