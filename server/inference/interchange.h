// Models as files of other programs: a SAELens directory (cfg.json and sae_weights.safetensors) and
// one plain safetensors file with saed's own tensors and its model spec as metadata.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/sae/model.h"

namespace saed::inference {

using ModelFiles = std::map<std::string, std::string>;  // name → bytes

// SAELens' inference form. Normaliser and subtracted bias are folded into the weights, so that the
// SAE takes raw counts. BatchTopK, with levels or without, becomes `jumprelu` with its calibrated
// threshold. FAILED_PRECONDITION, with the reason, where SAELens cannot express the model: an
// output function, or a paired target with TopK or Gated.
absl::StatusOr<ModelFiles> ToSaeLens(const sae::Model& model, const std::string& name);

// The same of a model with an output function up to that function: SAELens' decoder gives what goes
// into it. cfg.json's metadata.saed_output is its name. FAILED_PRECONDITION also where outputs are
// scaled behind the function, which these files have no place for.
absl::StatusOr<ModelFiles> ToSaeLensLinear(const sae::Model& model, const std::string& name);

// The reason, before there is a model; empty where SAELens can express it.
std::string WhyNotSaeLens(const sae::ModelSpec& spec, bool paired);

// `inputs` = S·N is what the model must take, `units` = N. Architectures: standard, topk, jumprelu,
// gated, batchtopk, matryoshka_batchtopk; `standard` with the activation function topk is TopK. The
// output function is the one that metadata.saed_output names, if any.
// INVALID_ARGUMENT names the file and what is wrong in it. Tensors that the model does not have are
// left out, and `notes` says so.
absl::StatusOr<sae::Model> FromSaeLens(const ModelFiles& files, int S, int units,
                                       std::vector<std::string>& notes);

// Names as in ToTensors; metadata "saed_model" is the model spec as JSON.
std::string ToPlain(const sae::Model& model);
absl::StatusOr<sae::Model> FromPlain(const std::string& name, const std::string& bytes, int S,
                                     int units, std::vector<std::string>& notes);

}  // namespace saed::inference
