#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "server/base/status_macros.h"
#include "server/features/stages.h"

namespace saed::features {
namespace {

// Where so many times as many latents are active in held-out windows as in training ones, codes of
// training windows are no sample of codes: the model knows these windows by heart.
constexpr double kByHeart = 1.75;

// Leaves what depends on codes out of what features are judged by where codes of training windows
// say little of others (see kByHeart). Whether fixed filters alone judge.
bool JudgeByFiltersAlone(Draft& d) {
  const auto mean = [](const std::vector<int64_t>& active, int64_t windows) {
    const auto sum = static_cast<double>(std::accumulate(active.begin(), active.end(), int64_t{0}));
    return sum / static_cast<double>(std::max<int64_t>(1, windows));
  };
  const double train = mean(d.active, d.sides.train),
               test = mean(d.active_held_out, d.sides.test());
  const bool filters = std::any_of(d.kinds.begin(), d.kinds.end(),
                                   [](sae::EvidenceKind kind) { return !sae::NeedsCodes(kind); });
  if (!filters || d.sides.in_sample || test <= kByHeart * train) return false;
  std::erase_if(d.kinds, sae::NeedsCodes);
  d.out.warnings.push_back(fmt::format(
      "{:.3g} latents are active in held-out windows and {:.3g} in training ones, which the "
      "model knows by heart: features are judged by fixed filters, not by codes; train more "
      "windows or fewer features",
      test, train));
  return true;
}

void JudgeAsBefore(Draft& d) {
  for (Feature& f : d.out.features) {
    f.judged.assign(d.label_count(), {});
    for (size_t c = 0; c < d.condition_count(); ++c) {
      const Precedent::Choices* before = d.Before(c);
      if (before == nullptr) continue;
      const auto at = before->features.find(f.latent);
      if (at == before->features.end()) continue;
      // Evidence is not there where the model's target is not known.
      const auto& kind = at->second.kind;
      if (kind && std::find(d.kinds.begin(), d.kinds.end(), *kind) == d.kinds.end()) continue;
      f.judged[c] = at->second;
    }
  }
}

absl::Status JudgeByTraining(Draft& d) {
  const bool filters_alone = JudgeByFiltersAlone(d);
  std::vector<std::vector<Judged>> judged(d.out.features.size());
  std::vector<int32_t> alive;
  for (const Feature& f : d.out.features) {
    JudgeByCode(f.train, judged[f.latent]);
    if (static_cast<double>(d.active[f.latent]) < kMinimumSupport) continue;
    alive.push_back(f.latent);
    if (filters_alone) judged[f.latent].assign(d.label_count(), {});
  }
  for (const int32_t j : alive) {
    if (!filters_alone) break;
    for (VariableScores& s : d.out.features[j].variables) s.train_spearman.reset();
    for (PlaceScores& s : d.out.features[j].places) s.train_information.reset();
  }
  if (d.columns) {
    SAED_RETURN_IF_ERROR(
        JudgeByEvidence(*d.columns, d.kinds, alive, d.train_starts, d.train, d.held,
                        Within(d.progress, kDescribed, kJudged), judged,
                        [&](int32_t j, const std::vector<EvidenceOfKind>& evidence) {
                          Feature& f = d.out.features[j];
                          std::vector<VariableTable::Evidence> ordered;
                          for (const auto& of : evidence) {
                            ordered.push_back({of.kind, of.ordered});
                            d.places->Judge(of.kind, *of.column, f.places);
                          }
                          d.variables->Judge(ordered, f.variables);
                        }));
  }
  for (Feature& f : d.out.features) f.judged = std::move(judged[f.latent]);
  return absl::OkStatus();
}

}  // namespace

absl::Status JudgeFeatures(Draft& d) {
  if (d.precedent != nullptr) {
    JudgeAsBefore(d);
  } else {
    SAED_RETURN_IF_ERROR(JudgeByTraining(d));
  }
  for (Feature& f : d.out.features) {
    for (size_t c = 0; c < d.label_count(); ++c) {
      Judged& j = f.judged[c];
      if (j.kind || !f.test[c].auroc) continue;
      j.test_auroc = j.falls ? 1 - *f.test[c].auroc : *f.test[c].auroc;
    }
  }
  return absl::OkStatus();
}

}  // namespace saed::features
