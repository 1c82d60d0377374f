// What plain methods make of the counts that features are made from: logistic regression, the
// ceiling that one feature can hardly reach, and linear components, found without labels as
// features are. Everything is chosen on training windows and scored on held-out ones.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "server/features/feature_sets.h"

namespace saed::features {

// Of one condition; held-out AUROCs. Empty where the condition is on one side only.
struct Baselines {
  // L2 logistic regression on the counts of every bin and unit of the window (of every unit, where
  // there are more than kLogisticInputs), and on all latents; C by folds of whole trials or blocks
  // of time. For kLogisticConditions; empty in sample.
  std::optional<double> logistic_counts, logistic_latents;
  std::optional<sae::EvidenceKind> latents_by;  // none: their codes
  // The best principal and the best independent component of the units' counts, with its sign: as
  // many as the model has latents, at most kPrincipal and kIndependent.
  std::optional<double> pca, ica;
};

inline constexpr size_t kLogisticConditions = 16;
inline constexpr int kLogisticInputs = 1024;
// By latents' marginal evidence (see sae/evidence.h) where the model has it and at most so many
// latents; else by their codes, which are sparse.
inline constexpr int kDenseLatents = 128;

inline constexpr int kPrincipal = 128, kIndependent = 64;
// Training windows that are fitted, evenly spaced; the weight of the penalty is chosen from fewer.
// Windows of conditions that these hardly meet are added.
inline constexpr int64_t kBaselineWindows = 10000, kPenaltyWindows = 2000;
// Components are of so many units, those whose counts vary most.
inline constexpr int kComponentUnits = 512;

inline constexpr int kBaselineFolds = 3;

// Deals blocks to kBaselineFolds folds, for each of those that have only windows with the
// condition, both and only others in turn, so that a rare condition is in as many folds as it can
// be. `rows` are window indices, ascending, `label` [rows], over 1 where the condition does not
// ask; `blocks` as from TimeBlocks. The fold
// of each row.
std::vector<uint8_t> StratifiedFolds(const std::vector<int64_t>& blocks,
                                     const std::vector<int64_t>& rows,
                                     const std::vector<uint8_t>& label);

// Per condition; `chosen` those of logistic regression. Works in the caller's TBB arena; the same
// for any number of threads. CANCELLED where progress says stop.
absl::StatusOr<std::vector<Baselines>> ScoreBaselines(const SetSearch& search,
                                                      const WindowConditions& train,
                                                      const WindowConditions& test,
                                                      const std::vector<size_t>& chosen,
                                                      const Progress& progress);

}  // namespace saed::features
