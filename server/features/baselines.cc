#include "server/features/baselines.h"

#include <algorithm>
#include <array>
#include <functional>
#include <numeric>
#include <set>

#include "server/base/status_macros.h"
#include "server/features/components.h"
#include "server/features/logistic.h"
#include "server/features/probe.h"
#include "server/features/read_out.h"
#include "server/features/unit_baseline.h"
#include "server/recordings/binning.h"
#include "server/sae/parallel.h"
#include "server/sae/random.h"
#include "server/sae/window_product.h"

namespace saed::features {
namespace {

constexpr uint64_t kFoldSeed = 0x42415345;
constexpr double kPenalties[] = {1e-4, 1e-3, 1e-2, 1e-1};  // C, see FitLogistic
constexpr double kWithoutFolds = 1e-2;
constexpr double kTolerance = 1e-3;
constexpr int kIterations = 40;
constexpr int64_t kWindowsAtOnce = 8192, kProductBlock = 256;
constexpr int64_t kFewestOfSide = 200;

using Label = std::vector<uint8_t>;

// Rows of what logistic regression sees in the windows `starts`.
using Inputs = std::function<absl::StatusOr<SparseRows>(const std::vector<int64_t>& starts)>;

// Counts of the windows that begin at `starts`, of every bin and unit or of every unit.
SparseRows CountsIn(const recordings::ViewData& view, const std::vector<int64_t>& starts) {
  const CountView counts = view.counts();
  const int inputs = view.window * counts.units;
  const bool sums = inputs > kLogisticInputs;
  SparseRows out;
  out.columns = sums ? counts.units : inputs;
  std::vector<double> row(out.columns);
  for (const int64_t start : starts) {
    std::fill(row.begin(), row.end(), 0);
    for (int i = 0; i < inputs; ++i) {
      row[sums ? i % counts.units : i] += recordings::ValueAt(counts, start * counts.units + i);
    }
    for (int j = 0; j < out.columns; ++j) {
      if (row[j] != 0) out.Add(j, static_cast<float>(row[j]));
    }
    out.EndRow();
  }
  return out;
}

// See kDenseLatents.
std::optional<sae::EvidenceKind> LogisticLatents(const SetSearch& search) {
  const sae::Model& model = search.encoder.model();
  constexpr auto kKind = sae::EvidenceKind::kMarginal;
  const bool graded = search.columns != nullptr && sae::HasEvidence(model, kKind).ok();
  if (!graded || model.spec.features() > kDenseLatents) return std::nullopt;
  return kKind;
}

absl::StatusOr<SparseRows> LatentsIn(const SetSearch& search, const std::vector<int64_t>& starts,
                                     const Progress& progress) {
  const auto kind = LogisticLatents(search);
  if (!kind) {
    SAED_ASSIGN_OR_RETURN(const auto codes,
                          Activate(search.encoder, search.view, starts, progress));
    return Transpose(codes, std::ssize(starts));
  }
  std::vector<int32_t> latents(search.encoder.model().spec.features());
  std::iota(latents.begin(), latents.end(), 0);
  SAED_ASSIGN_OR_RETURN(const auto values, search.columns->Of(*kind, latents, starts, progress));
  return Transpose(values, std::ssize(starts));
}

// Training windows that are fitted, in order.
std::vector<int64_t> FittedRows(const SetSearch& search, const std::vector<size_t>& chosen) {
  const auto all = std::ssize(search.train_starts);
  const std::vector<int64_t> even = EvenlySpaced(0, all, kBaselineWindows);
  std::set<int64_t> rows(even.begin(), even.end());
  for (const size_t c : chosen) {
    const Label& label = search.labels[c];
    for (const uint8_t side : {0, 1}) {
      const auto met =
          std::count_if(even.begin(), even.end(), [&](int64_t w) { return label[w] == side; });
      if (met >= kFewestOfSide) continue;
      std::vector<int64_t> windows;
      for (int64_t w = 0; w < all; ++w) {
        if (label[w] == side) windows.push_back(w);
      }
      for (const int64_t i : EvenlySpaced(0, std::ssize(windows), kFewestOfSide)) {
        rows.insert(windows[i]);
      }
    }
  }
  return {rows.begin(), rows.end()};
}

// Of the rows about kPenaltyWindows, evenly spaced among those with and those without the
// condition; all of either where there are few.
std::vector<int64_t> PenaltyRows(const Label& label, const std::vector<int64_t>& rows) {
  std::array<std::vector<int64_t>, 2> sides;
  for (const int64_t r : rows) sides[label[r]].push_back(r);
  std::vector<int64_t> out;
  for (const auto& side : sides) {
    const int64_t share = kPenaltyWindows * std::ssize(side) / std::ssize(rows);
    for (const int64_t i : EvenlySpaced(0, std::ssize(side), std::max(share, kFewestOfSide))) {
      out.push_back(side[i]);
    }
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::optional<double> Auroc(const Logistic& model, const SparseRows& x, const Label& label,
                            const std::vector<int64_t>& rows) {
  std::vector<float> scores(label.size(), 0);
  Label used(label.size(), 0);
  for (const int64_t r : rows) {
    scores[r] = static_cast<float>(model.Margin(x, r));
    used[r] = 1;
  }
  return AurocWhere(scores, label, used);
}

bool BothClasses(const Label& label, const std::vector<int64_t>& rows) {
  const auto on = std::count_if(rows.begin(), rows.end(), [&](int64_t r) { return label[r]; });
  return on > 0 && on < std::ssize(rows);
}

// The C with the highest mean AUROC over folds, the smallest among equals.
double ChoosePenalty(const SparseRows& x, const Label& label, const std::vector<uint8_t>& fold,
                     const std::vector<int64_t>& rows, bool beside_others) {
  std::array<std::vector<int64_t>, kBaselineFolds> fit, validation;
  std::vector<LogisticFit> fits;
  std::vector<int> folds;  // of each fit
  for (int f = 0; f < kBaselineFolds; ++f) {
    for (const int64_t r : rows) (fold[r] == f ? validation : fit)[f].push_back(r);
    if (!BothClasses(label, fit[f]) || !BothClasses(label, validation[f])) continue;
    fits.push_back({&label, fit[f], kPenalties[0], {}});
    folds.push_back(f);
  }
  std::vector<std::vector<double>> aurocs(fits.size());  // of each C
  const auto next = [&](size_t i, const Logistic& model) -> std::optional<double> {
    aurocs[i].push_back(Auroc(model, x, label, validation[folds[i]]).value_or(0));
    if (aurocs[i].size() == std::size(kPenalties)) return std::nullopt;
    return kPenalties[aurocs[i].size()];
  };
  FitLogistics(x, fits, kTolerance, kIterations, next, beside_others);
  std::array<double, std::size(kPenalties)> sum{};
  for (const auto& of_fold : aurocs) {
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += of_fold[i];
  }
  const auto best = std::max_element(sum.begin(), sum.end());
  return *best > 0 ? kPenalties[best - sum.begin()] : kWithoutFolds;
}

// Of each chosen condition, on those of the windows `rows` that it asks of; empty where one class
// has none.
std::vector<Logistic> FitAll(const SetSearch& search, const SparseRows& x,
                             const std::vector<int64_t>& rows, const std::vector<size_t>& chosen) {
  std::vector<Label> label(chosen.size());
  std::vector<std::vector<int64_t>> asked(chosen.size());
  std::vector<double> c(chosen.size(), 0);  // 0: one class has none
  sae::ForBlocks(std::ssize(chosen), 1, [&](int64_t, int64_t i, int64_t) {
    for (const int64_t w : rows) {
      label[i].push_back(search.labels[chosen[i]][w]);
      if (label[i].back() != kOutside) asked[i].push_back(std::ssize(label[i]) - 1);
    }
    if (!BothClasses(label[i], asked[i])) return;
    const auto fold = StratifiedFolds(search.train_blocks, rows, label[i]);
    c[i] = ChoosePenalty(x, label[i], fold, PenaltyRows(label[i], asked[i]), chosen.size() > 1);
  });
  std::vector<LogisticFit> fits;
  std::vector<size_t> of;  // place in `chosen` of each fit
  for (size_t i = 0; i < chosen.size(); ++i) {
    if (c[i] == 0) continue;
    fits.push_back({&label[i], asked[i], c[i], {}});
    of.push_back(i);
  }
  std::vector<Logistic> out(chosen.size());
  auto fitted = FitLogistics(x, fits, kTolerance, kIterations);
  for (size_t f = 0; f < fits.size(); ++f) out[of[f]] = std::move(fitted[f]);
  return out;
}

// Held-out AUROC of each chosen condition.
absl::StatusOr<std::vector<std::optional<double>>> LogisticAurocs(const SetSearch& search,
                                                                  const std::vector<int64_t>& rows,
                                                                  const std::vector<size_t>& chosen,
                                                                  const Inputs& inputs) {
  std::vector<int64_t> starts;
  for (const int64_t w : rows) starts.push_back(search.train_starts[w]);
  std::vector<Logistic> fitted;
  {
    SAED_ASSIGN_OR_RETURN(const SparseRows x, inputs(starts));
    fitted = FitAll(search, x, rows, chosen);
  }
  const auto windows = std::ssize(search.test_starts);
  std::vector<std::vector<float>> scores(chosen.size(), std::vector<float>(windows));
  for (int64_t begin = 0; begin < windows; begin += kWindowsAtOnce) {
    const int64_t end = std::min(windows, begin + kWindowsAtOnce);
    SAED_ASSIGN_OR_RETURN(const SparseRows x, inputs({search.test_starts.begin() + begin,
                                                      search.test_starts.begin() + end}));
    sae::ForBlocks(std::ssize(chosen), 1, [&](int64_t, int64_t i, int64_t) {
      if (fitted[i].weight.empty()) return;
      for (int64_t w = begin; w < end; ++w) {
        scores[i][w] = static_cast<float>(fitted[i].Margin(x, w - begin));
      }
    });
  }
  std::vector<std::optional<double>> out(chosen.size());
  for (size_t i = 0; i < chosen.size(); ++i) {
    if (fitted[i].weight.empty()) continue;
    const Label& label = search.test_labels[chosen[i]];
    out[i] = AurocWhere(scores[i], label, Asked(label));
  }
  return out;
}

// Which columns of the view components are made of: kComponentUnits whose counts vary most.
std::vector<int> ComponentUnits(const recordings::ViewData& view,
                                const std::vector<int64_t>& starts) {
  std::vector<int> all(view.units.size());
  std::iota(all.begin(), all.end(), 0);
  if (std::ssize(all) <= kComponentUnits) return all;
  std::vector<std::pair<double, int>> order(all.size());
  ForEachUnit(view, [&](int unit, const UnitCounts& counts) {
    double sum = 0, square = 0;
    for (const auto& [w, count] : counts.In(starts)) {
      sum += static_cast<double>(count);
      square += static_cast<double>(count) * static_cast<double>(count);
    }
    const auto n = static_cast<double>(std::max<size_t>(1, starts.size()));
    order[unit] = {-(square / n - sum / n * (sum / n)), unit};
  });
  std::sort(order.begin(), order.end());
  std::vector<int> out;
  for (int i = 0; i < kComponentUnits; ++i) out.push_back(order[i].second);
  std::sort(out.begin(), out.end());
  return out;
}

CountRows RowsOf(const recordings::ViewData& view, const std::vector<int>& units,
                 const std::vector<int64_t>& starts) {
  CountRows out{std::vector<float>(starts.size() * units.size()), std::ssize(starts),
                static_cast<int>(units.size())};
  const auto counts = CountsOf(view, units, starts);
  for (size_t j = 0; j < units.size(); ++j) {
    for (const auto& [w, count] : counts[j]) out.values[w * units.size() + j] = count;
  }
  return out;
}

// Scores of components over all windows of a side.
class ComponentColumns {
 public:
  ComponentColumns(const recordings::ViewData& view, const std::vector<int>& units,
                   ComponentWeights weights)
      : view_(view), units_(units), weights_(std::move(weights)) {}

  int size() const { return static_cast<int>(weights_.size()); }

  // A column for each of the components, with an entry for every window.
  std::vector<Activations> Of(const std::vector<int>& components,
                              const std::vector<int64_t>& starts) const {
    const auto count = std::ssize(components), windows = std::ssize(starts);
    const sae::WindowProduct product(Filters(components), false, {}, view_.window);
    std::vector<Activations> out(count, Activations(windows));
    sae::ForBlocks(windows, kProductBlock, [&](int64_t, int64_t begin, int64_t end) {
      std::vector<float> scores((end - begin) * count);
      product.Multiply(view_.counts(), sae::Starts(starts).subspan(begin, end - begin),
                       scores.data());
      for (int64_t w = begin; w < end; ++w) {
        for (int64_t k = 0; k < count; ++k) {
          out[k][w] = {static_cast<int32_t>(w), scores[(w - begin) * count + k]};
        }
      }
    });
    return out;
  }

 private:
  // One weight for all bins of a unit.
  sae::Parameters<float> Filters(const std::vector<int>& components) const {
    const int all = view_.counts().units;
    sae::Parameters<float> out;
    out.features = static_cast<int>(components.size());
    out.inputs = view_.window * all;
    out.encoder.assign(int64_t{out.features} * out.inputs, 0);
    out.encoder_bias.assign(out.features, 0);
    for (int k = 0; k < out.features; ++k) {
      for (int s = 0; s < view_.window; ++s) {
        float* row = out.encoder.data() + int64_t{k} * out.inputs + int64_t{s} * all;
        for (size_t j = 0; j < units_.size(); ++j) {
          row[units_[j]] = static_cast<float>(weights_[components[k]][j]);
        }
      }
    }
    return out;
  }

  const recordings::ViewData& view_;
  const std::vector<int>& units_;
  ComponentWeights weights_;
};

// Per condition the held-out AUROC of the component that does best on training windows, its sign
// chosen there too; the first among equals.
std::vector<std::optional<double>> BestComponents(const SetSearch& search,
                                                  const ComponentColumns& columns,
                                                  const WindowConditions& train,
                                                  const WindowConditions& test) {
  struct Best {
    double auroc = 0;
    int component = -1;
    bool falls = false;
  };
  std::vector<Best> best(train.positive.size());
  const auto windows = std::max<int64_t>(
      1, std::max(std::ssize(search.train_starts), std::ssize(search.test_starts)));
  const auto group = static_cast<int>(std::clamp<int64_t>(search.held / windows, 1, kPrincipal));
  for (int first = 0; first < columns.size(); first += group) {
    std::vector<int> some(std::min(group, columns.size() - first));
    std::iota(some.begin(), some.end(), first);
    const auto values = columns.Of(some, search.train_starts);
    std::vector<std::vector<std::optional<double>>> aurocs(some.size());
    sae::ForBlocks(std::ssize(some), 1,
                   [&](int64_t, int64_t i, int64_t) { aurocs[i] = Aurocs(values[i], train); });
    for (size_t i = 0; i < some.size(); ++i) {
      for (size_t c = 0; c < best.size(); ++c) {
        const double auroc = aurocs[i][c].value_or(0.5);
        const double folded = std::max(auroc, 1 - auroc);
        if (aurocs[i][c] && folded > best[c].auroc) best[c] = {folded, some[i], auroc < 0.5};
      }
    }
  }
  std::vector<std::vector<size_t>> of(columns.size());
  std::vector<int> used;
  for (size_t c = 0; c < best.size(); ++c) {
    if (best[c].component >= 0) of[best[c].component].push_back(c);
  }
  for (int k = 0; k < columns.size(); ++k) {
    if (!of[k].empty()) used.push_back(k);
  }
  std::vector<std::optional<double>> out(best.size());
  for (int first = 0; first < std::ssize(used); first += group) {
    const std::vector<int> some(used.begin() + first,
                                used.begin() + std::min<int64_t>(std::ssize(used), first + group));
    const auto values = columns.Of(some, search.test_starts);
    sae::ForBlocks(std::ssize(some), 1, [&](int64_t, int64_t i, int64_t) {
      const auto aurocs = Aurocs(values[i], test);
      for (const size_t c : of[some[i]]) {
        if (aurocs[c]) out[c] = best[c].falls ? 1 - *aurocs[c] : *aurocs[c];
      }
    });
  }
  return out;
}

void ScoreComponents(const SetSearch& search, const WindowConditions& train,
                     const WindowConditions& test, std::vector<Baselines>& out) {
  std::vector<int64_t> starts;
  for (const int64_t w : EvenlySpaced(0, std::ssize(search.train_starts), kBaselineWindows)) {
    starts.push_back(search.train_starts[w]);
  }
  const std::vector<int> units = ComponentUnits(search.view, starts);
  const int latents = search.encoder.model().spec.features();
  std::array<ComponentWeights, 2> weights;
  {
    const CountRows rows = RowsOf(search.view, units, starts);
    sae::ForBlocks(2, 1, [&](int64_t, int64_t i, int64_t) {
      weights[i] = i == 0 ? PrincipalComponents(rows, std::min(latents, kPrincipal))
                          : IndependentComponents(rows, std::min(latents, kIndependent));
    });
  }
  const auto score = [&](ComponentWeights& of) {
    return BestComponents(search, {search.view, units, std::move(of)}, train, test);
  };
  const auto pca = score(weights[0]), ica = score(weights[1]);
  for (size_t c = 0; c < out.size(); ++c) {
    out[c].pca = pca[c];
    out[c].ica = ica[c];
  }
}

}  // namespace

std::vector<uint8_t> StratifiedFolds(const std::vector<int64_t>& blocks,
                                     const std::vector<int64_t>& rows, const Label& label) {
  const auto count = std::ssize(blocks) - 1;
  std::vector<int64_t> block_of;
  std::vector<std::array<bool, 2>> has(std::max<int64_t>(count, 0));
  for (size_t r = 0; r < rows.size(); ++r) {
    const auto next = std::upper_bound(blocks.begin(), blocks.end(), rows[r]);
    block_of.push_back(std::clamp<int64_t>(next - blocks.begin() - 1, 0, count - 1));
    if (label[r] != kOutside) has[block_of[r]][label[r]] = true;
  }
  std::vector<int64_t> order(has.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  const sae::CounterRandom random(kFoldSeed, 0);
  for (auto b = std::ssize(order) - 1; b > 0; --b) {
    std::swap(order[b], order[random.Below(b, b + 1)]);
  }
  // Those with windows of the condition alone, then with both, then others; each kind is dealt on
  // from where the last one ended.
  const auto kind = [&](int64_t b) { return has[b][1] ? (has[b][0] ? 1 : 0) : 2; };
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return kind(a) < kind(b); });
  std::vector<uint8_t> fold(has.size());
  for (size_t i = 0; i < order.size(); ++i) {
    fold[order[i]] = static_cast<uint8_t>(i % kBaselineFolds);
  }
  std::vector<uint8_t> out;
  for (const int64_t b : block_of) out.push_back(fold[b]);
  return out;
}

absl::StatusOr<std::vector<Baselines>> ScoreBaselines(const SetSearch& search,
                                                      const WindowConditions& train,
                                                      const WindowConditions& test,
                                                      const std::vector<size_t>& chosen,
                                                      const Progress& progress) {
  std::vector<Baselines> out(search.labels.size());
  if (search.train_starts.empty()) return out;
  if (!progress(0)) return absl::CancelledError("stopped while scoring baselines");
  ScoreComponents(search, train, test, out);
  if (search.in_sample || chosen.empty()) return out;
  if (!progress(0.5)) return absl::CancelledError("stopped while scoring baselines");
  const std::vector<int64_t> rows = FittedRows(search, chosen);
  const auto counts_in = [&](const std::vector<int64_t>& starts) -> absl::StatusOr<SparseRows> {
    return CountsIn(search.view, starts);
  };
  const auto latents_in = [&](const std::vector<int64_t>& starts) {
    return LatentsIn(search, starts, progress);
  };
  SAED_ASSIGN_OR_RETURN(const auto counts, LogisticAurocs(search, rows, chosen, counts_in));
  SAED_ASSIGN_OR_RETURN(const auto latents, LogisticAurocs(search, rows, chosen, latents_in));
  for (size_t i = 0; i < chosen.size(); ++i) {
    out[chosen[i]].logistic_counts = counts[i];
    out[chosen[i]].logistic_latents = latents[i];
    if (latents[i]) out[chosen[i]].latents_by = LogisticLatents(search);
  }
  return out;
}

}  // namespace saed::features
