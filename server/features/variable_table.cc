#include "server/features/variable_table.h"

#include <cmath>

#include "server/features/unit_baseline.h"

namespace saed::features {

VariableTable::VariableTable(const std::vector<Variable>& variables,
                             const recordings::Recording& recording,
                             const recordings::ViewData& view, const std::vector<int64_t>& starts,
                             int64_t train, bool in_sample, const std::vector<int64_t>& blocks) {
  for (const Variable& v : variables) {
    std::vector<double> on_train(v.values.begin(), v.values.begin() + train);
    std::vector<double> on_test =
        in_sample ? on_train : std::vector<double>(v.values.begin() + train, v.values.end());
    VariableSummary summary;
    summary.name = v.name;
    summary.edges = TuningEdges(on_train);
    train_.emplace_back(std::move(on_train), summary.edges, std::vector<int64_t>{});
    test_.emplace_back(std::move(on_test), summary.edges, blocks);
    summary.train_occupancy = train_.back().occupancy();
    summary.test_occupancy = test_.back().occupancy();
    summary.train_windows = train_.back().windows();
    summary.test_windows = test_.back().windows();
    summaries_.push_back(std::move(summary));
  }
  if (variables.empty()) return;
  const std::vector<int64_t> train_starts(starts.begin(), starts.begin() + train);
  const std::vector<int64_t> test_starts =
      in_sample ? train_starts : std::vector<int64_t>(starts.begin() + train, starts.end());
  const auto units = static_cast<int64_t>(view.units.size());
  using Pair = std::pair<std::optional<double>, std::optional<double>>;
  std::vector<std::vector<Pair>> scores(units);
  ForEachUnit(view, [&](int u, const UnitCounts& counts) {
    const Activations a = counts.In(train_starts), b = counts.In(test_starts);
    for (size_t v = 0; v < size(); ++v) {
      scores[u].emplace_back(train_[v].Spearman(a), test_[v].Spearman(b));
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

std::vector<VariableScores> VariableTable::Score(const Activations& train, const Activations& test,
                                                 uint64_t stream) const {
  std::vector<VariableScores> out(size());
  const std::vector<float> levels = ActivationLevels(train);
  for (size_t v = 0; v < size(); ++v) {
    VariableScores& s = out[v];
    s.train_spearman = train_[v].Spearman(train);
    s.test_spearman = test_[v].Spearman(test);
    s.train_information = train_[v].Information(train, levels);
    s.test_information = test_[v].Information(test, levels);
    s.train_tuning = train_[v].Tuning(train);
    s.test_tuning = test_[v].Tuning(test);
    if (static_cast<double>(train.size()) >= kMinimumSupport) {
      s.p = test_[v].PValue(test, stream * kMaxVariables + v);
    }
  }
  return out;
}

}  // namespace saed::features
