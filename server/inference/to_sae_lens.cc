#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "server/inference/interchange.h"
#include "server/inference/sae_lens_files.h"
#include "server/inference/safetensors.h"

namespace saed::inference {

std::vector<float> Transposed(const std::vector<float>& in, int64_t rows, int64_t columns) {
  std::vector<float> out(in.size());
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) out[c * rows + r] = in[r * columns + c];
  }
  return out;
}

namespace {

using nlohmann::json;
using sae::Selection;

// Weights that take raw inputs and give raw outputs: with x' = (x − o)/s, W·x' = (W/s)·x − (W/s)·o,
// and ŷ·s + o on the other side. `shift` is what each latent's pre-activation loses.
struct Folded {
  std::vector<float> encoder, decoder, decoder_bias;
  std::vector<double> shift;
};

Folded Fold(const sae::Model& model) {
  const auto& p = model.parameters;
  Folded out{p.encoder, p.decoder, p.decoder_bias, std::vector<double>(p.features, 0.0)};
  for (int64_t j = 0; j < p.features; ++j) {
    for (int i = 0; i < p.inputs; ++i) {
      float& w = out.encoder[j * p.inputs + i];
      if (model.spec.subtract_bias) out.shift[j] += static_cast<double>(w) * p.decoder_bias[i];
      if (model.normaliser.identity()) continue;
      const int n = i % model.units;
      w /= model.normaliser.scale[n];
      out.shift[j] += static_cast<double>(w) * model.normaliser.offset[n];
    }
  }
  const sae::Normaliser& target = model.output_normaliser();
  if (!target.identity()) {
    for (int i = 0; i < p.outputs; ++i) {
      const int n = i % model.output_units();
      for (int64_t j = 0; j < p.features; ++j) out.decoder[j * p.outputs + i] *= target.scale[n];
      out.decoder_bias[i] = out.decoder_bias[i] * target.scale[n] + target.offset[n];
    }
  }
  return out;
}

const char* ArchitectureName(const sae::Model& model) {
  switch (model.spec.selection) {
    case Selection::kRelu:
      return model.paired() ? "transcoder" : "standard";
    case Selection::kTopK:
      return "topk";
    case Selection::kGated:
      return "gated";
    default:
      return model.paired() ? "jumprelu_transcoder" : "jumprelu";
  }
}

// The largest float below θ, so that SAELens' z > threshold means z ≥ θ.
float BelowThreshold(float theta) { return theta > 0 ? std::nextafter(theta, 0.0f) : 0.0f; }

std::string WhyNoTranscoder(const sae::ModelSpec& spec, bool paired) {
  const bool missing = spec.selection == Selection::kTopK || spec.selection == Selection::kGated;
  if (!paired || !missing) return "";
  return fmt::format(
      "SAELens has no {} transcoder, and this model's target is another population; download the "
      "plain safetensors file",
      Name(spec.selection));
}

Safetensors WeightsOf(const sae::Model& model) {
  const auto& p = model.parameters;
  const Selection selection = model.spec.selection;
  const Folded folded = Fold(model);
  const int64_t F = p.features, D = p.inputs, E = p.outputs;
  Safetensors weights;
  const auto add = [&](const char* tensor, std::vector<int64_t> shape, std::vector<float> data) {
    weights.tensors.push_back({tensor, std::move(shape), std::move(data)});
  };
  add("W_enc", {D, F}, Transposed(folded.encoder, F, D));
  add("W_dec", {F, E}, folded.decoder);
  add("b_dec", {E}, folded.decoder_bias);
  std::vector<float> bias(F);
  for (int64_t j = 0; j < F; ++j) {
    bias[j] = static_cast<float>(p.encoder_bias[j] - folded.shift[j]);
  }
  if (selection == Selection::kGated) {
    std::vector<float> magnitude(F);
    for (int64_t j = 0; j < F; ++j) {
      magnitude[j] = static_cast<float>(p.extra[1][j] - std::exp(p.extra[0][j]) * folded.shift[j]);
    }
    add("b_gate", {F}, bias);
    add("r_mag", {F}, p.extra[0]);
    add("b_mag", {F}, magnitude);
  } else {
    add("b_enc", {F}, bias);
  }
  if (selection == Selection::kBatchTopK) {
    add("threshold", {F}, std::vector<float>(F, BelowThreshold(model.thresholds.back())));
  } else if (selection == Selection::kJumpRelu) {
    std::vector<float> threshold(F);
    for (int64_t j = 0; j < F; ++j) threshold[j] = std::exp(p.extra[0][j]);
    add("threshold", {F}, threshold);
  }
  return weights;
}

ModelFiles FilesOf(const sae::Model& model, const std::string& name) {
  const auto& p = model.parameters;
  const Selection selection = model.spec.selection;
  const int64_t F = p.features, D = p.inputs, E = p.outputs;
  json config = {{"architecture", ArchitectureName(model)},
                 {"d_in", D},
                 {"d_sae", F},
                 {"dtype", "float32"},
                 {"device", "cpu"},
                 {"apply_b_dec_to_input", false},
                 {"normalize_activations", "none"},
                 {"reshape_activations", "none"},
                 {"metadata",
                  {{"model_name", name},
                   {"saed_selection", Name(selection)},
                   {"saed_window", model.S},
                   {"saed_units", model.units}}}};
  if (model.paired()) config["d_out"] = E;
  if (model.spec.output != sae::Output::kIdentity) {
    config["metadata"][kOutput] = Name(model.spec.output);
    config["metadata"][kLoss] = Name(model.spec.loss);
  }
  if (selection == Selection::kTopK) {
    config["k"] = model.spec.k();
    config["rescale_acts_by_decoder_norm"] = false;
  }
  return {{kConfig, config.dump(2) + "\n"}, {kWeights, WriteSafetensors(WeightsOf(model))}};
}

}  // namespace

std::string WhyNotSaeLens(const sae::ModelSpec& spec, bool paired) {
  if (spec.output != sae::Output::kIdentity) {
    return fmt::format(
        "SAELens decodes linearly; this model's output function is {}. Download saelens-linear, "
        "whose decoder gives what goes into it, or the plain safetensors file, or train with "
        "output "
        "identity (which loss mse has by itself)",
        Name(spec.output));
  }
  return WhyNoTranscoder(spec, paired);
}

absl::StatusOr<ModelFiles> ToSaeLens(const sae::Model& model, const std::string& name) {
  if (const std::string why = WhyNotSaeLens(model.spec, model.paired()); !why.empty()) {
    return absl::FailedPreconditionError(why);
  }
  return FilesOf(model, name);
}

absl::StatusOr<ModelFiles> ToSaeLensLinear(const sae::Model& model, const std::string& name) {
  if (const std::string why = WhyNoTranscoder(model.spec, model.paired()); !why.empty()) {
    return absl::FailedPreconditionError(why);
  }
  if (model.spec.output != sae::Output::kIdentity && !model.output_normaliser().identity()) {
    return absl::FailedPreconditionError(fmt::format(
        "this model's outputs are scaled behind its output function {}, which a SAELens directory "
        "has no place for; train with normaliser none, or download the plain safetensors file",
        Name(model.spec.output)));
  }
  return FilesOf(model, name);
}

}  // namespace saed::inference
