// Forward and backward of one minibatch. Only selected latents are touched after the encoder: the
// decoder adds the chosen rows per window, ∂L/∂f is a dot product per entry, and gradients are
// summed latent by latent over the windows that used it, in ascending window order, a few columns
// at a time so that all windows' slopes for them stay in cache. Gradients of a bounded number of
// latents exist at once, until their parameters are updated.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "server/sae/architectures/architecture.h"
#include "server/sae/hidden_units.h"
#include "server/sae/kernels/encode.h"
#include "server/sae/parameters.h"
#include "server/sae/spec.h"
#include "server/sae/stage_clock.h"
#include "server/sae/windows.h"

namespace saed::sae {

// Where training reads from. The data behind the views must outlive the user.
struct TrainingData {
  CountView counts;
  Normaliser normaliser;
  Starts starts;  // training windows
  int S = 1;
  // The paired population on the same bins; data is null where the target is the input itself.
  CountView target = {};
  Normaliser target_normaliser = {};
  // Of `starts`, ascending, those whose L0 is to meet its target; empty: all.
  Starts scored = {};

  bool paired() const { return target.data != nullptr; }
  const CountView& target_counts() const { return paired() ? target : counts; }
  const Normaliser& target_norm() const { return paired() ? target_normaliser : normaliser; }
  int inputs() const { return S * counts.units; }
  int outputs() const { return S * target_counts().units; }
};

// Gradient of one latent, passed to the sink while it is in cache.
template <class T>
struct LatentGradient {
  int64_t latent;
  T* encoder;  // [D]
  T* decoder;  // [E]
  T encoder_bias;
  const T* extra;  // one per LatentParameter
};

template <class T>
class Step {
 public:
  // Buffers are kept between calls; not thread-safe, but works in parallel inside the caller's TBB
  // arena.
  Step(const ModelSpec& spec, const TrainingData& data);

  // Packs the encoder of latents [begin, end) (begin a multiple of kPackLatents) after its
  // parameters changed. Ranges may be packed at once.
  void Pack(const Parameters<T>& p, int64_t begin, int64_t end);
  void PackAll(const Parameters<T>& p);

  // Reads windows, encodes and chooses the codes; enough for cutoffs().
  void Select(Starts starts, const Parameters<T>& p, const Coefficients& coefficients);
  // The same, then losses and slopes, and those of the dead latents (ascending) where there are
  // any. Returns the total loss. Reconstruction losses are means over windows, bins and units.
  // `hidden`: units that the encoder does not see; Select always shows it all of them.
  double Forward(Starts starts, const Parameters<T>& p, const Coefficients& coefficients,
                 const std::vector<int32_t>& dead, const HiddenUnits& hidden = {});
  // Calls sink once for every latent (in parallel) with its gradient, and block_done for every
  // range of latents that is finished. decoder_bias_gradient() is complete afterwards.
  void Backward(const Parameters<T>& p, const std::function<void(const LatentGradient<T>&)>& sink,
                const std::function<void(int64_t, int64_t)>& block_done);
  // Whether Backward's buffers still hold the gradients of all latents.
  bool all_held() const { return all_held_; }
  // Where they do: calls both again with the gradients as Backward's sink left them. Parameters
  // must not have changed in between.
  void BackwardAgain(const Parameters<T>& p,
                     const std::function<void(const LatentGradient<T>&)>& sink,
                     const std::function<void(int64_t, int64_t)>& block_done);
  const std::vector<T>& decoder_bias_gradient() const { return decoder_bias_gradient_; }

