#include "server/features/variable_table.h"

#include <algorithm>
#include <cmath>

#include "server/features/unit_baseline.h"

namespace saed::features {
namespace {

// For each side the first one that has values in the same windows.
std::vector<size_t> Like(const std::vector<VariableSide>& sides) {
  std::vector<size_t> out;
  for (size_t v = 0; v < sides.size(); ++v) {
    size_t like = 0;
    while (like < v && (out[like] != like || !sides[like].SameWindows(sides[v]))) ++like;
    out.push_back(like);
  }
  return out;
}

}  // namespace

template <class Score, class Made>
class VariableTable::Ranks {
 public:
  Ranks(const std::vector<VariableSide>& sides, const std::vector<size_t>& like, Score score)
      : sides_(sides), like_(like), score_(std::move(score)), made_(sides.size()) {}

  const Made& Of(size_t v) {
    auto& made = made_[like_[v]];
    if (!made) made = sides_[v].Rank(score_);
    return *made;
  }

 private:
  const std::vector<VariableSide>& sides_;
  const std::vector<size_t>& like_;
  const Score score_;
  std::vector<std::optional<Made>> made_;
};

VariableTable::VariableTable(const std::vector<Variable>& variables,
                             const recordings::Recording& recording,
                             const recordings::ViewData& view, const std::vector<int64_t>& starts,
                             int64_t train, bool in_sample, const std::vector<int64_t>& blocks)
    : in_sample_(in_sample) {
  for (const Variable& v : variables) {
    Variable on_train{v.name, {v.values.begin(), v.values.begin() + train}, v.circular};
    Variable on_test = on_train;
    if (!in_sample) on_test.values.assign(v.values.begin() + train, v.values.end());
    VariableSummary summary;
    summary.name = v.name;
    summary.circular = v.circular;
    summary.edges = TuningEdges(on_train);
    train_.emplace_back(on_train, summary.edges, std::vector<int64_t>{});
    test_.emplace_back(on_test, summary.edges, blocks);
    summary.train_occupancy = train_.back().occupancy();
    summary.test_occupancy = test_.back().occupancy();
    summary.train_windows = train_.back().windows();
    summary.test_windows = test_.back().windows();
    summaries_.push_back(std::move(summary));
  }
  train_like_ = Like(train_);
  test_like_ = Like(test_);
  if (variables.empty()) return;
  const std::vector<int64_t> train_starts(starts.begin(), starts.begin() + train);
  const std::vector<int64_t> test_starts =
      in_sample ? train_starts : std::vector<int64_t>(starts.begin() + train, starts.end());
  const auto units = static_cast<int64_t>(view.units.size());
  using Pair = std::pair<std::optional<double>, std::optional<double>>;
  std::vector<std::vector<Pair>> scores(units);
  ForEachUnit(view, [&](int u, const UnitCounts& counts) {
    CodeRanks a(train_, train_like_, counts.In(train_starts));
    CodeRanks b(test_, test_like_, counts.In(test_starts));
    for (size_t v = 0; v < size(); ++v) {
      scores[u].emplace_back(train_[v].Spearman(a.Of(v)), test_[v].Spearman(b.Of(v)));
    }
  });
  for (size_t v = 0; v < size(); ++v) {
    VariableSummary& out = summaries_[v];
    for (int64_t u = 0; u < units; ++u) {
      const auto& [a, b] = scores[u][v];
      if (!a || (out.best_unit_train && std::abs(*a) <= std::abs(*out.best_unit_train))) continue;
      out.best_unit = recording.units[view.units[u]].id;
      out.best_unit_train = a;
      out.best_unit_test = b;
    }
  }
}

std::vector<VariableScores> VariableTable::ByCode(const Activations& train,
                                                  const Activations& test) const {
  std::vector<VariableScores> out(size());
  const std::vector<float> levels = ActivationLevels(train);
  CodeRanks on_train(train_, train_like_, train), on_test(test_, test_like_, test);
  for (size_t v = 0; v < size(); ++v) {
    VariableScores& s = out[v];
    const RankedCode &a = on_train.Of(v), &b = on_test.Of(v);
    s.train_spearman = s.code_train_spearman = train_[v].Spearman(a);
    s.test_spearman = s.code_test_spearman = test_[v].Spearman(b);
    s.train_information = train_[v].Information(a, levels);
    s.test_information = test_[v].Information(b, levels);
    s.train_tuning = train_[v].Tuning(a);
    s.test_tuning = test_[v].Tuning(b);
  }
  return out;
}

void VariableTable::Judge(const std::vector<Evidence>& kinds,
                          std::vector<VariableScores>& out) const {
  if (size() == 0) return;
  std::vector<Graded> graded;
  for (const auto& [kind, train] : kinds) graded.emplace_back(*train);
  for (size_t like = 0; like < size(); ++like) {
    if (train_like_[like] != like) continue;
    std::vector<Ranked> ranked;
    for (const Graded& of_kind : graded) ranked.push_back(train_[like].Rank(of_kind));
    for (size_t v = like; v < size(); ++v) {
      if (train_like_[v] == like) JudgeOne(v, kinds, ranked, out[v]);
    }
  }
}

// Mutual information and tuning are of the kind that is chosen alone.
void VariableTable::JudgeOne(size_t v, const std::vector<Evidence>& kinds,
                             const std::vector<Ranked>& ranked, VariableScores& out) const {
  const Ranked* chosen = nullptr;
  for (size_t k = 0; k < kinds.size(); ++k) {
    const auto spearman = train_[v].Spearman(ranked[k]);
    if (!spearman || (out.train_spearman && std::abs(*spearman) <= std::abs(*out.train_spearman))) {
      continue;
    }
    out.kind = kinds[k].kind;
    out.train_spearman = spearman;
    chosen = &ranked[k];
  }
  if (chosen == nullptr) return;
  out.quartiles = chosen->quartiles;
  out.train_information = train_[v].Information(*chosen, out.quartiles);
  out.train_tuning = train_[v].Tuning(*chosen);
}

void VariableTable::Certify(std::optional<sae::EvidenceKind> kind, const Activations& test,
                            const Ordered& ordered, uint64_t stream, int64_t features,
                            std::vector<VariableScores>& out) const {
  const auto by = [&](const VariableScores& s) { return s.kind == kind && s.train_spearman; };
  if (std::none_of(out.begin(), out.end(), by)) return;
  std::optional<GradedRanks> ranks;
  std::optional<CodeRanks> codes;
  if (kind) {
    ranks.emplace(test_, test_like_, Graded(ordered));
  } else {
    codes.emplace(test_, test_like_, test);
  }
  for (size_t v = 0; v < size(); ++v) {
    VariableScores& s = out[v];
    if (!by(s)) continue;
    const VariableSide& side = test_[v];
    const uint64_t draws_of = stream * kMaxVariables + v;
    if (!kind) {
      if (!in_sample_) s.p = side.PValue(codes->Of(v), draws_of);
      continue;
    }
    const Ranked& ranked = ranks->Of(v);
    s.test_spearman = side.Spearman(ranked);
    s.test_information = side.Information(ranked, s.quartiles);
    s.test_tuning = side.Tuning(ranked);
    const int64_t work = features * static_cast<int64_t>(size()) * side.windows();
    const int draws = work > kManyShifted ? kFewerVariableShifts : kVariableShifts;
    if (!in_sample_) s.p = side.PValue(ranked, draws_of, draws);
  }
}

}  // namespace saed::features
