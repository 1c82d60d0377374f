#include "server/inference/interchange.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <set>

#include "server/base/display_name.h"
#include "server/base/faults.h"
#include "server/base/json.h"
#include "server/base/status_macros.h"
#include "server/inference/model_record.h"
#include "server/inference/sae_lens_files.h"
#include "server/inference/safetensors.h"
#include "server/inference/spec_json.h"
#include "server/sae/architectures/architecture.h"

namespace saed::inference {
namespace {

using nlohmann::json;
using sae::Selection;

struct Reader {
  const Safetensors& file;
  Faults& faults;
  std::set<std::string> taken = {};

  std::vector<float> Get(const char* name, const std::vector<int64_t>& shape) {
    const storage::TensorRow* t = file.Find(name);
    taken.insert(name);
    if (t == nullptr) {
      faults.Add(kWeights, fmt::format("lacks the tensor {}", name));
      return {};
    }
    if (t->shape != shape) {
      const auto text = [](const std::vector<int64_t>& s) {
        std::string out;
        for (int64_t d : s) out += fmt::format("{}{}", out.empty() ? "" : " x ", d);
        return out;
      };
      faults.Add(kWeights,
                 fmt::format("has {} of shape {}; must be {}", name, text(t->shape), text(shape)));
      return {};
    }
    for (float v : t->data) {
      if (std::isfinite(v)) continue;
      faults.Add(kWeights, fmt::format("has a value in {} that is not finite", name));
      break;
    }
    return t->data;
  }
};

// Says which tensors no part of the model was read from.
void NoteLeftOut(const std::string& file, std::vector<std::string> left_out,
                 std::vector<std::string>& notes) {
  if (left_out.empty()) return;
  constexpr size_t kShown = 5;
  const size_t all = left_out.size();
  if (all > kShown) left_out.resize(kShown);
  notes.push_back(
      fmt::format("{}: {} tensor{} that this architecture does not have {} left out: "
                  "{}{}",
                  file, all, all == 1 ? "" : "s", all == 1 ? "was" : "were",
                  fmt::join(left_out, ", "), all > kShown ? ", ..." : ""));
}

// What a SAE of SAELens does behind its encoder; older versions say topk with `standard`.
struct Activation {
  std::string name = "relu";
  const json* k = nullptr;  // null where it is missing
};

Activation ActivationOf(const json& config) {
  Activation out;
  for (const char* key : {"activation_fn", "activation_fn_str"}) {
    const auto it = config.find(key);
    if (it != config.end() && it->is_string()) out.name = it->get<std::string>();
  }
  const auto k = config.find("k");
  if (k != config.end()) out.k = &*k;
  const auto kwargs = config.find("activation_fn_kwargs");
  if (out.k == nullptr && kwargs != config.end() && kwargs->is_object() && kwargs->contains("k")) {
    out.k = &kwargs->at("k");
  }
  return out;
}

// A number so large that none of a spec's whole numbers could hold it.
bool HasHugeNumber(const json& value) {
  constexpr double kLargest = 1e9;
  if (value.is_number()) return !(std::abs(value.get<double>()) <= kLargest);
  return value.is_structured() && std::any_of(value.begin(), value.end(), HasHugeNumber);
}

absl::Status CheckConfig(const json& config, int inputs, Faults& faults) {
  const auto number = [&](const char* key) {
    return config.contains(key) && config.at(key).is_number_integer()
               ? config.at(key).get<int64_t>()
               : -1;
  };
  if (number("d_in") != inputs) {
    faults.Add(kConfig, fmt::format("has d_in {}; this view has {} inputs (bins x units)",
                                    number("d_in"), inputs));
  }
  if (number("d_sae") < 1 || number("d_sae") > sae::kMaxFeatures ||
      number("d_sae") * inputs > sae::kMaxParameters) {
    faults.Add(kConfig, fmt::format("has d_sae {}; must be 1 to {}, and at most {} weights",
                                    number("d_sae"), sae::kMaxFeatures, sae::kMaxParameters));
  }
  const auto text = [&](const char* key, const char* otherwise) {
    return config.contains(key) && config.at(key).is_string() ? config.at(key).get<std::string>()
                                                              : std::string(otherwise);
  };
  const std::string normalise = text("normalize_activations", "none");
  if (normalise != "none" && normalise != "expected_average_only_in") {
    faults.Add(kConfig, fmt::format("has normalize_activations '{}', which depends on each window; "
                                    "only 'none' and 'expected_average_only_in' (folded) are read",
                                    normalise));
  }
  if (config.value("finetuning_scaling_factor", json(false)) == json(true)) {
    faults.Add(kConfig, "has a finetuning_scaling_factor; fold it into the decoder first");
  }
  if (text("reshape_activations", "none") != "none") {
    faults.Add(kConfig, "reshapes its activations, which counts do not need");
  }
  return faults.ToStatus();
}

// The one of `values` that the metadata name under `key`; the first where they name none.
template <class Value>
Value Named(const json& metadata, const char* key, std::initializer_list<Value> values,
            Faults& faults) {
  const auto it = metadata.find(key);
  if (it == metadata.end()) return *values.begin();
  std::string known;
  for (const Value value : values) {
    if (*it == Name(value)) return value;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", Name(value));
  }
  faults.Add(kConfig, fmt::format("has {} {} in its metadata; must be one of {}", key,
                                  ShownName(it->dump()), known));
  return *values.begin();
}

// The loss and output function that a config's metadata name; mse and identity where they name
// none.
void TakeOutput(const json& config, sae::ModelSpec& spec, Faults& faults) {
  using sae::Loss, sae::Output;
  const auto it = config.find("metadata");
  const json metadata = it != config.end() && it->is_object() ? *it : json::object();
  spec.output =
      Named(metadata, kOutput, {Output::kIdentity, Output::kRelu, Output::kSoftplus}, faults);
  spec.loss = Named(metadata, kLoss, {Loss::kMse, Loss::kMsle, Loss::kPoisson}, faults);
  const bool fits = spec.loss == Loss::kMse ||
                    (spec.loss == Loss::kMsle && spec.output != Output::kIdentity) ||
                    (spec.loss == Loss::kPoisson && spec.output == Output::kSoftplus);
  if (!fits) {
    faults.Add(kConfig, fmt::format("has {} '{}' with {} '{}' in its metadata; poisson goes with "
                                    "softplus, msle with relu or softplus",
                                    kLoss, Name(spec.loss), kOutput, Name(spec.output)));
  }
}

}  // namespace

absl::StatusOr<sae::Model> FromSaeLens(const ModelFiles& files, int S, int units,
                                       std::vector<std::string>& notes) {
  for (const char* name : {kConfig, kWeights}) {
    if (!files.count(name)) {
      return InvalidField("file", fmt::format("'{}' is missing; a SAELens directory has {} and {}",
                                              name, kConfig, kWeights));
    }
  }
  const auto config = ParseUntrustedJson(files.at(kConfig));
  if (!config.is_object()) return InvalidField(kConfig, "is not a JSON object");
  Faults faults;
  SAED_RETURN_IF_ERROR(CheckConfig(config, S * units, faults));
  const std::string architecture = config.value("architecture", json("standard")).is_string()
                                       ? config.value("architecture", std::string("standard"))
                                       : std::string("?");
  static const std::map<std::string, Selection> known = {
      {"standard", Selection::kRelu},       {"topk", Selection::kTopK},
      {"jumprelu", Selection::kJumpRelu},   {"gated", Selection::kGated},
      {"batchtopk", Selection::kBatchTopK}, {"matryoshka_batchtopk", Selection::kBatchTopK}};
  if (!known.count(architecture)) {
    return InvalidField(
        kConfig,
        fmt::format("has architecture '{}'; standard, topk, jumprelu, gated, batchtopk and "
                    "matryoshka_batchtopk can be read",
                    architecture));
  }
  SAED_ASSIGN_OR_RETURN(const Safetensors weights, ReadSafetensors(kWeights, files.at(kWeights)));
  sae::Model model;
  model.S = S;
  model.units = units;
  auto& p = model.parameters;
  p.features = config.at("d_sae").get<int>();
  p.inputs = p.outputs = S * units;
  const int64_t F = p.features, D = p.inputs;
  model.spec.selection = known.at(architecture);
  const Activation activation = ActivationOf(config);
  if (model.spec.selection == Selection::kRelu && activation.name == "topk") {
    model.spec.selection = Selection::kTopK;
  } else if (activation.name != "relu" && activation.name != "topk") {
    faults.Add(kConfig, fmt::format("has the activation function '{}'; relu and topk can be read",
                                    activation.name));
  }
  TakeOutput(config, model.spec, faults);
  model.spec.levels = {{p.features, p.features, 1}};
  model.thresholds = {0};
  Reader in{weights, faults};
  p.encoder = in.Get("W_enc", {D, F});
  p.decoder = in.Get("W_dec", {F, D});
  p.decoder_bias = in.Get("b_dec", {D});
  switch (model.spec.selection) {
    case Selection::kGated:
      p.encoder_bias = in.Get("b_gate", {F});
      p.extra = {in.Get("r_mag", {F}), in.Get("b_mag", {F})};
      break;
    case Selection::kJumpRelu:
      p.encoder_bias = in.Get("b_enc", {F});
      p.extra = {in.Get("threshold", {F})};
      for (float& t : p.extra[0]) {
        if (t < 0) faults.Add(kWeights, fmt::format("has the negative threshold {}", t));
        if (t < 0) break;
        // z > 0 is z > the smallest positive float, to one part in 10^37.
        t = std::log(std::max(t, 1e-37f));
      }
      break;
    case Selection::kBatchTopK:
      p.encoder_bias = in.Get("b_enc", {F});
      if (const auto t = in.Get("topk_threshold", {}); !t.empty()) {
        model.thresholds = {std::nextafter(t[0], INFINITY)};
      }
      break;
    default:
      p.encoder_bias = in.Get("b_enc", {F});
  }
  const json* const k = activation.k;
  if (k != nullptr && k->is_number()) {
    const auto value = k->get<double>();
    model.spec.levels[0].k = value >= 1 && value <= p.features ? static_cast<int>(value) : 0;
  }
  if (model.spec.k() < 1 || model.spec.k() > p.features ||
      (model.spec.selection == Selection::kTopK && (k == nullptr || !k->is_number()))) {
    faults.Add(kConfig, fmt::format("has k {}; must be 1 to d_sae ({})",
                                    k == nullptr ? "missing" : k->dump(), p.features));
  }
  std::vector<std::string> left_out = weights.unread;
  for (const auto& t : weights.tensors) {
    if (in.taken.count(t.name) == 0) left_out.push_back(t.name);
  }
  NoteLeftOut(kWeights, std::move(left_out), notes);
  SAED_RETURN_IF_ERROR(faults.ToStatus());
  if (config.value("rescale_acts_by_decoder_norm", json(false)) == json(true)) {
    for (int64_t j = 0; j < F; ++j) {
      double square = 0;
      for (int64_t i = 0; i < D; ++i) square += std::pow(p.decoder[j * D + i], 2);
      if (std::abs(std::sqrt(square) - 1) > 1e-3) {
        return InvalidField(kConfig, fmt::format("ranks latents by decoder norm, and latent {} has "
                                                 "norm {:.4f}; fold the norms first "
                                                 "(fold_W_dec_norm)",
                                                 j, std::sqrt(square)));
      }
    }
  }
  p.encoder = Transposed(p.encoder, D, F);
  if (config.value("apply_b_dec_to_input", json(true)) != json(false)) {
    for (int64_t j = 0; j < F; ++j) {
      double shift = 0;
      for (int64_t i = 0; i < D; ++i) {
        shift += static_cast<double>(p.encoder[j * D + i]) * p.decoder_bias[i];
      }
      p.encoder_bias[j] = static_cast<float>(p.encoder_bias[j] - shift);
      if (model.spec.selection == Selection::kGated) {
        p.extra[1][j] = static_cast<float>(p.extra[1][j] - std::exp(p.extra[0][j]) * shift);
      }
    }
  }
  return model;
}

std::string ToPlain(const sae::Model& model) {
  json spec = model.spec;
  return WriteSafetensors({ToTensors(model),
                           {{"format", "saed"},
                            {"saed_model", spec.dump()},
                            {"saed_window", std::to_string(model.S)},
                            {"saed_target_units", std::to_string(model.target_units)}}});
}

absl::StatusOr<sae::Model> FromPlain(const std::string& name, const std::string& bytes, int S,
                                     int units, std::vector<std::string>& notes) {
  SAED_ASSIGN_OR_RETURN(Safetensors file, ReadSafetensors(name, bytes));
  NoteLeftOut(name, file.unread, notes);
  const auto text = file.metadata.find("saed_model");
  if (text == file.metadata.end()) {
    return InvalidField(name,
                        "has no metadata saed_model; it is not a file that saed wrote. A "
                        "SAELens directory is imported as such");
  }
  for (const auto& t : file.tensors) {
    for (float v : t.data) {
      if (!std::isfinite(v)) {
        return InvalidField(name, fmt::format("has a value in {} that is not finite", t.name));
      }
    }
  }
  storage::ModelRow row;
  row.id = name;
  row.window = S;
  row.units = units;
  const json written = ParseUntrustedJson(text->second);
  if (!written.is_object()) {
    return InvalidField(name, "has a damaged saed_model: must be a JSON object");
  }
  if (HasHugeNumber(written)) {
    return InvalidField(name, "has a damaged saed_model: a number in it goes beyond 1e9");
  }
  json spec = {{"fit", {{"model", written}}}};
  if (file.metadata["saed_target_units"] != "0") spec["target"] = json::object();
  row.spec = spec.dump();
  try {
    const auto parsed = spec.at("fit").at("model").get<sae::ModelSpec>();
    sae::FitSpec fit;
    fit.model = parsed;
    SAED_RETURN_IF_ERROR(sae::Validate(fit, false));
  } catch (const nlohmann::json::exception& e) {
    return InvalidField(name, fmt::format("has a damaged saed_model: {}", e.what()));
  }
  auto model = ToModel(row, std::move(file.tensors));
  if (!model.ok()) {
    return InvalidField(name, fmt::format("does not fit a view of {} bins x {} units: its tensors "
                                          "have other sizes than its spec and the view say",
                                          S, units));
  }
  return model;
}

}  // namespace saed::inference
