// Products of weights with the windows of a recording: what every linear map of a window is made
// of, an encoder's pre-activations and the fixed filters of evidence alike.
#pragma once

#include <cstdint>
#include <vector>

#include "server/sae/kernels/encode.h"
#include "server/sae/parameters.h"
#include "server/sae/windows.h"

namespace saed::sae {

// Thread-safe after construction. A row's result never depends on the rows beside it.
class WindowProduct {
 public:
  // z = encoder·x' + bias of windows of S bins, normalised. `subtract_bias`: see EffectiveBias.
  WindowProduct(const Parameters<float>& parameters, bool subtract_bias, Normaliser normaliser,
                int S);

  // z [rows, features] of the windows of `counts` that begin at the bins `starts`, in raw units. A
  // window of integers from 0 to 255, whatever their dtype, takes the exact integer path, others
  // floating point.
  void Multiply(const CountView& counts, Starts starts, float* z) const;

 private:
  // Calls multiply(z) for rows `some` of `rows`, with room for theirs, and puts them where they
  // belong.
  template <class Fn>
  void Grouped(const std::vector<int64_t>& some, int64_t rows, float* z, const Fn& multiply) const;

  int64_t features_, inputs_;
  int S_;
  Normaliser normaliser_;
  CountEncoder counts_;
  FloatEncoder<float> floats_;
};

}  // namespace saed::sae
