#include "server/features/association.h"

#include <algorithm>
#include <bit>
#include <map>
#include <numeric>

namespace saed::features {
namespace {

// Orders as the values do.
uint32_t Key(float value) {
  const auto bits = std::bit_cast<uint32_t>(value + 0.0f);
  return bits & 0x80000000U ? ~bits : bits | 0x80000000U;
}

// Per condition the sum of ranks and the number of active windows in which it holds; the active
// windows of which it asks.
struct RankSums {
  std::vector<double> ranks, hits, active;
};

// Calls use(begin, end) for every run of equal values.
template <class Use>
void ForTies(const Activations& sorted, const Use& use) {
  for (size_t i = 0; i < sorted.size();) {
    size_t end = i + 1;
    while (end < sorted.size() && sorted[end].second == sorted[i].second) ++end;
    use(i, end);
    i = end;
  }
}

// Where every window has a value: by the ranks before each window, doubled to be whole numbers, at
// the cost of the stretches in which conditions hold.
void AddAllRanks(const Activations& sorted, const WindowConditions::Part& part, RankSums& out) {
  std::vector<int64_t> before(sorted.size() + 1, 0);
  ForTies(sorted, [&](size_t begin, size_t end) {
    const auto doubled = static_cast<int64_t>(begin + end + 1);
    for (size_t e = begin; e < end; ++e) before[sorted[e].first + 1] = doubled;
  });
  std::partial_sum(before.begin(), before.end(), before.begin());
  for (size_t i = 0; i < part.of.conditions.size(); ++i) {
    int64_t sum = 0, hits = 0;
    for (int64_t s = part.first_of[i]; s < part.first_of[i + 1]; ++s) {
      const auto& [first, last] = part.stretches[s];
      sum += before[last] - before[first];
      hits += last - first;
    }
    const size_t c = part.of.conditions[i];
    out.ranks[c] = static_cast<double>(sum) / 2;
    out.hits[c] = static_cast<double>(hits);
    out.active[c] = static_cast<double>(sorted.size());
  }
}

// `sorted` by value. The inactive windows are one tie at the bottom with the average rank
// (n₀ + 1)/2.
void AddRanks(const Activations& sorted, const WindowConditions::Part& part, RankSums& out) {
  if (std::ssize(sorted) == part.of.scope.windows()) return AddAllRanks(sorted, part, out);
  const double inactive =
      static_cast<double>(part.of.scope.windows()) - static_cast<double>(sorted.size());
  ForTies(sorted, [&](size_t begin, size_t end) {
    const double rank = inactive + (static_cast<double>(begin + end) + 1) / 2;
    for (size_t e = begin; e < end; ++e) {
      const int64_t w = sorted[e].first;
      for (int64_t at = part.begin[w]; at < part.begin[w + 1]; ++at) {
        out.ranks[part.condition[at]] += rank;
        out.hits[part.condition[at]] += 1;
      }
    }
  });
  for (const size_t c : part.of.conditions) out.active[c] = static_cast<double>(sorted.size());
}

RankSums AddRanks(const Ordered& activations, const WindowConditions& conditions) {
  const Activations& sorted = activations.entries();
  RankSums out;
  const size_t count = conditions.positive.size();
  out.ranks.assign(count, 0);
  out.hits.assign(count, 0);
  out.active.assign(count, 0);
  for (const auto& part : conditions.parts) {
    if (part.of.scope.whole()) {
      AddRanks(sorted, part, out);
    } else {
      AddRanks(part.of.scope.Restrict(sorted), part, out);
    }
  }
  return out;
}

std::optional<double> AurocOf(const RankSums& sums, const WindowConditions& conditions, size_t c) {
  const auto windows = static_cast<double>(conditions.asked[c]);
  const auto positive = static_cast<double>(conditions.positive[c]);
  const double negative = windows - positive, inactive = windows - sums.active[c];
  if (positive == 0 || negative == 0) return std::nullopt;
  const double ranks = sums.ranks[c] + (positive - sums.hits[c]) * (inactive + 1) / 2;
  return (ranks - positive * (positive + 1) / 2) / (positive * negative);
}

}  // namespace

Activations SortedByValue(const Activations& activations) {
  constexpr size_t kFew = 512;
  if (activations.size() < kFew) {
    Activations out = activations;
    std::stable_sort(out.begin(), out.end(),
                     [](const auto& a, const auto& b) { return Key(a.second) < Key(b.second); });
    return out;
  }
  // Radix sort: evidence has a value in every window.
  constexpr int kBits = 11, kPasses = 3;
  constexpr uint32_t kMask = (1U << kBits) - 1;
  std::vector<uint32_t> begin(kPasses << kBits, 0);
  for (const auto& [w, value] : activations) {
    const uint32_t key = Key(value);
    for (int pass = 0; pass < kPasses; ++pass) {
      ++begin[(pass << kBits) + (key >> (pass * kBits) & kMask)];
    }
  }
  Activations out(activations.size()), other(activations.size());
  for (int pass = 0; pass < kPasses; ++pass) {
    uint32_t* at = begin.data() + (pass << kBits);
    uint32_t before = 0;
    for (uint32_t digit = 0; digit <= kMask; ++digit) {
      const uint32_t count = at[digit];
      at[digit] = before;
      before += count;
    }
    for (const auto& entry : pass == 0 ? activations : out) {
      other[at[Key(entry.second) >> (pass * kBits) & kMask]++] = entry;
    }
    out.swap(other);
  }
  return out;
}

Ordered Ordered::Negated(int64_t windows) const {
  Ordered out;
  out.entries_.reserve(windows);
  std::vector<uint8_t> active(windows, 0);
  for (const auto& [w, value] : entries_) active[w] = 1;
  const auto rest = [&] {
    for (int64_t w = 0; w < windows; ++w) {
      if (!active[w]) out.entries_.emplace_back(static_cast<int32_t>(w), 0.0F);
    }
  };
  // Those without an entry are 0, between positive and negative values.
  bool done = false;
  for (auto entry = entries_.rbegin(); entry != entries_.rend(); ++entry) {
    if (!done && entry->second <= 0) {
      rest();
      done = true;
    }
    out.entries_.emplace_back(entry->first, -entry->second);
  }
  if (!done) rest();
  return out;
}

std::vector<uint8_t> Asked(const std::vector<WindowLabel>& label) {
  std::vector<uint8_t> out(label.size());
  for (size_t w = 0; w < label.size(); ++w) out[w] = label[w] != kOutside;
  return out;
}

Scope::Scope(const std::vector<WindowLabel>& label) {
  if (std::find(label.begin(), label.end(), kOutside) == label.end()) {
    windows_ = static_cast<int64_t>(label.size());
    return;
  }
  place_.assign(label.size(), -1);
  for (size_t w = 0; w < label.size(); ++w) {
    if (label[w] != kOutside) place_[w] = static_cast<int32_t>(windows_++);
  }
}

Activations Scope::Restrict(const Activations& activations) const {
  if (whole()) return activations;
  Activations out(activations.size());
  size_t kept = 0;
  // Without a branch: which windows are in the scope is as good as random in the order of values.
  for (const auto& [w, value] : activations) {
    out[kept] = {place_[w], value};
    kept += place_[w] >= 0;
  }
  out.resize(kept);
  return out;
}

std::vector<WindowLabel> Scope::Restrict(const std::vector<WindowLabel>& label) const {
  if (whole()) return label;
  std::vector<WindowLabel> out;
  for (size_t w = 0; w < label.size(); ++w) {
    if (place_[w] >= 0) out.push_back(label[w]);
  }
  return out;
}

std::vector<int64_t> Scope::RestrictBlocks(const std::vector<int64_t>& blocks) const {
  if (whole()) return blocks;
  std::vector<int64_t> out = {0};
  int64_t within = 0;
  for (size_t b = 0; b + 1 < blocks.size(); ++b) {
    for (int64_t w = blocks[b]; w < blocks[b + 1]; ++w) within += place_[w] >= 0;
    if (within > out.back()) out.push_back(within);
  }
  return out;
}

std::vector<ScopeConditions> ByScope(const std::vector<std::vector<WindowLabel>>& labels,
                                     int64_t windows) {
  std::vector<ScopeConditions> out;
  std::map<std::vector<bool>, size_t> known;
  for (size_t c = 0; c < labels.size(); ++c) {
    std::vector<bool> outside(windows);
    for (int64_t w = 0; w < windows; ++w) outside[w] = labels[c][w] == kOutside;
    const auto [at, added] = known.try_emplace(std::move(outside), out.size());
    if (added) out.push_back({Scope(labels[c]), {}});
    out[at->second].conditions.push_back(c);
  }
  return out;
}

namespace {

// Of one condition, the next of the part.
void AddStretches(const std::vector<WindowLabel>& label, WindowConditions::Part& part) {
  for (size_t w = 0; w < label.size(); ++w) {
    if (label[w] != kHolds) continue;
    const auto at = static_cast<int32_t>(w);
    if (w == 0 || label[w - 1] != kHolds) part.stretches.emplace_back(at, at);
    part.stretches.back().second = at + 1;
  }
  part.first_of.push_back(std::ssize(part.stretches));
}

}  // namespace

WindowConditions ByWindow(const std::vector<std::vector<WindowLabel>>& labels, int64_t windows) {
  WindowConditions out;
  out.positive.assign(labels.size(), 0);
  out.asked.assign(labels.size(), 0);
  for (ScopeConditions& of : ByScope(labels, windows)) {
    WindowConditions::Part& part =
        out.parts.emplace_back(WindowConditions::Part{std::move(of), {0}, {}, {}, {0}});
    for (int64_t w = 0; w < windows; ++w) {
      if (part.of.scope.Place(w) < 0) continue;
      for (const size_t c : part.of.conditions) {
        if (labels[c][w] != kHolds) continue;
        part.condition.push_back(static_cast<int32_t>(c));
        ++out.positive[c];
      }
      part.begin.push_back(static_cast<int64_t>(part.condition.size()));
    }
    for (const size_t c : part.of.conditions) {
      out.asked[c] = part.of.scope.windows();
      AddStretches(part.of.scope.Restrict(labels[c]), part);
    }
  }
  return out;
}

std::vector<Scores> Score(const Ordered& activations, const WindowConditions& conditions) {
  const RankSums sums = AddRanks(activations, conditions);
  std::vector<Scores> out(conditions.positive.size());
  for (size_t c = 0; c < out.size(); ++c) {
    Scores& s = out[c];
    const auto windows = static_cast<double>(conditions.asked[c]);
    const auto positive = static_cast<double>(conditions.positive[c]);
    const double negative = windows - positive, hits = sums.hits[c], active = sums.active[c];
    if (windows > 0) s.prevalence = positive / windows;
    if (active > 0) s.precision = hits / active;
    if (positive > 0) s.coverage = hits / positive;
    if (negative > 0) s.specificity = 1 - (active - hits) / negative;
    if (positive == 0 || negative == 0) continue;
    const double tpr = *s.coverage, fpr = (active - hits) / negative;
    s.selectivity = tpr + fpr > 0 ? tpr / (tpr + fpr) : 0;
    s.auroc = AurocOf(sums, conditions, c);
  }
  return out;
}

std::vector<std::optional<double>> Aurocs(const Ordered& activations,
                                          const WindowConditions& conditions) {
  const RankSums sums = AddRanks(activations, conditions);
  std::vector<std::optional<double>> out(conditions.positive.size());
  for (size_t c = 0; c < out.size(); ++c) out[c] = AurocOf(sums, conditions, c);
  return out;
}

}  // namespace saed::features
