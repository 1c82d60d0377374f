#include "server/features/association.h"

#include <algorithm>

namespace saed::features {

WindowConditions ByWindow(const std::vector<std::vector<uint8_t>>& labels, int64_t windows) {
  WindowConditions out;
  out.begin.assign(windows + 1, 0);
  out.positive.assign(labels.size(), 0);
  for (int64_t w = 0; w < windows; ++w) {
    for (size_t c = 0; c < labels.size(); ++c) {
      if (!labels[c][w]) continue;
      out.condition.push_back(static_cast<int32_t>(c));
      ++out.positive[c];
    }
    out.begin[w + 1] = static_cast<int64_t>(out.condition.size());
  }
  return out;
}

std::vector<Scores> Score(const Activations& activations, const WindowConditions& conditions) {
  const size_t count = conditions.positive.size();
  const auto windows = static_cast<double>(conditions.windows());
  const auto active = static_cast<double>(activations.size());
  Activations sorted = activations;
  std::sort(sorted.begin(), sorted.end(),
            [](const auto& a, const auto& b) { return a.second < b.second; });

  // Sums of ranks and numbers of active positive windows. The inactive windows are one tie at the
  // bottom with the average rank (n₀ + 1)/2.
  const double inactive = windows - active;
  std::vector<double> rank_sum(count, 0), hits(count, 0);
  double below = inactive;
  for (size_t i = 0; i < sorted.size();) {
    size_t end = i;
    while (end < sorted.size() && sorted[end].second == sorted[i].second) ++end;
    const double rank = below + (static_cast<double>(end - i) + 1) / 2;
    for (size_t e = i; e < end; ++e) {
      const int64_t w = sorted[e].first;
      for (int64_t at = conditions.begin[w]; at < conditions.begin[w + 1]; ++at) {
        rank_sum[conditions.condition[at]] += rank;
        hits[conditions.condition[at]] += 1;
      }
    }
    below += static_cast<double>(end - i);
    i = end;
  }

  std::vector<Scores> out(count);
  for (size_t c = 0; c < count; ++c) {
    Scores& s = out[c];
    const auto positive = static_cast<double>(conditions.positive[c]);
    const double negative = windows - positive;
    if (windows > 0) s.prevalence = positive / windows;
    if (active > 0) s.precision = hits[c] / active;
    if (positive > 0) s.coverage = hits[c] / positive;
    if (negative > 0) s.specificity = 1 - (active - hits[c]) / negative;
    if (positive == 0 || negative == 0) continue;
    const double tpr = *s.coverage, fpr = (active - hits[c]) / negative;
    s.selectivity = tpr + fpr > 0 ? tpr / (tpr + fpr) : 0;
    const double ranks = rank_sum[c] + (positive - hits[c]) * (inactive + 1) / 2;
    s.auroc = (ranks - positive * (positive + 1) / 2) / (positive * negative);
  }
  return out;
}

}  // namespace saed::features
