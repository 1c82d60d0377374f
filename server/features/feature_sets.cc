#include "server/features/feature_sets.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "server/base/status_macros.h"
#include "server/features/dictionary.h"
#include "server/features/read_out.h"
#include "server/features/unit_baseline.h"
#include "server/sae/parallel.h"
#include "server/sae/random.h"

namespace saed::features {
namespace {

constexpr uint64_t kFoldSeed = 0x464f4c44;
// Of all intervals, so that conditions that hold in the same windows have the same.
constexpr uint64_t kDraws = 0;
constexpr int64_t kFewestDrawn = 10;  // trials, or blocks of time, with and without the condition
constexpr int64_t kFewestSetWindows = 1000, kFewestPositive = 200;

// Where a latent's column comes from.
using Source = std::pair<std::optional<sae::EvidenceKind>, int32_t>;

// Values of the sources in the windows `starts`.
absl::StatusOr<std::map<Source, Activations>> ValuesOf(const SetSearch& search,
                                                       const std::vector<Source>& sources,
                                                       const std::vector<int64_t>& starts,
                                                       const Progress& progress) {
  std::map<std::optional<sae::EvidenceKind>, std::vector<int32_t>> by_kind;
  for (const auto& [kind, latent] : sources) by_kind[kind].push_back(latent);
  std::map<Source, Activations> out;
  for (auto& [kind, latents] : by_kind) {
    std::sort(latents.begin(), latents.end());
    latents.erase(std::unique(latents.begin(), latents.end()), latents.end());
    if (kind) {
      SAED_ASSIGN_OR_RETURN(auto values, search.columns->Of(*kind, latents, starts, progress));
      for (size_t i = 0; i < latents.size(); ++i) {
        out[Source(kind, latents[i])] = std::move(values[i]);
      }
      continue;
    }
    std::vector<bool> wanted(search.encoder.model().spec.features());
    for (const int32_t j : latents) wanted[j] = true;
    SAED_ASSIGN_OR_RETURN(auto codes,
                          Activate(search.encoder, search.view, starts, progress, wanted));
    for (const int32_t j : latents) out[Source(kind, j)] = std::move(codes[j]);
  }
  return out;
}

// Deals the blocks of training windows out to folds, in random order; [rows].
std::vector<uint8_t> Folds(const std::vector<int64_t>& blocks, const std::vector<int64_t>& rows) {
  std::vector<int64_t> place(blocks.size() - 1);
  std::iota(place.begin(), place.end(), int64_t{0});
  const sae::CounterRandom random(kFoldSeed, 0);
  for (auto b = static_cast<int64_t>(place.size()) - 1; b > 0; --b) {
    std::swap(place[b], place[random.Below(b, b + 1)]);
  }
  std::vector<uint8_t> out;
  for (const int64_t row : rows) {
    const auto next = std::upper_bound(blocks.begin(), blocks.end(), row);
    out.push_back(static_cast<uint8_t>(place[next - blocks.begin() - 1] % kSetFolds));
  }
  return out;
}

// Σ weight·(value − mean)/sd in every window.
template <class Member>
Activations ScoresOf(const std::vector<Member>& members,
                     const std::vector<const Activations*>& values, int64_t windows) {
  std::vector<double> sum(windows, 0);
  for (size_t i = 0; i < members.size(); ++i) {
    const Member& m = members[i];
    std::vector<float> column(windows, 0);
    for (const auto& [w, value] : *values[i]) column[w] = value;
    for (int64_t w = 0; w < windows; ++w) {
      sum[w] += m.weight * ((static_cast<double>(column[w]) - m.mean) / m.sd);
    }
  }
  Activations out(windows);
  for (int64_t w = 0; w < windows; ++w) {
    out[w] = {static_cast<int32_t>(w), static_cast<float>(sum[w])};
  }
  return out;
}

std::optional<double> AurocOf(const Activations& values, const std::vector<uint8_t>& label) {
  std::vector<float> all(label.size(), 0);
  for (const auto& [w, value] : values) all[w] = value;
  return AurocWhere(all, label, Asked(label));
}

Margin MarginOf(const SetSearch& search, size_t condition, const Activations& a,
                const Activations& b) {
  const auto& label = search.test_labels[condition];
  Margin out;
  out.difference = AurocOf(a, label).value_or(0) - AurocOf(b, label).value_or(0);
  // Of fewer trials a bootstrap is far too sure.
  if (BlocksOfRarer(label, search.drawn_blocks) < kFewestDrawn) return out;
  out.interval = BootstrapDifference(
      a, b, label, BlocksToDraw(label, search.drawn_blocks, search.shorter_blocks), kDraws);
  return out;
}

// A set of every size, as it was found on training windows.
template <class Member>
struct Found {
  std::vector<std::vector<Member>> sets;  // of 1, 2, … members
  std::vector<std::optional<double>> train, validated;
  size_t size = 0;
};

template <class Member>
Found<Member> Name(const ChosenSet& chosen, const SetColumns& columns,
                   const std::function<Member(int32_t column)>& member) {
  Found<Member> out{{}, chosen.train, chosen.validated, chosen.size};
  for (const auto& weights : chosen.growth.weights) {
    out.sets.emplace_back();
    for (size_t i = 0; i < weights.size(); ++i) {
      Member m = member(chosen.growth.columns[i]);
      m.mean = columns.about(chosen.growth.columns[i]).mean;
      m.sd = columns.about(chosen.growth.columns[i]).sd;
      m.weight = weights[i];
      out.sets.back().push_back(m);
    }
  }
  return out;
}

class Finder {
 public:
  Finder(const SetSearch& search, const std::vector<size_t>& chosen, const Progress& progress)
      : search_(search), chosen_(chosen), progress_(progress) {
    const auto units = static_cast<int64_t>(search.view.units.size());
    const int64_t most =
        std::clamp(kSetValues / std::max<int64_t>(1, units), kFewestSetWindows, kSetWindows);
    const auto all = static_cast<int64_t>(search.train_starts.size());
    rows_ = EvenlySpaced(0, all, most);
    if (most < all) AddRare();
    for (const int64_t r : rows_) starts_.push_back(search.train_starts[r]);
    if (!rows_.empty()) folds_ = Folds(search.train_blocks, rows_);
  }

