// Forward and backward of one minibatch. Only selected latents are touched after the encoder: the
// decoder adds k rows per window, ∂L/∂f is k dot products per window, and gradients are summed
// latent by latent over the windows that used it, in ascending window order. No gradient matrix is
// stored: each latent's gradient rows exist only while its parameters are updated.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "server/sae/kernels/encode.h"
#include "server/sae/parameters.h"
#include "server/sae/select.h"
#include "server/sae/spec.h"
#include "server/sae/windows.h"

namespace saed::sae {

// One reconstruction of the minibatch: a Matryoshka level, or the auxiliary code of dead latents.
template <class T>
struct Pass {
  Codes<T> codes;
  std::vector<T> code_slope;    // ∂L/∂f, beside codes.value
  std::vector<T> output_slope;  // ∂L/∂(W_d·f + b_d), [B, D]
  double loss = 0;              // weighted
};

// Gradient of one latent, passed to the sink while it is in cache.
template <class T>
struct LatentGradient {
  int64_t latent;
  T* encoder;  // [D]
  T* decoder;  // [D]
  T encoder_bias;
};

template <class T>
class Step {
 public:
  // `max_rows`: the largest minibatch. Buffers are kept between calls; not thread-safe, but works
  // in parallel inside the caller's TBB arena.
  Step(const ModelSpec& spec, int inputs);

  // Reads the windows of the minibatch.
  void Load(const CountView& counts, const Normaliser& normaliser, Starts starts, int S);
  // z = W_e·x + b_e.
  void Encode(const PackedEncoder<T>& encoder);
  // Selects every level's code. After this `cutoff(l)` and `levels()` are valid.
  void Select();
  // Losses and slopes of all levels, and of AuxK where `dead` (ascending) is not empty.
  // Returns the total loss. Level losses are means over windows, bins and units.
  double Loss(const Parameters<T>& p, const std::vector<int32_t>& dead);
  // Calls sink once for every latent (in parallel) with its gradient, and once for the decoder
  // bias.
  void Backward(const Parameters<T>& p, const std::function<void(const LatentGradient<T>&)>& sink);
  const std::vector<T>& decoder_bias_gradient() const { return decoder_bias_gradient_; }

  int64_t rows() const { return rows_; }
  const std::vector<T>& z() const { return z_; }
  T cutoff(size_t level) const { return cutoffs_[level]; }
  const std::vector<Pass<T>>& levels() const { return levels_; }
  const Pass<T>& aux() const { return aux_; }
  // Reconstruction loss of the last level, without its weight.
  double reconstruction_loss() const { return reconstruction_loss_; }

 private:
  double LevelLoss(const Parameters<T>& p, size_t level);
  double AuxLoss(const Parameters<T>& p, const std::vector<int32_t>& dead);
  void SortByLatent();

  ModelSpec spec_;
  int inputs_;
  int64_t rows_ = 0;
  std::vector<T> x_, z_;
  std::vector<Pass<T>> levels_;
  Pass<T> aux_;
  std::vector<T> cutoffs_;
  std::vector<T> residual_;  // y − ŷ of the last level, [B, D]
  std::vector<double> row_loss_;
  std::vector<T> decoder_bias_gradient_;
  double reconstruction_loss_ = 0;

  // Active entries ordered by latent, then pass, then row.
  struct Entry {
    int32_t pass;
    int32_t row;
    T value, slope;
  };
  std::vector<int64_t> latent_begin_;
  std::vector<Entry> entries_;
};

}  // namespace saed::sae
