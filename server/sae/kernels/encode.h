// z = X·W_eᵀ + b_e for a block of rows, skipping zero inputs.
//
// Each z[b, j] is summed over inputs in ascending order with one fused multiply-add per non-zero
// input, so a row's result never depends on the rows beside it, on the block or on the thread. At
// the sparsity of spike counts (60-95 % zeros) skipping beats a dense product.
#pragma once

#include <cstdint>
#include <vector>

namespace saed::sae {

inline constexpr int kPanel = 64;  // latents per panel; W_e is packed [F/64][D][64]

// The encoder packed by panels of 64 latents, zero-padded at the end.
template <class T>
class PackedEncoder {
 public:
  PackedEncoder() = default;
  PackedEncoder(int features, int inputs);

  // Packs latents [64·panel, …) from encoder rows [F, D] and biases [F]. Panels are independent.
  void PackPanel(int panel, const T* encoder, const T* bias);
  void Pack(const T* encoder, const T* bias);

  int features() const { return features_; }
  int inputs() const { return inputs_; }
  int panels() const { return (features_ + kPanel - 1) / kPanel; }

  // z [rows, F] row-major from x [rows, D]. Thread-safe. At most kEncodeRows rows.
  void Encode(const T* x, int rows, T* z) const;

 private:
  int features_ = 0, inputs_ = 0;
  std::vector<T> weights_;  // [panels][D][64]
  std::vector<T> bias_;     // [panels·64]
};

inline constexpr int kEncodeRows = 32;

}  // namespace saed::sae
