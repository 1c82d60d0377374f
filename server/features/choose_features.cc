#include <algorithm>
#include <cmath>

#include "server/features/drivers.h"
#include "server/features/stages.h"

namespace saed::features {
namespace {

// See kMinimumSupport and kSupportEvents.
bool Supported(const Draft& d, const Feature& f, size_t c) {
  const Judged& judged = f.judged[c];
  if (d.precedent != nullptr) return judged.train_auroc && f.test[c].auroc;
  const auto positive = static_cast<double>(d.train.positive[c]);
  const int64_t events = d.events->holding(c);
  const auto negative = static_cast<double>(d.train.asked[c]) - positive;
  if (!judged.train_auroc || !f.test[c].auroc || positive < kMinimumSupport ||
      negative < kMinimumSupport || events < kFewestEvents ||
      d.events->without(c) < kFewestEvents) {
    return false;
  }
  if (judged.kind || judged.falls) {
    return static_cast<double>(d.active[f.latent]) >= kMinimumSupport;
  }
  const int64_t active = d.active_events[f.latent][c];
  // A whole number, of which coverage is a quotient.
  return std::round(f.train[c].coverage.value_or(0) * positive) >= kMinimumSupport &&
         active >= std::min(kSupportEvents, (events + 1) / 2) &&
         static_cast<double>(active) >= kSupportShare * static_cast<double>(events);
}

// Largest first.
std::vector<TopUnit> Drivers(const Draft& d, const Contrasts& contrasts, const Feature& f,
                             size_t c) {
  const std::vector<double> drives = contrasts.Drives(f.latent, c, f.judged[c]);
  double total = 0;
  std::vector<TopUnit> out;
  for (size_t n = 0; n < drives.size(); ++n) {
    total += std::abs(drives[n]);
    out.push_back({d.view.unit_ids[n], drives[n], 0});
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const TopUnit& a, const TopUnit& b) { return a.drive > b.drive; });
  out.resize(std::min(out.size(), kDrivers));
  std::erase_if(out, [](const TopUnit& unit) { return unit.drive <= 0; });
  for (TopUnit& unit : out) unit.share = total > 0 ? unit.drive / total : 0;
  return out;
}

}  // namespace

void ChooseBest(Draft& d) {
  d.best_of.assign(d.label_count(), std::nullopt);
  d.best_auroc.assign(d.label_count(), 0);
  d.supported.assign(d.out.features.size(), std::vector<bool>(d.label_count()));
  d.wants_interval.assign(d.out.features.size(), std::vector<bool>(d.label_count()));
  for (Feature& f : d.out.features) {
    std::vector<size_t> order;
    for (size_t c = 0; c < d.label_count(); ++c) {
      if (!Supported(d, f, c)) continue;
      d.supported[f.latent][c] = true;
      if (c < d.condition_count()) order.push_back(c);
      const double auroc = *f.judged[c].train_auroc - (f.judged[c].falls ? kFallingMargin : 0);
      if (!d.best_of[c] || auroc > d.best_auroc[c]) {
        d.best_auroc[c] = auroc;
        d.best_of[c] = f.latent;
      }
    }
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
      return *f.judged[a].train_auroc > *f.judged[b].train_auroc;
    });
    if (!order.empty()) f.best_condition = static_cast<int>(order[0]);
    order.resize(std::min(order.size(), kIntervals));
    for (const size_t c : order) d.wants_interval[f.latent][c] = true;
  }
  d.out.best_features.assign(d.best_of.begin(), d.best_of.begin() + std::ssize(d.out.conditions));
  // A label's feature has its interval even where other labels suit that feature better.
  for (size_t c = 0; c < d.label_count(); ++c) {
    if (d.best_of[c]) d.wants_interval[*d.best_of[c]][c] = true;
  }
}

void TraceBack(Draft& d) {
  const bool held_out = d.sides.train == 0;
  const Contrasts contrasts(d.encoder.model(), d.view.counts(),
                            held_out ? d.test_starts : d.train_starts, held_out ? d.test : d.train);
  for (Feature& f : d.out.features) {
    f.drivers.resize(d.condition_count());
    for (size_t c = 0; c < d.condition_count(); ++c) {
      if (d.wants_interval[f.latent][c]) f.drivers[c] = Drivers(d, contrasts, f, c);
    }
  }
}

}  // namespace saed::features
