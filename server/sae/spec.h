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

namespace saed::sae {

// How the code f is chosen from the pre-activations z (both after ReLU).
enum class Selection {
  kTopK,       // the k largest of each window (Gao et al. 2024)
  kBatchTopK,  // the B·k largest of the whole minibatch (Bussmann et al. 2024)
};

// Reconstruction loss, averaged over windows, bins and units.
enum class Loss {
  kMse,      // (ŷ − y)²
  kMsle,     // (log(1+ŷ) − log(1+y))², y ≥ 0
  kPoisson,  // ŷ − y·log(ŷ + 1e-8), y ≥ 0: the likelihood of counts
};

// Output function g of the decoder.
enum class Output { kIdentity, kRelu, kSoftplus };

// How the decoder starts.
enum class DecoderStart {
  kIndependent,  // random unit columns
  kTied,         // the encoder's rows, scaled to unit norm (Gao et al. 2024)
};

// Where the decoder bias starts.
enum class BiasStart {
  kMean,  // g⁻¹(training mean of the target): the best constant prediction
  kZero,
};

// One Matryoshka level: latents [0, features) select k by themselves and reconstruct the target.
struct Level {
  int features = 0;
  int k = 0;
  double weight = 1.0;
};

// AuxK (Gao et al. 2024): dead latents reconstruct what the others left over.
struct AuxK {
  double weight = 1.0 / 32.0;   // α; 0 switches it off
  int k = 512;                  // dead latents used per window, at most
  int dead_after_steps = 1000;  // a latent unselected for more steps than this is dead
};

struct ModelSpec {
  Selection selection = Selection::kBatchTopK;
  std::vector<Level> levels;  // ascending; the last one is the whole dictionary
  Loss loss = Loss::kMse;
  Output output = Output::kIdentity;
  DecoderStart decoder_start = DecoderStart::kTied;
  BiasStart bias_start = BiasStart::kMean;
  AuxK aux;

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

// Adam with PyTorch's meaning of every constant.
struct Optimiser {
  double learning_rate = 2e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  Schedule schedule;
};

struct FitSpec {
  ModelSpec model;
  Optimiser optimiser;
  int batch_size = 1024;
  int epochs = 20;
  int64_t max_steps = 0;  // 0: as many as the epochs give
  uint64_t seed = 0;
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

// Every fault of the spec at once, each with its field, e.g. "model.levels[1].k".
// `signed_target`: the normaliser can make targets negative, which rules out MSLE and Poisson.
absl::Status Validate(const FitSpec& spec, bool signed_target);

std::string_view Name(Selection value);
std::string_view Name(Loss value);
std::string_view Name(Output value);

}  // namespace saed::sae
