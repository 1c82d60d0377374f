#include <algorithm>

#include "server/base/status_macros.h"
#include "server/features/random_control.h"
#include "server/features/stages.h"

namespace saed::features {

absl::Status ScoreRandomRows(Draft& d) {
  d.out.random.resize(d.label_count());
  if (!d.target) return absl::OkStatus();
  SAED_ASSIGN_OR_RETURN(d.out.random, RandomControl(d.encoder.model(), *d.target, d.train_starts,
                                                    d.train, d.test_starts, d.test, d.held,
                                                    Within(d.progress, kCertified, kControlled)));
  return absl::OkStatus();
}

void SumUpControls(Draft& d) {
  for (const auto& [family, members] : d.control_families) {
    NegativeControl& control = d.out.controls.emplace_back();
    control.family = family;
    control.labels = static_cast<int>(members.size());
    double sum = 0, scored = 0;
    for (const size_t c : members) {
      for (const Feature& f : d.out.features) {
        control.pairs += f.certainty[c].q.has_value();
        control.called += f.certainty[c].q.value_or(1) < kCalled;
      }
      if (!d.best_of[c]) continue;
      const auto& auroc = d.out.features[*d.best_of[c]].judged[c].test_auroc;
      if (!auroc) continue;
      sum += *auroc;
      scored += 1;
      control.highest_auroc = std::max(control.highest_auroc.value_or(0), *auroc);
    }
    if (scored > 0) control.mean_auroc = sum / scored;
  }
  for (Feature& f : d.out.features) {
    f.train.resize(d.condition_count());
    f.test.resize(d.condition_count());
    f.judged.resize(d.condition_count());
    f.certainty.resize(d.condition_count());
  }
  d.out.random.resize(d.condition_count());
  d.labels.resize(d.condition_count());
  d.test_labels.resize(d.condition_count());
}

}  // namespace saed::features