  absl::Status Search(std::vector<int32_t> latents,
                      const std::function<const Judged&(int32_t, size_t)>& judged) {
    std::vector<std::optional<sae::EvidenceKind>> kinds = {std::nullopt};
    if (search_.columns) {
      for (const sae::EvidenceKind kind : search_.columns->Kinds()) kinds.emplace_back(kind);
    }
    Limit(latents, kinds.size(), judged);
    const auto rows = static_cast<int64_t>(rows_.size());
    SetColumns features(rows), units(rows);
    std::vector<Source> sources;
    for (const auto& kind : kinds) {
      std::vector<Source> some;
      for (const int32_t j : latents) some.emplace_back(kind, j);
      SAED_ASSIGN_OR_RETURN(const auto values, ValuesOf(search_, some, starts_, progress_));
      for (const Source& s : some) features.Add(s.second, values.at(s));
      sources.insert(sources.end(), some.begin(), some.end());
    }
    AddUnits(units);
    features_.resize(chosen_.size());
    units_.resize(chosen_.size());
    if (!progress_(0.5)) return absl::CancelledError("stopped while looking for sets");
    std::vector<size_t> supported;  // of chosen_
    std::vector<std::vector<uint8_t>> labels;
    for (size_t i = 0; i < chosen_.size(); ++i) {
      std::vector<uint8_t> label = Labels(chosen_[i]);
      if (!Supported(label)) continue;
      supported.push_back(i);
      labels.push_back(std::move(label));
    }
    const auto of_features = ChooseSets(features, labels, folds_);
    const auto of_units = ChooseSets(units, labels, folds_);
    for (size_t s = 0; s < supported.size(); ++s) {
      features_[supported[s]] = Name<SetMember>(of_features[s], features, [&](int32_t column) {
        return SetMember{sources[column].second, sources[column].first};
      });
      units_[supported[s]] = Name<UnitMember>(of_units[s], units, [](int32_t column) {
        return UnitMember{column};  // of the view; see UnitIds
      });
    }
    return absl::OkStatus();
  }

  // Held-out scores, for as many conditions at once as may be held.
  absl::StatusOr<std::vector<FeatureSet>> Score(
      const std::vector<std::optional<ViewUnit>>& best_units) {
    std::vector<FeatureSet> out(chosen_.size());
    const auto windows = static_cast<int64_t>(search_.test_starts.size());
    const auto group = static_cast<size_t>(std::max<int64_t>(
        1, search_.held / std::max<int64_t>(1, windows * 2 * static_cast<int64_t>(kMostMembers))));
    for (size_t begin = 0; begin < chosen_.size(); begin += group) {
      const size_t end = std::min(chosen_.size(), begin + group);
      std::vector<Source> sources;
      std::vector<int> units;
      for (size_t i = begin; i < end; ++i) {
        if (!features_[i].sets.empty()) {
          for (const SetMember& m : features_[i].sets.back())
            sources.emplace_back(m.kind, m.latent);
        }
        if (!units_[i].sets.empty()) {
          for (const UnitMember& m : units_[i].sets.back()) {
            units.push_back(static_cast<int>(m.unit_id));
          }
        }
        if (best_units[chosen_[i]]) units.push_back(best_units[chosen_[i]]->unit);
      }
      std::sort(units.begin(), units.end());
      units.erase(std::unique(units.begin(), units.end()), units.end());
      SAED_ASSIGN_OR_RETURN(const auto values,
                            ValuesOf(search_, sources, search_.test_starts, progress_));
      const auto counts = CountsOf(search_.view, units, search_.test_starts);
      const auto count = [&](int64_t unit) {
        return &counts[std::lower_bound(units.begin(), units.end(), unit) - units.begin()];
      };
      sae::ForBlocks(static_cast<int64_t>(end - begin), 1, [&](int64_t, int64_t at, int64_t) {
        const size_t i = begin + at;
        out[i] = One(
            i, best_units[chosen_[i]],
            [&](const SetMember& m) { return &values.at(Source(m.kind, m.latent)); },
            [&](const UnitMember& m) { return count(m.unit_id); });
      });
    }
    return out;
  }

