// A trained SAE as it is used: weights, normaliser and calibrated thresholds.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "server/sae/kernels/encode.h"
#include "server/sae/parameters.h"
#include "server/sae/select.h"
#include "server/sae/spec.h"
#include "server/sae/windows.h"

namespace saed::sae {

struct Model {
  ModelSpec spec;
  int S = 1;      // bins per window
  int units = 0;  // N
  Parameters<float> parameters;
  std::vector<float> thresholds;  // one per level
  Normaliser normaliser;

  int inputs() const { return S * units; }
};

enum class CodeRule {
  kThreshold,  // keep z ≥ θ of the last level
  kTopK,       // keep the k largest of each window
};

// BatchTopK models use their calibrated thresholds, TopK models the k largest.
CodeRule DefaultRule(const ModelSpec& spec);

// SHA-256 over the tensors in a fixed order (encoder, encoder_bias, decoder, decoder_bias,
// thresholds), as raw little-endian float32.
std::string TensorDigest(const Model& model);

// Encodes windows with a model. Thread-safe after construction; a window's code never depends on
// the windows encoded with it. The model must outlive the encoder.
class Encoder {
 public:
  explicit Encoder(const Model& model);

  // x [rows, S·units], already normalised (see ReadWindow) → codes of the whole dictionary.
  void Encode(const float* x, int64_t rows, CodeRule rule, Codes<float>& out) const;
  // ŷ [rows, S·units] in normalised units.
  void Decode(const Codes<float>& codes, float* out) const;

  const Model& model() const { return model_; }

 private:
  const Model& model_;
  PackedEncoder<float> packed_;
};

}  // namespace saed::sae
