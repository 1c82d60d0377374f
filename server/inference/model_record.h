// Between a stored model and one in memory.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/sae/model.h"
#include "storage/models_table.h"

namespace saed::inference {

// Tensors:
// encoder [F, D], encoder_bias [F], decoder [F, E], decoder_bias [E], thresholds [levels], where
// the input is normalised offset [N] and scale [N], where a paired target is, target_offset [M] and
// target_scale [M], of the training windows target_mean [E] and target_count_sd [M] (absent from
// models of before 0.2 and of other programs), and the architecture's own (LatentParameters), [F]
// each.
std::vector<storage::TensorRow> ToTensors(const sae::Model& model);

// `spec_json` is the "fit" spec of the stored model. DATA_LOSS where tensors and spec disagree.
absl::StatusOr<sae::Model> ToModel(const storage::ModelRow& row,
                                   std::vector<storage::TensorRow> tensors);

// Ids of the units that the model's inputs are, in their order.
std::vector<int64_t> UnitIds(const storage::ModelRow& row);

// What the model's training fell short of, beside its evaluation; none of imported ones.
std::vector<std::string> Warnings(const storage::ModelRow& row);

}  // namespace saed::inference
