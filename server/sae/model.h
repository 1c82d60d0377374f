// A trained SAE as it is used: weights, normaliser and calibrated thresholds.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "server/sae/codes.h"
#include "server/sae/parameters.h"
#include "server/sae/spec.h"
#include "server/sae/window_product.h"
#include "server/sae/windows.h"

namespace saed::sae {

// What a model's training windows hold of its target, in its normalised units; empty for models
// that were stored without.
struct TargetStatistics {
  std::vector<float> mean;      // [S·M]
  std::vector<float> count_sd;  // [M] standard deviation of a unit's sum over the window
  bool empty() const { return mean.empty(); }
};

struct Model {
  ModelSpec spec;
  int S = 1;             // bins per window
  int units = 0;         // N
  int target_units = 0;  // M; 0: the target is the input itself
  Parameters<float> parameters;
  std::vector<float> thresholds;  // one per level
  Normaliser normaliser;
  Normaliser target_normaliser;  // of a paired population
  TargetStatistics training;

  int inputs() const { return S * units; }
  bool paired() const { return target_units > 0; }
  int output_units() const { return paired() ? target_units : units; }
  int outputs() const { return S * output_units(); }
  const Normaliser& output_normaliser() const { return paired() ? target_normaliser : normaliser; }
};

enum class CodeRule {
  kThreshold,  // keep z ≥ θ of the last level
  kTopK,       // keep the k largest of each window
};

// BatchTopK models use their calibrated thresholds, TopK models the k largest, ReLU models every
// positive z unless the k largest are asked for; JumpReLU and Gated models have one rule of their
// own.
CodeRule DefaultRule(const ModelSpec& spec);

// SHA-256 over the tensors in a fixed order (encoder, encoder_bias, decoder, decoder_bias,
// thresholds, then the architecture's own), as raw little-endian float32.
std::string TensorDigest(const Model& model);

// Encodes windows with a model. Thread-safe after construction; a window's code never depends on
// the windows encoded with it. The model must outlive the encoder.
class Encoder {
 public:
  explicit Encoder(const Model& model);

  // Windows of `counts` that begin at the bins `starts`, in raw units → codes of the whole
  // dictionary. A window of integers from 0 to 255, whatever their dtype, takes the exact integer
  // path, others floating point.
  void Encode(const CountView& counts, Starts starts, CodeRule rule, Codes<float>& out) const;
  // ŷ [rows, S·M] in normalised units of the target.
  void Decode(const Codes<float>& codes, float* out) const;

  const Model& model() const { return model_; }

 private:
  const Model& model_;
  WindowProduct product_;
  std::vector<float> exponentials_;  // see CodeInput
};

}  // namespace saed::sae
