// Evidence: how strongly the spikes of a window speak for a latent. A sparse code is mostly zero
// and its zeros are ties; evidence is graded in every window, and may be negative.
//
// With the code f of a window, a = f·D + b, ŷ = g(a), y the target and ℓ(y, ŷ) the negative
// log-likelihood that the model's loss stands for (see ScoreAndInformation), the evidence
// - given the others is the score statistic of the hypothesis f_j = 0 (Rao 1948): with j's own part
//   taken out, a⁻ʲ = a − f_j·D_j, s_j = −∂ℓ/∂f_j = Σ_i D_ji·(−∂ℓ/∂a_i at a⁻ʲ). For Poisson and
//   softplus: Σ_i D_ji·σ(a⁻ʲ_i)·(y_i/λ⁻ʲ_i − 1). Its z form is s_j divided by the root of Fisher's
//   information Σ_i D_ji²·I_i;
// - marginal is the score at the training mean ȳ, without its constant: a fixed filter
//   w_ji = D_ji·g'(g⁻¹(ȳ_i))·(−∂²ℓ/∂ŷ∂y at ȳ_i), s_j = Σ_i w_ji·y_i. For Poisson and softplus:
//   D_ji·σ/ȳ_i. (MSLE is linearised in y.)
// - rate is the marginal filter of the row and the mean averaged over the window's bins, times each
//   unit's count in the window;
// - core m is rate with only the m units of the largest |w|·sd, sd being the standard deviation of
//   the unit's count in training windows: what one sharply tuned unit says is not diluted;
// - quasi rate and quasi core 3 are rate and core 3 with each unit's weight divided by its
//   dispersion, the variance of its count in training windows over the one that the likelihood
//   gives it (Poisson: the mean count), at least 0.3. It is the score of a quasi-likelihood
//   (Wedderburn 1974), in which bursts of a unit that always bursts say little.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "server/sae/codes.h"
#include "server/sae/model.h"
#include "server/sae/window_product.h"

namespace saed::sae {

enum class EvidenceKind {
  kGivenOthers,
  kGivenOthersZ,
  kMarginal,
  kRate,
  kCore3,
  kCore10,
  kCore30,
  kQuasiRate,
  kQuasiCore3
};
inline constexpr EvidenceKind kEvidenceKinds[] = {
    EvidenceKind::kGivenOthers, EvidenceKind::kGivenOthersZ, EvidenceKind::kMarginal,
    EvidenceKind::kRate,        EvidenceKind::kCore3,        EvidenceKind::kCore10,
    EvidenceKind::kCore30,      EvidenceKind::kQuasiRate,    EvidenceKind::kQuasiCore3};
std::string_view Name(EvidenceKind kind);  // "given_others", "given_others_z", "marginal", …
std::optional<EvidenceKind> EvidenceNamed(std::string_view name);  // empty: no kind has it
// Whether the kind depends on the code of the window; the others are fixed filters.
bool NeedsCodes(EvidenceKind kind);

// Of the target in the windows `starts`, in the model's normalised units. Works in the caller's TBB
// arena; the same bits for any number of threads.
TargetStatistics MeasureTarget(const CountView& target, const Normaliser& normaliser, Starts starts,
                               int S);

// Evidence of one kind for some latents. Thread-safe after construction; a window's evidence never
// depends on the windows beside it. The model must outlive the scorer.
class EvidenceScorer {
 public:
  // `latents`: of the whole dictionary, in any order. Fixed filters need the model's `training`
  // statistics.
  EvidenceScorer(const Model& model, EvidenceKind kind, std::vector<int32_t> latents);

  int64_t latents() const { return static_cast<int64_t>(latents_.size()); }

  // Evidence [rows, latents] in the windows of `target`, raw counts of what the model reconstructs,
  // that begin at the bins `starts`. `codes`: of the same windows, for kinds that need them. Works
  // in the caller's TBB arena.
  void Score(const CountView& target, Starts starts, const Codes<float>& codes, float* out) const;

 private:
  void GivenOthers(const CountView& target, Starts starts, const Codes<float>& codes, int64_t begin,
                   int64_t end, float* out) const;

  const Model& model_;
  EvidenceKind kind_;
  std::vector<int32_t> latents_;
  std::vector<int32_t> place_;             // [F]: where a latent stands in latents_, or -1
  std::unique_ptr<WindowProduct> filter_;  // of a fixed filter
  FloatEncoder<float> rows_, squares_;     // decoder rows, and their squares for the z form
};

// FAILED_PRECONDITION where the model cannot give this kind: it was stored before its training
// statistics were, or trained elsewhere.
absl::Status HasEvidence(const Model& model, EvidenceKind kind);

// Weights [latents, S·M] of a fixed filter, for the target in normalised units.
std::vector<float> FilterWeights(const Model& model, EvidenceKind kind,
                                 const std::vector<int32_t>& latents);

}  // namespace saed::sae