  int64_t rows() const { return rows_; }
  std::vector<T> cutoffs() const { return architecture_->Cutoffs(passes_); }
  const std::vector<Pass<T>>& passes() const { return passes_; }
  // The reconstruction by all latents with the final code.
  const Pass<T>& main_pass() const { return passes_[main_]; }
  const Pass<T>& aux() const { return aux_; }
  double penalty() const { return penalty_; }
  // Of the main pass, without its weight.
  double reconstruction_loss() const { return reconstruction_loss_; }
  // Σ over outputs of each window's loss in the main pass.
  const std::vector<double>& row_losses() const { return row_losses_[main_]; }
  // The windows as the model sees them, [D] and [E] each.
  void ReadInput(int64_t row, T* out) const;
  const T* target(int64_t row) const { return y_.data() + row * outputs_; }
  // Mean active latents per window.
  double l0() const;
  // The same over the windows of the minibatch with a 1 in `rows`, in its order; nothing where
  // there is none.
  std::optional<double> L0Of(const std::vector<uint8_t>& rows) const;

  StageClock* clock = nullptr;

 private:
  void LoadRows(Starts starts, int64_t first, int64_t last);
  // Of a window that was loaded, as counts or, where not counts_path_, without the normaliser.
  void HideUnits(int64_t row);
  void EncodeRows(int64_t first, int64_t last);
  void LossRows(const Batch<T>& batch, int64_t first, int64_t last);
  void SizeSlopes();
  void SelectAll(Starts starts, const Parameters<T>& p, const Coefficients& coefficients,
                 bool losses);
  double AuxLoss(const Parameters<T>& p, const std::vector<int32_t>& dead);
  void SelectDead(const std::vector<int32_t>& dead);
  bool aux_through_output() const {
    return spec_.revival == Revival::kAuxK && spec_.aux.through_output &&
           spec_.output != Output::kIdentity;
  }
  double ResidualVariance() const;
  void SortByLatent(Pass<T>& pass);
  // Gradients of latents [first, last) for a range of columns, into the two buffers, which begin
  // with latent `base`.
  void EncoderColumns(int64_t base, int64_t first, int64_t last, int64_t column, int width);
  void DecoderColumns(int64_t base, int64_t first, int64_t last, int64_t column, int width);
  // Both, of all columns, and with the first latents the decoder bias'.
  void Columns(int64_t first, int64_t last);
  // The latent's gradient from the buffers, with the sums over its entries. `again`: the buffers
  // hold what this has changed.
  LatentGradient<T> Gather(const Parameters<T>& p, int64_t j, int64_t first, bool again, T* extra,
                           T& slopes);
  // What Backward calls for the latents [first, last) in the buffers.
  void Pour(const Parameters<T>& p, int64_t first, int64_t last, T* through_input, bool again,
            const std::function<void(const LatentGradient<T>&)>& sink,
            const std::function<void(int64_t, int64_t)>& block_done);

  ModelSpec spec_;
  TrainingData data_;
  int features_, inputs_, outputs_;
  bool counts_path_;  // counts as they are go through the exact integer encoder
  HiddenUnits hidden_;
  std::vector<float> silent_z_;  // z of a window without a spike, for hidden units among counts
  std::vector<float> input_offset_, input_scale_;
  CountEncoder count_encoder_;
  FloatEncoder<T> float_encoder_;
  std::unique_ptr<Architecture<T>> architecture_;
  std::vector<LatentParameter> latent_parameters_;
  size_t main_;

  int64_t rows_ = 0;
  std::vector<uint8_t> counts_;  // [B, D]
  std::vector<T> x_;             // [B, D], where not counts_path_
  std::vector<T> y_;             // [B, E]
  std::vector<T> z_;             // [B, F]
  std::vector<Pass<T>> passes_;
  Pass<T> aux_;
  // What AuxLoss needs of the main pass, [B, E]: y − ŷ, or W_d·f + b_d where aux_through_output().
  std::vector<T> residual_;
  std::vector<std::vector<double>> row_losses_;
  std::vector<double> row_penalties_;
  std::vector<T> encoder_gradient_, decoder_gradient_;  // of some latents, [latents, D] and [, E]
  std::vector<T> decoder_bias_gradient_;
  bool all_held_ = false;  // whether the buffers hold every latent
  double reconstruction_loss_ = 0, penalty_ = 0;
};

}  // namespace saed::sae
