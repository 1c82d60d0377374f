#include "server/inference/model_record.h"

#include <fmt/format.h>

#include <map>

#include "server/inference/spec_json.h"
#include "server/sae/architectures/architecture.h"

namespace saed {

nlohmann::json ToJson(const sae::Evaluation& e) {
  nlohmann::json unit_r2 = nlohmann::json::array();
  for (const auto& r2 : e.unit_r2) unit_r2.push_back(OptionalJson(r2));
  return {{"windows", e.windows},
          {"mse", e.mse},
          {"r2", OptionalJson(e.r2)},
          {"explained_variance", OptionalJson(e.explained_variance)},
          {"cosine", e.cosine},
          {"normalised_mse", OptionalJson(e.normalised_mse)},
          {"bits_per_spike", OptionalJson(e.bits_per_spike)},
          {"l0", e.l0},
          {"l0_histogram", e.l0_histogram},
          {"density", e.density},
          {"dead_fraction", e.dead_fraction},
          {"dense_fraction", e.dense_fraction},
          {"unit_r2", unit_r2}};
}

}  // namespace saed

namespace saed::inference {

namespace {

// Whether the stored spec names a paired population.
bool IsPaired(const storage::ModelRow& row) {
  const auto spec = nlohmann::json::parse(row.spec, nullptr, false);
  return spec.is_object() && spec.contains("target") && spec.at("target").is_object();
}

}  // namespace

std::vector<storage::TensorRow> ToTensors(const sae::Model& model) {
  const auto& p = model.parameters;
  const int64_t F = p.features, D = p.inputs, E = p.outputs, N = model.units;
  std::vector<storage::TensorRow> out = {
      {"encoder", {F, D}, p.encoder},
      {"encoder_bias", {F}, p.encoder_bias},
      {"decoder", {F, E}, p.decoder},
      {"decoder_bias", {E}, p.decoder_bias},
      {"thresholds", {static_cast<int64_t>(model.thresholds.size())}, model.thresholds}};
  if (!model.normaliser.identity()) {
    out.push_back({"offset", {N}, model.normaliser.offset});
    out.push_back({"scale", {N}, model.normaliser.scale});
  }
  if (model.paired() && !model.target_normaliser.identity()) {
    out.push_back({"target_offset", {model.target_units}, model.target_normaliser.offset});
    out.push_back({"target_scale", {model.target_units}, model.target_normaliser.scale});
  }
  if (!model.training.empty()) {
    out.push_back({"target_mean", {E}, model.training.mean});
    out.push_back({"target_count_sd", {model.output_units()}, model.training.count_sd});
  }
  const auto names = sae::LatentParameters(model.spec);
  for (size_t x = 0; x < names.size(); ++x) out.push_back({names[x].name, {F}, p.extra[x]});
  return out;
}

absl::StatusOr<sae::Model> ToModel(const storage::ModelRow& row,
                                   std::vector<storage::TensorRow> tensors) {
  sae::Model model;
  try {
    model.spec = nlohmann::json::parse(row.spec).at("fit").at("model").get<sae::ModelSpec>();
  } catch (const nlohmann::json::exception& e) {
    return absl::DataLossError(fmt::format("models/{} has a damaged spec: {}", row.id, e.what()));
  }
  model.S = row.window;
  model.units = row.units;
  std::map<std::string, std::vector<float>*> places = {
      {"encoder", &model.parameters.encoder},
      {"encoder_bias", &model.parameters.encoder_bias},
      {"decoder", &model.parameters.decoder},
      {"decoder_bias", &model.parameters.decoder_bias},
      {"thresholds", &model.thresholds},
      {"offset", &model.normaliser.offset},
      {"scale", &model.normaliser.scale},
      {"target_offset", &model.target_normaliser.offset},
      {"target_scale", &model.target_normaliser.scale},
      {"target_mean", &model.training.mean},
      {"target_count_sd", &model.training.count_sd}};
  const auto extras = sae::LatentParameters(model.spec);
  model.parameters.extra.resize(extras.size());
  for (size_t x = 0; x < extras.size(); ++x) {
    places[extras[x].name] = &model.parameters.extra[x];
  }
  for (auto& t : tensors) {
    if (const auto it = places.find(t.name); it != places.end()) *it->second = std::move(t.data);
  }
  auto& p = model.parameters;
  p.features = model.spec.features();
  p.inputs = model.inputs();
  if (IsPaired(row)) model.target_units = static_cast<int>(p.decoder_bias.size()) / model.S;
  p.outputs = model.outputs();
  const auto F = static_cast<size_t>(p.features), D = static_cast<size_t>(p.inputs);
  const auto E = static_cast<size_t>(p.outputs);
  const size_t N = model.normaliser.offset.size(), M = model.target_normaliser.offset.size();
  bool extra = true;
  for (const auto& tensor : p.extra) extra = extra && tensor.size() == F;
  const bool statistics =
      model.training.mean.size() == E &&
      model.training.count_sd.size() == static_cast<size_t>(model.output_units());
  const bool none = model.training.empty() && model.training.count_sd.empty();
  if ((!statistics && !none) || p.encoder.size() != F * D || p.decoder.size() != F * E ||
      p.encoder_bias.size() != F || p.decoder_bias.size() != E || !extra ||
      M != model.target_normaliser.scale.size() ||
      (M != 0 && M != static_cast<size_t>(model.target_units)) ||
      model.thresholds.size() != model.spec.levels.size() || N != model.normaliser.scale.size() ||
      (N != 0 && N != static_cast<size_t>(model.units))) {
    return absl::DataLossError(fmt::format("models/{} has tensors of the wrong size", row.id));
  }
  return model;
}

std::vector<int64_t> UnitIds(const storage::ModelRow& row) {
  return nlohmann::json::parse(row.provenance).at("unit_ids").get<std::vector<int64_t>>();
}

std::vector<std::string> Warnings(const storage::ModelRow& row) {
  const auto evaluation = nlohmann::json::parse(row.evaluation, nullptr, false);
  if (!evaluation.is_object()) return {};
  return evaluation.value("warnings", std::vector<std::string>{});
}

}  // namespace saed::inference
