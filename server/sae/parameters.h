// Weights of an SAE. z = W_e·x + b_e, ŷ = g(W_d·f + b_d).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "server/sae/spec.h"

namespace saed::sae {

template <class T>
struct Parameters {
  int features = 0;                   // F
  int inputs = 0;                     // D = S·N
  int outputs = 0;                    // E = S·M; D unless the target is a paired population
  std::vector<T> encoder;             // [F, D]
  std::vector<T> encoder_bias;        // [F]
  std::vector<T> decoder;             // [F, E]: row j is column j of W_d, of unit norm
  std::vector<T> decoder_bias;        // [E]
  std::vector<std::vector<T>> extra;  // the architecture's own, each [F]; see LatentParameters

  T* encoder_row(int64_t j) { return encoder.data() + j * inputs; }
  const T* encoder_row(int64_t j) const { return encoder.data() + j * inputs; }
  T* decoder_row(int64_t j) { return decoder.data() + j * outputs; }
  const T* decoder_row(int64_t j) const { return decoder.data() + j * outputs; }
};

// Encoder Kaiming-normal (standard deviation √(2/D)), biases 0, decoder rows of unit norm, the
// architecture's own parameters at their start. A tied start of a paired population (E ≠ D) is
// independent: there is nothing to tie.
template <class T>
Parameters<T> InitialParameters(const ModelSpec& spec, int inputs, int outputs, uint64_t seed);

// Scales each decoder row to unit ℓ2 norm; a zero row stays as it is.
template <class T>
void NormaliseRow(T* row, int64_t n);

}  // namespace saed::sae
