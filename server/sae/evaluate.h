// Quality of a model on windows it may or may not have been trained on (sae.md, section 6).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "server/sae/model.h"

namespace saed::sae {

struct Evaluation {
  int64_t windows = 0;
  double mse = 0;
  // 1 − Σ SSE / Σ SST, SST around each output's mean over these windows; empty where all outputs
  // are constant. The same number is the fraction of variance explained around those means.
  std::optional<double> r2;
  // 1 − Var(y − ŷ)/Var(y): as r2, without the part of the error that is a constant offset.
  std::optional<double> explained_variance;
  double cosine = 0;  // mean over windows with non-zero target of cos(y, ŷ)
  // MSE ÷ MSE of predicting the training mean; empty where that is 0.
  std::optional<double> normalised_mse;
  // (log-likelihood of Poisson rates ŷ − that of the training mean) ÷ (spikes · ln 2); only for
  // models whose target is counts and whose reconstruction is never negative. Of the outputs that
  // were not silent in training: beside a rate of 0 one spike would be worth any amount.
  std::optional<double> bits_per_spike;
  double l0 = 0;                      // mean active latents per window
  std::vector<int64_t> l0_histogram;  // [F+1] cut after the last non-zero entry
  std::vector<double> density;        // [F] fraction of windows in which each latent is active
  double dead_fraction = 0;           // latents active in no window
  double dense_fraction = 0;          // latents active in more than half
  std::vector<std::optional<double>> unit_r2;  // [M], over all lags; empty for a constant unit
};

// `target`: what is reconstructed, on the same bins; `counts` itself unless the model's target is a
// paired population. `training`: MeanTarget of the training windows, for normalised MSE and bits
// per spike. Streams the windows in blocks; memory does not grow with their number. Works in the
// caller's TBB arena and gives the same bits for any number of threads. CANCELLED once keep_going()
// says no.
absl::StatusOr<Evaluation> EvaluateModel(const Encoder& encoder, const CountView& counts,
                                         const CountView& target, Starts starts,
                                         const std::vector<double>& training,
                                         const std::function<bool()>& keep_going);

}  // namespace saed::sae
