#include "server/features/association.h"

#include <algorithm>
#include <bit>

namespace saed::features {
namespace {

// Orders as the values do.
uint32_t Key(float value) {
  const auto bits = std::bit_cast<uint32_t>(value + 0.0f);
  return bits & 0x80000000U ? ~bits : bits | 0x80000000U;
}

// Sums of ranks and numbers of active positive windows, per condition.
struct RankSums {
  std::vector<double> ranks, hits;
};

// The inactive windows are one tie at the bottom with the average rank (n₀ + 1)/2.
RankSums AddRanks(const Activations& activations, const WindowConditions& conditions) {
  const Activations sorted = SortedByValue(activations);
  RankSums out;
  out.ranks.assign(conditions.positive.size(), 0);
  out.hits.assign(conditions.positive.size(), 0);
  double below = static_cast<double>(conditions.windows()) - static_cast<double>(sorted.size());
  for (size_t i = 0; i < sorted.size();) {
    size_t end = i;
    while (end < sorted.size() && sorted[end].second == sorted[i].second) ++end;
    const double rank = below + (static_cast<double>(end - i) + 1) / 2;
    for (size_t e = i; e < end; ++e) {
      const int64_t w = sorted[e].first;
      for (int64_t at = conditions.begin[w]; at < conditions.begin[w + 1]; ++at) {
        out.ranks[conditions.condition[at]] += rank;
        out.hits[conditions.condition[at]] += 1;
      }
    }
    below += static_cast<double>(end - i);
    i = end;
  }
  return out;
}

std::optional<double> AurocOf(const RankSums& sums, const WindowConditions& conditions,
                              size_t active, size_t c) {
  const auto windows = static_cast<double>(conditions.windows());
  const auto positive = static_cast<double>(conditions.positive[c]);
  const double negative = windows - positive, inactive = windows - static_cast<double>(active);
  if (positive == 0 || negative == 0) return std::nullopt;
  const double ranks = sums.ranks[c] + (positive - sums.hits[c]) * (inactive + 1) / 2;
  return (ranks - positive * (positive + 1) / 2) / (positive * negative);
}

}  // namespace

Activations SortedByValue(const Activations& activations) {
  constexpr size_t kFew = 512;
  Activations out = activations;
  if (out.size() < kFew) {
    std::stable_sort(out.begin(), out.end(),
                     [](const auto& a, const auto& b) { return Key(a.second) < Key(b.second); });
    return out;
  }
  // Radix sort: evidence has a value in every window.
  constexpr int kBits = 11, kPasses = 3;
  constexpr uint32_t kMask = (1U << kBits) - 1;
  std::vector<uint32_t> begin(kPasses << kBits, 0);
  for (const auto& [w, value] : out) {
    const uint32_t key = Key(value);
    for (int pass = 0; pass < kPasses; ++pass) {
      ++begin[(pass << kBits) + (key >> (pass * kBits) & kMask)];
    }
  }
  Activations other(out.size());
  for (int pass = 0; pass < kPasses; ++pass) {
    uint32_t* at = begin.data() + (pass << kBits);
    uint32_t before = 0;
    for (uint32_t digit = 0; digit <= kMask; ++digit) {
      const uint32_t count = at[digit];
      at[digit] = before;
      before += count;
    }
    for (const auto& entry : out) other[at[Key(entry.second) >> (pass * kBits) & kMask]++] = entry;
    out.swap(other);
  }
  return out;
}

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
  const auto windows = static_cast<double>(conditions.windows());
  const auto active = static_cast<double>(activations.size());
  const RankSums sums = AddRanks(activations, conditions);
  std::vector<Scores> out(conditions.positive.size());
  for (size_t c = 0; c < out.size(); ++c) {
    Scores& s = out[c];
    const auto positive = static_cast<double>(conditions.positive[c]);
    const double negative = windows - positive, hits = sums.hits[c];
    if (windows > 0) s.prevalence = positive / windows;
    if (active > 0) s.precision = hits / active;
    if (positive > 0) s.coverage = hits / positive;
    if (negative > 0) s.specificity = 1 - (active - hits) / negative;
    if (positive == 0 || negative == 0) continue;
    const double tpr = *s.coverage, fpr = (active - hits) / negative;
    s.selectivity = tpr + fpr > 0 ? tpr / (tpr + fpr) : 0;
    s.auroc = AurocOf(sums, conditions, activations.size(), c);
  }
  return out;
}

std::vector<std::optional<double>> Aurocs(const Activations& activations,
                                          const WindowConditions& conditions) {
  const RankSums sums = AddRanks(activations, conditions);
  std::vector<std::optional<double>> out(conditions.positive.size());
  for (size_t c = 0; c < out.size(); ++c) {
    out[c] = AurocOf(sums, conditions, activations.size(), c);
  }
  return out;
}

}  // namespace saed::features
