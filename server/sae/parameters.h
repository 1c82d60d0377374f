// Weights of an SAE. z = W_e·x + b_e, ŷ = g(W_d·f + b_d).
#pragma once

#include <cstdint>
#include <vector>

#include "server/sae/spec.h"

namespace saed::sae {

template <class T>
struct Parameters {
  int features = 0;             // F
  int inputs = 0;               // D = S·N
  std::vector<T> encoder;       // [F, D]
  std::vector<T> encoder_bias;  // [F]
  std::vector<T> decoder;       // [F, D]: row j is column j of W_d, of unit norm
  std::vector<T> decoder_bias;  // [D]

  T* encoder_row(int64_t j) { return encoder.data() + j * inputs; }
  const T* encoder_row(int64_t j) const { return encoder.data() + j * inputs; }
  T* decoder_row(int64_t j) { return decoder.data() + j * inputs; }
  const T* decoder_row(int64_t j) const { return decoder.data() + j * inputs; }
};

// Encoder Kaiming-normal (standard deviation √(2/D)), biases 0, decoder rows of unit norm.
template <class T>
Parameters<T> InitialParameters(int features, int inputs, DecoderStart start, uint64_t seed);

// Scales each decoder row to unit ℓ2 norm; a zero row stays as it is.
template <class T>
void NormaliseRow(T* row, int64_t n);

}  // namespace saed::sae
