// Training of one SAE: step after step, resumable to the bit.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/sae/optimiser.h"
#include "server/sae/parameters.h"
#include "server/sae/spec.h"
#include "server/sae/step.h"
#include "server/sae/windows.h"

namespace saed::sae {

struct StepReport {
  int64_t step = 0;                // steps done so far, this one included
  double loss = 0;                 // total
  double reconstruction_loss = 0;  // last level
  // Mean number of active latents per window, last level, over those of the minibatch that are
  // scored, or all where none of it is. With hidden input units and a penalty it is that of full
  // windows, which λ is adjusted by: of the first 256 of them.
  double l0 = 0;
  double dead_fraction = 0;
  double learning_rate = 0;
  double lambda = 0;         // λ of the sparsity penalty; 0 for architectures without one
  double gradient_norm = 0;  // before clipping; 0 where clipping is off
  int64_t rows = 0;
};

// Not thread-safe. Every call works inside the caller's TBB arena; results do not depend on how
// many threads that has. T = double is the reference build for gradient checks.
template <class T>
class Trainer {
 public:
  // `spec` must have passed Validate and `data.starts` must not be empty.
  Trainer(const FitSpec& spec, const TrainingData& data);
  ~Trainer();

  int64_t total_steps() const { return total_steps_; }
  int64_t step() const { return step_; }
  bool done() const { return step_ >= total_steps_; }

  // One minibatch. FAILED_PRECONDITION where the loss, or after the last step a weight, is not
  // finite; the parameters are then useless and training must stop. After the last step the
  // parameters are the moving average, where the optimiser keeps one.
  absl::StatusOr<StepReport> Next();

  const Parameters<T>& parameters() const { return parameters_; }
  Parameters<T>& mutable_parameters() { return parameters_; }

  // Moving averages (0.99) of the cutoffs, one per level.
  const std::vector<double>& running_thresholds() const { return running_thresholds_; }
  // For each level the mean cutoff over one pass of the training windows that are scored, each
  // batch weighted by its size; gradients and parameters are untouched. CANCELLED once keep_going()
  // says no.
  absl::StatusOr<std::vector<double>> CalibrateThresholds(const std::function<bool()>& keep_going);

  // Everything needed to go on: parameters, moments, counters, step. Restore refuses a state of
  // another shape or a damaged one with DATA_LOSS.
  std::string Save() const;
  absl::Status Restore(std::string_view state);

  // Adds the time of every stage to the clock; null: none.
  void set_clock(StageClock* clock) { work_.clock = clock; }

 private:
  // Start bins of minibatch `index` of its epoch.
  std::vector<int64_t> BatchStarts(int64_t epoch, int64_t index);
  void Shuffle(int64_t epoch, std::vector<int64_t>& starts) const;
  // Minibatch `index` of windows in this order.
  std::vector<int64_t> Part(const std::vector<int64_t>& starts, int64_t index) const;
  std::vector<uint8_t> Scored(const std::vector<int64_t>& starts) const;
  Coefficients CoefficientsNow() const;
  std::vector<int32_t> Dead() const;
  // Norm of all gradients after projection.
  double GradientNorm();
  void Update(double factor, double learning_rate);
  void Average();
  void Resample(const std::vector<int32_t>& dead);
  double StartLambda() const;
  std::optional<double> FullL0(const std::vector<int64_t>& starts,
                               const std::vector<uint8_t>& scored,
                               const Coefficients& coefficients);
  void AdjustLambda(double l0);
  absl::Status Finish();
  absl::Status CheckFinite() const;

  FitSpec spec_;
  TrainingData data_;
  int64_t steps_per_epoch_, total_steps_, step_ = 0;
  Parameters<T> parameters_, average_;
  Moments<T> moments_;
  std::vector<int32_t> idle_steps_;  // steps since each latent was last selected
  std::vector<double> running_thresholds_;
  double lambda_ = 0;
  double control_ = 0;  // what adjusting λ remembers: JumpReLU's integral, or how far off L0 was
  Step<T> work_;
  int64_t order_epoch_ = -1;
  std::vector<int64_t> order_;  // the epoch's windows
};

}  // namespace saed::sae