 private:
  // The latents that do best for any condition, where all are too many.
  void Limit(std::vector<int32_t>& latents, size_t kinds,
             const std::function<const Judged&(int32_t, size_t)>& judged) const {
    const auto values = static_cast<int64_t>(kinds * std::max<size_t>(1, rows_.size()));
    const auto most = static_cast<size_t>(std::max<int64_t>(1, kSetValues / values));
    if (latents.size() <= most) return;
    std::vector<std::pair<double, int32_t>> order;
    for (const int32_t j : latents) {
      double best = 0;
      for (const size_t c : chosen_) best = std::max(best, judged(j, c).train_auroc.value_or(0));
      order.emplace_back(-best, j);
    }
    std::sort(order.begin(), order.end());
    latents.clear();
    for (size_t i = 0; i < most; ++i) latents.push_back(order[i].second);
    std::sort(latents.begin(), latents.end());
  }

  void AddUnits(SetColumns& out) const {
    constexpr int kAtOnce = 256;
    const auto all = static_cast<int>(search_.view.units.size());
    for (int first = 0; first < all; first += kAtOnce) {
      std::vector<int> some(std::min(kAtOnce, all - first));
      std::iota(some.begin(), some.end(), first);
      const auto counts = CountsOf(search_.view, some, starts_);
      for (size_t i = 0; i < some.size(); ++i) out.Add(some[i], counts[i]);
    }
  }

  std::vector<uint8_t> Labels(size_t condition) const {
    std::vector<uint8_t> out;
    out.reserve(rows_.size());
    for (const int64_t r : rows_) out.push_back(search_.labels[condition][r]);
    return out;
  }

  // Windows of conditions that evenly spaced ones hardly meet. Both classes weigh alike in what
  // weights are fitted to.
  void AddRare() {
    std::set<int64_t> rows(rows_.begin(), rows_.end());
    for (const size_t condition : chosen_) {
      const auto& label = search_.labels[condition];
      std::vector<int64_t> positive;
      int64_t met = 0;
      for (int64_t w = 0; w < std::ssize(search_.train_starts); ++w) {
        if (label[w] == kHolds) positive.push_back(w);
      }
      for (const int64_t r : rows_) met += label[r] == kHolds;
      if (met >= kFewestPositive) continue;
      for (const int64_t i : EvenlySpaced(0, std::ssize(positive), kFewestPositive)) {
        rows.insert(positive[i]);
      }
    }
    rows_.assign(rows.begin(), rows.end());
  }

  static bool Supported(const std::vector<uint8_t>& label) {
    const auto support = static_cast<int64_t>(kMinimumSupport);
    return std::count(label.begin(), label.end(), kHolds) >= support &&
           std::count(label.begin(), label.end(), kHoldsNot) >= support;
  }

  // Fills `sizes`; the scores of the set of `size` members, or of the largest.
  template <class Member, class Values>
  Activations Sizes(const Found<Member>& found, size_t size, size_t condition, const Values& values,
                    std::vector<Member>& members, std::vector<SetSize<Member>>& sizes) const {
    Activations out;
    const auto windows = static_cast<int64_t>(search_.test_starts.size());
    for (size_t n = 0; n < found.sets.size(); ++n) {
      const std::vector<Member>& set = found.sets[n];
      std::vector<const Activations*> of;
      for (const Member& m : set) of.push_back(values(m));
      Activations scores = ScoresOf(set, of, windows);
      sizes.push_back({set.back(), found.train[n], found.validated[n],
                       AurocOf(scores, search_.test_labels[condition])});
      if (n < size) {
        members = set;
        out = std::move(scores);
      }
    }
    return out;
  }

