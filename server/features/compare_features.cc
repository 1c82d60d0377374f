#include "server/base/status_macros.h"
#include "server/features/read_out.h"
#include "server/features/stages.h"

namespace saed::features {
namespace {

SetSearch Search(const Draft& d) {
  return {d.encoder,
          d.view,
          d.columns ? &*d.columns : nullptr,
          d.train_starts,
          d.test_starts,
          d.labels,
          d.test_labels,
          d.train_blocks,
          d.drawn_blocks,
          d.shorter_blocks,
          d.sides.in_sample,
          d.held};
}

absl::Status BesideBaselines(Draft& d) {
  const auto chosen =
      ChosenConditions(d.out.best_features, d.best_auroc, d.users.size(), kLogisticConditions);
  SAED_ASSIGN_OR_RETURN(d.out.baselines,
                        ScoreBaselines(Search(d), d.train, d.test, chosen,
                                       Within(d.progress, kSetsFound, kBaselined)));
  return absl::OkStatus();
}

}  // namespace

absl::Status CompareWithUnits(Draft& d) {
  const SetSearch search = Search(d);
  std::vector<JudgedPair> pairs;
  for (size_t c = 0; c < d.condition_count(); ++c) {
    const auto& best = d.out.best_features[c];
    if (best) pairs.push_back({*best, c, d.out.features[*best].judged[c]});
  }
  SAED_ASSIGN_OR_RETURN(
      const auto margins,
      MarginsOverUnits(search, pairs, d.best_units, Within(d.progress, kControlled, kValued)));
  d.out.margins.resize(d.condition_count());
  for (size_t i = 0; i < pairs.size(); ++i) {
    auto& margin = d.out.margins[pairs[i].condition] = margins[i];
    // What may be at chance itself is not worth more than a unit that is below.
    const auto& own = d.out.features[pairs[i].latent].certainty[pairs[i].condition].interval;
    const bool sure = own && own->low > 0.5;
    const bool above = margin && margin->interval && margin->interval->low > 0;
    if (above && !sure) margin->interval.reset();
  }
  const auto chosen =
      ChosenConditions(d.out.best_features, d.best_auroc, d.users.size(), kSetConditions);
  std::vector<int32_t> alive;
  for (const Feature& f : d.out.features) {
    if (static_cast<double>(d.active[f.latent]) >= kMinimumSupport) alive.push_back(f.latent);
  }
  const auto judged = [&](int32_t latent, size_t c) -> const Judged& {
    return d.out.features[latent].judged[c];
  };
  d.out.sets.resize(d.condition_count());
  if (chosen.empty() || d.sides.train == 0) return absl::OkStatus();
  SAED_ASSIGN_OR_RETURN(auto sets, FindSets(search, chosen, alive, judged, d.best_units,
                                            Within(d.progress, kValued, kSetsFound)));
  for (size_t i = 0; i < chosen.size(); ++i) d.out.sets[chosen[i]] = std::move(sets[i]);
  return absl::OkStatus();
}

absl::Status CompareWithPlainMethods(Draft& d) {
  d.out.probes.resize(d.condition_count());
  d.out.baselines.resize(d.condition_count());
  if (d.sides.train == 0) return absl::OkStatus();
  SAED_RETURN_IF_ERROR(BesideBaselines(d));
  SAED_ASSIGN_OR_RETURN(d.out.probes,
                        ReadOut(d.encoder, d.view, d.sides.starts, d.sides.train, d.sides.in_sample,
                                d.labels, d.out.best_features, d.best_auroc, d.users.size(),
                                Within(d.progress, kBaselined, kProbed)));
  return absl::OkStatus();
}

}  // namespace saed::features
