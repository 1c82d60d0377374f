// The flags that say what is trained; of `train` and `sweep`.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/cli/split_flags.h"
#include "saed/v1/jobs.pb.h"

namespace saed::cli {

// "NAME: EXPRESSION", given with `flag`.
absl::StatusOr<v1::Condition> ParseCondition(const std::string& text, const std::string& flag);

// The conditions of a dictionary; of `analyse` too.
struct ConditionFlags {
  std::vector<std::string> conditions, only, excluded;

  void AddTo(CLI::App& command);
  // Of a TrainSpec or an AnalyseSpec. INVALID_ARGUMENT names the flag.
  template <class Spec>
  absl::Status Fill(Spec& spec) const {
    for (const auto& text : conditions) {
      auto condition = ParseCondition(text, "--condition");
      if (!condition.ok()) return condition.status();
      *spec.add_conditions() = *condition;
    }
    if (only.empty() && excluded.empty()) return absl::OkStatus();
    auto& columns = *spec.mutable_condition_columns();
    columns.mutable_only()->Assign(only.begin(), only.end());
    columns.mutable_excluded()->Assign(excluded.begin(), excluded.end());
    return absl::OkStatus();
  }
};

struct TrainFlags {
  std::string recording, mask, segments, selection, loss, output, decoder_start,
      normaliser = "none", schedule;
  std::vector<std::string> labels, levels;
  std::vector<int64_t> unit_ids;
  double bin = 0, minimum_rate = 0, start = 0, stop = 0, learning_rate = 4e-3;
  double hidden_inputs = 0, lambda = 0, final_p = 1, bandwidth = 0, threshold = 0, weight_decay = 0,
         clip = 0, average = 0;
  std::string bias_start, revival, optimiser, target_recording, target_normaliser = "none";
  std::vector<std::string> regions, target_labels, target_regions;
  std::vector<int64_t> target_units;
  bool subtract_bias = false, pre_activation = false;
  int resample_every = 0;
  double aux_weight = 1.0 / 32, k_anneal = 0;
  int window = 1, stride = 1, features = 0, k = 0, batch = 0, epochs = 0, threads = 0;
  int dead_after = 0;
  int64_t max_steps = 0;
  uint64_t seed = 0;
  SplitFlags split;
  ConditionFlags conditions;

  void AddTo(CLI::App& command);
  // INVALID_ARGUMENT names the flag.
  absl::Status Fill(v1::TrainSpec& spec) const;
};

// For calls that may be repeated.
std::string NewRequestId();

}  // namespace saed::cli
