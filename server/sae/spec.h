// What is trained: the architecture, the losses and the optimiser of one sparse autoencoder (SAE).
//
// Notation of the whole module: S bins per window, N units, D = S·N inputs, F latents, B windows in
// a minibatch. A window is flattened bins-first: entry s·N + n is unit n in bin s, the last bin has
// lag 0.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "server/sae/kinds.h"

namespace saed::sae {

// The architecture: how the code f comes from the pre-activations z. Each is a file below
// architectures/, which states its formulas.
enum class Selection {
  kTopK,       // the k largest of each window (Gao et al. 2024)
  kBatchTopK,  // the B·k largest of the whole minibatch (Bussmann et al. 2024)
  kRelu,       // max(z, 0) with an L1 penalty (Bricken et al. 2023)
  kJumpRelu,   // z·1[z > θ_j] with an L0 penalty (Rajamanoharan et al. 2024)
  kGated,      // 1[π > 0]·max(m, 0) (Rajamanoharan et al. 2024)
};

// How the decoder starts.
enum class DecoderStart {
  kIndependent,  // random unit columns
  kTied,         // the encoder's rows, scaled to unit norm (Gao et al. 2024)
};

// Where the decoder bias starts.
enum class BiasStart {
  kMean,  // g⁻¹(training mean of the target): the best constant prediction
  kZero,
  kGeometricMedian,  // g⁻¹(the point with the least sum of distances to the training targets)
};

// One Matryoshka level: latents [0, features) select k by themselves and reconstruct the target.
struct Level {
  int features = 0;
  int k = 0;
  double weight = 1.0;
};

// What is done for latents that died.
enum class Revival {
  kAuxK,      // dead latents reconstruct what the others left over (Gao et al. 2024)
  kNldisco,   // NLDisco's: a BatchTopK over the dead ones, plain MSE, weight 1
  kResample,  // dead latents start again from badly reconstructed inputs (Bricken et al. 2023)
  kNone,
};

struct AuxK {
  double weight = 1.0 / 32.0;  // α; 0 switches it off
  int k = 512;                 // dead latents used per window, at most
  // A latent unselected for more steps than this is dead; 0: a twentieth of all, 20 to 1000.
  int dead_after_steps = 0;
  // Use z itself as the auxiliary code, negative values too: a dead latent whose pre-activation is
  // never positive then still gets a gradient (SAELens').
  bool pre_activation = false;
  // With an output function other than identity: the auxiliary code is added before it and judged
  // by the model's own loss, with the main reconstruction held constant, instead of reconstructing
  // y − ŷ linearly. A latent so revived has the scale at which the others compete.
  bool through_output = true;
};

struct Resampling {
  int every_steps = 500;
  double until_fraction = 0.5;  // of training
};

// Sparsity of architectures without a k of their own (ReLU, JumpReLU, Gated). λ multiplies a sum
// over latents, averaged over windows, beside a loss averaged over outputs as well: a λ meant for a
// loss summed over outputs is divided by their number.
struct Penalty {
  // λ; 0: adjusted during training so that the mean L0 becomes the level's k.
  double weight = 0;
  double warmup_fraction = 0.05;  // λ rises linearly over the first steps
  // ReLU only, p-anneal: Σ f^p with p falling from 1 to this between the fractions of training.
  double final_p = 1;
  double anneal_start = 0.5;
  // JumpReLU only: width ε of the straight-through window, and every θ's start. While λ is being
  // adjusted, log θ learns at ten times the learning rate.
  double bandwidth = 2;
  double threshold = 1;
};

struct ModelSpec {
  Selection selection = Selection::kBatchTopK;
  std::vector<Level> levels;  // ascending; the last one is the whole dictionary
  Loss loss = Loss::kMse;
  Output output = Output::kIdentity;
  DecoderStart decoder_start = DecoderStart::kTied;
  BiasStart bias_start = BiasStart::kMean;
  Revival revival = Revival::kAuxK;
  AuxK aux;
  Resampling resampling;
  Penalty penalty;
  // TopK and BatchTopK: every level's k starts at its number of latents and falls linearly to k
  // over this fraction of training, so that all latents learn before they compete; 0: k all along.
  double k_anneal_fraction = 0;
  // z = W_e·(x − b_d) + b_e, as the TopK and Gated papers have it; not for paired populations.
  bool subtract_bias = false;

  int features() const { return levels.empty() ? 0 : levels.back().features; }
  int k() const { return levels.empty() ? 0 : levels.back().k; }
};

enum class ScheduleKind {
  kConstant,
  kLinear,      // warm-up, then linear decay to `final_fraction`
  kCosine,      // warm-up, then cosine decay to `final_fraction`
  kWarmupHold,  // warm-up, constant until `hold_fraction`, then cosine: NLDisco's
};

struct Schedule {
  ScheduleKind kind = ScheduleKind::kWarmupHold;
  double warmup_fraction = 0.1;
  double hold_fraction = 0.5;
  double final_fraction = 0.01;
};

enum class OptimiserKind {
  kAdam,
  kAdamW,     // Adam with decoupled weight decay of the two matrices
  kMomentum,  // SGD with momentum β₁
};

// PyTorch's meaning of every constant.
struct Optimiser {
  OptimiserKind kind = OptimiserKind::kAdam;
  double learning_rate = 2e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0;  // AdamW and, decoupled there too (unlike torch.optim.SGD), momentum
  double clip_norm = 0;     // gradients are scaled down to this global norm; 0: never
  // Decay of a moving average of the weights, which then is the model; 0: none. Early steps use
  // min(decay, (1 + t)/(10 + t)).
  double average = 0;
  Schedule schedule;
};

struct FitSpec {
  ModelSpec model;
  Optimiser optimiser;
  int batch_size = 1024;
  int epochs = 20;
  int64_t max_steps = 0;  // 0: as many as the epochs give
  uint64_t seed = 0;
  double hidden_inputs = 0;  // fraction of the input units hidden at each step: hidden_units.h
};

// Explicit limits of one model.
inline constexpr int kMaxFeatures = 1 << 17;
inline constexpr int kMaxInputs = 1 << 20;
inline constexpr int64_t kMaxParameters = int64_t{1}
                                          << 27;  // of one matrix; a stored tensor fits a blob
inline constexpr int kMaxBatch = 1 << 16;
inline constexpr int kMaxEpochs = 100000;
inline constexpr int64_t kMaxSteps = 100'000'000;
inline constexpr int kMaxLevels = 16;
inline constexpr double kMostHidden = 0.9;

// Every fault of the spec at once, each with its field, e.g. "model.levels[1].k".
// `signed_target`: the normaliser can make targets negative, which rules out MSLE and Poisson.
absl::Status Validate(const FitSpec& spec, bool signed_target);

std::string_view Name(Selection value);
std::string_view Name(Loss value);
std::string_view Name(Output value);
std::string_view Name(Revival value);

}  // namespace saed::sae