  template <class OfFeature, class OfUnit>
  FeatureSet One(size_t i, const std::optional<ViewUnit>& best_unit, const OfFeature& of_feature,
                 const OfUnit& of_unit) const {
    FeatureSet out;
    const size_t condition = chosen_[i];
    if (features_[i].sets.empty()) return out;
    const Activations scores =
        Sizes(features_[i], features_[i].size, condition, of_feature, out.members, out.sizes);
    const Activations as_many =
        Sizes(units_[i], out.members.size(), condition, of_unit, out.units, out.unit_sizes);
    const auto& label = search_.test_labels[condition];
    if (search_.drawn_blocks.size() > kBlocksToDeal) {
      const auto blocks = BlocksToDraw(label, search_.drawn_blocks, search_.shorter_blocks);
      out.interval = BootstrapAuroc(scores, label, blocks, kDraws);
    }
    if (!search_.in_sample && out.sizes[0].test_auroc) {
      if (best_unit) {
        Activations unit = *of_unit(UnitMember{best_unit->unit});
        if (best_unit->falls) unit = Negated(unit, static_cast<int64_t>(label.size()));
        out.over_unit = MarginOf(search_, condition, scores, unit);
      }
      if (!out.units.empty()) out.over_units = MarginOf(search_, condition, scores, as_many);
    }
    UnitIds(out);
    return out;
  }

  // From columns of the view to the ids of its units.
  void UnitIds(FeatureSet& set) const {
    for (UnitMember& m : set.units) m.unit_id = search_.view.unit_ids[m.unit_id];
    for (auto& size : set.unit_sizes) {
      size.added.unit_id = search_.view.unit_ids[size.added.unit_id];
    }
  }

  const SetSearch& search_;
  const std::vector<size_t>& chosen_;
  const Progress& progress_;
  std::vector<int64_t> rows_, starts_;  // training windows of the search, and their first bins
  std::vector<uint8_t> folds_;
  std::vector<Found<SetMember>> features_;  // of each chosen condition
  std::vector<Found<UnitMember>> units_;
};

}  // namespace

Worth WorthOf(const std::optional<Margin>& margin) {
  if (!margin || !margin->interval) return Worth::kUnknown;
  if (margin->interval->low > 0) return Worth::kAboveUnits;
  return margin->interval->high < 0 ? Worth::kBelowUnits : Worth::kLikeUnits;
}

Worth FeatureSet::worth() const {
  const Worth unit = WorthOf(over_unit), units = WorthOf(over_units);
  if (unit == Worth::kUnknown || units == Worth::kUnknown || !interval) return Worth::kUnknown;
  const Worth least = std::max(unit, units);
  return least == Worth::kAboveUnits && interval->low <= 0.5 ? Worth::kLikeUnits : least;
}

absl::StatusOr<std::vector<FeatureSet>> FindSets(
    const SetSearch& search, const std::vector<size_t>& chosen, const std::vector<int32_t>& latents,
    const std::function<const Judged&(int32_t, size_t)>& judged,
    const std::vector<std::optional<ViewUnit>>& units, const Progress& progress) {
  Finder finder(search, chosen, progress);
  SAED_RETURN_IF_ERROR(finder.Search(latents, judged));
  return finder.Score(units);
}

absl::StatusOr<std::vector<std::optional<Margin>>> MarginsOverUnits(
    const SetSearch& search, const std::vector<JudgedPair>& pairs,
    const std::vector<std::optional<ViewUnit>>& units, const Progress& progress) {
  std::vector<std::optional<Margin>> out(pairs.size());
  if (search.in_sample) return out;
  const auto windows = static_cast<int64_t>(search.test_starts.size());
  const auto group =
      static_cast<size_t>(std::max<int64_t>(1, search.held / std::max<int64_t>(1, 2 * windows)));
  for (size_t begin = 0; begin < pairs.size(); begin += group) {
    const size_t end = std::min(pairs.size(), begin + group);
    std::vector<Source> sources;
    std::vector<int> columns;
    for (size_t i = begin; i < end; ++i) {
      sources.emplace_back(pairs[i].judged.kind, pairs[i].latent);
      const auto& unit = units[pairs[i].condition];
      columns.push_back(unit ? unit->unit : 0);
    }
    SAED_ASSIGN_OR_RETURN(const auto values,
                          ValuesOf(search, sources, search.test_starts, progress));
    const auto counts = CountsOf(search.view, columns, search.test_starts);
    sae::ForBlocks(static_cast<int64_t>(end - begin), 1, [&](int64_t, int64_t at, int64_t) {
      const JudgedPair& pair = pairs[begin + at];
      const auto& unit = units[pair.condition];
      if (!unit || !pair.judged.test_auroc) return;
      const Activations& feature = values.at(Source(pair.judged.kind, pair.latent));
      out[begin + at] =
          MarginOf(search, pair.condition, pair.judged.falls ? Negated(feature, windows) : feature,
                   unit->falls ? Negated(counts[at], windows) : counts[at]);
    });
  }
  return out;
}

}  // namespace saed::features
