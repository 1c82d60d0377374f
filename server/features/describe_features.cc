#include <algorithm>

#include "server/base/status_macros.h"
#include "server/features/describe.h"
#include "server/features/stages.h"
#include "server/features/unit_baseline.h"
#include "server/sae/parallel.h"

namespace saed::features {
namespace {

// Those that the model's own dictionary chose.
void ScoreUnitsAsBefore(Draft& d) {
  d.out.best_units.resize(d.condition_count());
  d.best_units.resize(d.condition_count());
  for (size_t c = 0; c < d.condition_count(); ++c) {
    const Precedent::Choices* before = d.Before(c);
    if (before == nullptr || !before->unit) continue;
    const auto found = FindUnit(*before->unit, d.view, d.test_starts, d.test, c);
    if (!found) continue;
    d.best_units[c] = found->unit;
    d.out.best_units[c] = Dictionary::BestUnit{before->unit->id, found->unit.falls,
                                               before->unit->train_auroc, found->auroc};
  }
}

}  // namespace

void ScoreUnits(Draft& d) {
  if (d.precedent != nullptr) return ScoreUnitsAsBefore(d);
  for (const auto& best : BestUnits(d.view, d.train_starts, d.train, d.test_starts, d.test)) {
    if (d.out.best_units.size() == d.condition_count()) break;
    d.out.best_units.emplace_back();
    d.best_units.emplace_back();
    if (!best) continue;
    d.best_units.back() = ViewUnit{best->unit, best->falls};
    d.out.best_units.back() =
        Dictionary::BestUnit{d.recording.units[d.view.units[best->unit]].id, best->falls,
                             best->train_auroc, best->test_auroc};
  }
}

absl::Status ForGroups(
    Draft& d, int64_t most, const Progress& progress,
    const std::function<absl::Status(int64_t first, std::span<const Activations>)>& use) {
  const auto features = static_cast<int64_t>(d.encoded.entries.size());
  for (const auto& [begin, end] : Groups(d.encoded, d.held)) {
    std::vector<Activations> some;
    if (!d.encoded.whole) {
      std::vector<bool> wanted(features);
      std::fill(wanted.begin() + begin, wanted.begin() + end, true);
      const double at = static_cast<double>(begin) / static_cast<double>(features);
      SAED_ASSIGN_OR_RETURN(some, Activate(
                                      d.encoder, d.view, d.sides.starts,
                                      [&](double) { return progress(at); }, wanted));
    }
    const std::span<const Activations> all = d.encoded.whole ? d.encoded.activations : some;
    for (int64_t first = begin; first < end; first += most) {
      if (!progress(static_cast<double>(first) / static_cast<double>(features))) {
        return absl::CancelledError("stopped while building the dictionary");
      }
      SAED_RETURN_IF_ERROR(use(first, all.subspan(first, std::min(most, end - first))));
    }
  }
  return absl::OkStatus();
}

absl::Status ForLatents(Draft& d, const Progress& progress,
                        const std::function<void(int64_t, const Activations&)>& use) {
  return ForGroups(d, kLatentsAtOnce, progress,
                   [&](int64_t first, std::span<const Activations> some) {
                     sae::ForBlocks(std::ssize(some), 1,
                                    [&](int64_t, int64_t i, int64_t) { use(first + i, some[i]); });
                     return absl::OkStatus();
                   });
}

absl::Status DescribeFeatures(Draft& d) {
  SAED_ASSIGN_OR_RETURN(d.encoded, EncodeAll(d.encoder, d.view, d.sides.starts, d.held,
                                             Within(d.progress, 0, kEncoded)));
  d.variables.emplace(AutomaticVariables(d.recording, d.view, d.sides.starts, d.out.warnings),
                      d.recording, d.view, d.sides.starts, d.sides.train, d.sides.in_sample,
                      d.split_blocks);
  d.out.variables = d.variables->summaries();
  d.places.emplace(d.recording, d.view, d.sides.starts, d.sides.train, d.sides.in_sample);
  d.out.places = d.places->summaries();
  d.out.features.resize(d.encoded.entries.size());
  d.active.resize(d.out.features.size());
  d.active_held_out.resize(d.out.features.size());
  d.active_events.resize(d.out.features.size());
  return ForLatents(d, Within(d.progress, kEncoded, kDescribed),
                    [&](int64_t j, const Activations& active) {
                      Feature& f = d.out.features[j];
                      f.latent = static_cast<int>(j);
                      Describe(d.encoder.model(), d.recording, d.view, d.sides.starts, active, f);
                      const Activations on_train = d.OnTrain(active), on_test = d.OnTest(active);
                      d.active[j] = static_cast<int64_t>(on_train.size());
                      d.active_held_out[j] = static_cast<int64_t>(on_test.size());
                      f.train = Score(on_train, d.train);
                      f.test = Score(on_test, d.test);
                      d.active_events[j] = d.events->ActiveIn(on_train, d.train);
                      f.certainty.resize(d.label_count());
                      f.variables = d.variables->ByCode(on_train, on_test);
                      f.places = d.places->ByCode(on_train, on_test);
                    });
}

}  // namespace saed::features
