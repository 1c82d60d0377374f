// z = X·W_eᵀ + b_e, with the encoder packed by panels of latents.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "server/sae/kernels/aligned.h"
#include "server/sae/kernels/table.h"
#include "server/sae/parameters.h"
#include "server/sae/windows.h"

namespace saed::sae {

inline constexpr int kPackLatents = kPanel;  // latents packed together

// For inputs of any kind: a dense product in floating point, inputs summed in ascending order with
// fused multiply-adds, so that a row's result never depends on the rows beside it.
template <class T>
class FloatEncoder {
 public:
  FloatEncoder() = default;
  FloatEncoder(int features, int inputs);

  // Packs latents [begin, end), begin a multiple of kPackLatents. Ranges are independent. `bias`:
  // see EffectiveBias.
  void Pack(const Parameters<T>& p, bool subtract_bias, int64_t begin, int64_t end);
  // z [rows, F] from x [rows, D]. Thread-safe.
  void Encode(const T* x, int rows, T* z) const;

 private:
  int features_ = 0, inputs_ = 0;
  AlignedVector<T> weights_;  // [F/32][D][32]
  AlignedVector<T> bias_;
};

// For counts of at most 255, exactly: each latent's weights are rounded to 24-bit integers with a
// power of two of their own (error at most 2^-23 of the latent's largest weight), counts times
// weights are summed in integers, and one fused multiply-add makes z. The order of the sum does not
// matter, so every instruction set gives the same bits, and silent inputs are skipped. The
// normaliser is folded into weights and bias. A unit that hardly ever fires has a scale, and with
// it folded weights, far from the others', which would lose their digits beside it: the few counts
// of such inputs are added in floating point, in ascending order.
class CountEncoder {
 public:
  CountEncoder() = default;
  // `offset`, `scale`: of each input [D]; empty where x' = x. `mean_count` of an input, where many
  // rows of such counts will come: zeros are skipped, or not, whichever is faster. Without it
  // weights are packed for both, and every call takes the faster one: few rows had better skip
  // zeros, and many with few zeros had better not. The result is the same.
  CountEncoder(int features, int inputs, std::vector<float> offset, std::vector<float> scale,
               std::optional<double> mean_count = {});

  void Pack(const Parameters<float>& p, bool subtract_bias, int64_t begin, int64_t end);
  // z [rows, F] from counts [rows, D], of which up to kSlack bytes behind the last row are read.
  // Thread-safe.
  void Encode(const uint8_t* counts, int rows, float* z) const;
  static constexpr int kSlack = kDenseBlock;

 private:
  bool Dense(const uint8_t* counts, int rows) const;
  void EncodeDense(const uint8_t* counts, int rows, float* z) const;
  void TakeOutRare(int64_t begin, int64_t end, float* folded);
  void AddRare(const uint8_t* counts, int rows, float* z) const;

  const KernelTable<float>* kernels_ = nullptr;
  int features_ = 0, inputs_ = 0;
  std::vector<float> offset_, scale_;
  std::vector<int> rare_;              // inputs that floating point takes
  AlignedVector<float> rare_weights_;  // [rare][F]
  AlignedVector<uint8_t>
      digits_;  // see KernelTable::encode_dense; empty where zeros are always skipped
  // [F/32][blocks][inputs + 1][32], see kInputBlock; empty where they never are.
  AlignedVector<int32_t> weights_;
  AlignedVector<float> step_, bias_;  // [F], padded to whole panels
};

// b_e, minus W_e·b_d where the decoder bias is subtracted from the input.
template <class T>
T EffectiveBias(const Parameters<T>& p, bool subtract_bias, int64_t j);

// A normaliser's offset and scale for every input of a window of S bins.
std::vector<float> PerInput(const std::vector<float>& per_unit, int S);

}  // namespace saed::sae
