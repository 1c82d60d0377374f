#include "server/features/probe.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace saed::features {
namespace {

constexpr int kProbeIterations = 100;
constexpr double kProbeTolerance = 1e-4;
constexpr double kPenalties[] = {1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3};  // C

bool BothClasses(const std::vector<uint8_t>& label, const std::vector<int64_t>& rows) {
  const auto positive =
      std::count_if(rows.begin(), rows.end(), [&](int64_t r) { return label[r]; });
  return positive > 0 && positive < static_cast<int64_t>(rows.size());
}

// (margin, label) by falling margin.
std::vector<std::pair<double, bool>> Margins(const Logistic& model, const SparseRows& x,
                                             const std::vector<uint8_t>& label,
                                             const std::vector<int64_t>& rows) {
  std::vector<std::pair<double, bool>> out;
  out.reserve(rows.size());
  for (int64_t r : rows) out.emplace_back(model.Margin(x, r), label[r] != 0);
  std::stable_sort(out.begin(), out.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  return out;
}

// AUROC and the margin at which balanced accuracy is best, the highest of equals; starting from
// "none is positive".
struct Operating {
  double auroc = 0, threshold = INFINITY;
};

Operating Operate(const std::vector<std::pair<double, bool>>& sorted) {
  double positive = 0;
  for (const auto& [margin, label] : sorted) positive += label;
  const double negative = static_cast<double>(sorted.size()) - positive;
  Operating out;
  double hits = 0, alarms = 0, won = 0, best = 0.5;
  for (size_t i = 0; i < sorted.size();) {
    const double margin = sorted[i].first;
    double p = 0, n = 0;
    for (; i < sorted.size() && sorted[i].first == margin; ++i) (sorted[i].second ? p : n) += 1;
    won += n * (hits + p / 2);
    hits += p;
    alarms += n;
    const double balanced = (hits / positive + 1 - alarms / negative) / 2;
    if (balanced > best) {
      best = balanced;
      out.threshold = margin;
    }
  }
  out.auroc = won / (positive * negative);
  return out;
}

}  // namespace

SparseRows Transpose(const std::vector<Activations>& columns, int64_t rows) {
  SparseRows out;
  out.columns = static_cast<int32_t>(columns.size());
  out.begin.assign(rows + 1, 0);
  for (const Activations& a : columns) {
    for (const auto& [w, value] : a) ++out.begin[w + 1];
  }
  std::partial_sum(out.begin.begin(), out.begin.end(), out.begin.begin());
  out.column.resize(out.begin.back());
  out.value.resize(out.begin.back());
  std::vector<int64_t> next(out.begin.begin(), out.begin.end() - 1);
  for (size_t j = 0; j < columns.size(); ++j) {
    for (const auto& [w, value] : columns[j]) {
      out.column[next[w]] = static_cast<int32_t>(j);
      out.value[next[w]++] = value;
    }
  }
  return out;
}

Logistic FitLogistic(const SparseRows& x, const std::vector<uint8_t>& label,
                     std::span<const int64_t> rows, double c, double tolerance, int iterations,
                     const Logistic& start) {
  return FitLogistics(x, {{&label, rows, c, start}}, tolerance, iterations)[0];
}

namespace {

// What is best so far, as C grows.
struct Choice {
  size_t tried = 0;  // of kPenalties
  double c = 0;
  Operating best;
  Logistic model;
};

ProbeScore ScoreOf(const Choice& choice, const SparseRows& x, const std::vector<uint8_t>& label,
                   const std::vector<int64_t>& test) {
  double hits = 0, positive = 0, rejected = 0;
  for (int64_t r : test) {
    const bool called = choice.model.Margin(x, r) >= choice.best.threshold;
    positive += label[r];
    (label[r] ? hits : rejected) += label[r] ? called : !called;
  }
  const double negative = static_cast<double>(test.size()) - positive;
  return {(hits / positive + rejected / negative) / 2, choice.c};
}

}  // namespace

std::vector<std::optional<ProbeScore>> ProbeAll(const SparseRows& x,
                                                const std::vector<std::vector<uint8_t>>& labels,
                                                const std::vector<ProbeRows>& rows) {
  std::vector<size_t> able;  // of labels
  std::vector<LogisticFit> fits;
  for (size_t i = 0; i < labels.size(); ++i) {
    const auto both = [&](const std::vector<int64_t>& part) {
      return BothClasses(labels[i], part);
    };
    if (!both(rows[i].fit) || !both(rows[i].validation) || !both(rows[i].test)) continue;
    able.push_back(i);
    fits.push_back({&labels[i], rows[i].fit, kPenalties[0], {}});
  }
  std::vector<Choice> choices(fits.size());
  const auto next = [&](size_t f, const Logistic& model) -> std::optional<double> {
    Choice& choice = choices[f];
    const auto sorted = Margins(model, x, *fits[f].label, rows[able[f]].validation);
    const Operating here = Operate(sorted);
    if (choice.c == 0 || here.auroc > choice.best.auroc) {
      choice.best = here;
      choice.c = kPenalties[choice.tried];
      choice.model = model;
    }
    if (++choice.tried == std::size(kPenalties)) return std::nullopt;
    return kPenalties[choice.tried];
  };
  FitLogistics(x, fits, kProbeTolerance, kProbeIterations, next);
  std::vector<std::optional<ProbeScore>> out(labels.size());
  for (size_t f = 0; f < fits.size(); ++f) {
    out[able[f]] = ScoreOf(choices[f], x, *fits[f].label, rows[able[f]].test);
  }
  return out;
}

std::optional<ProbeScore> Probe(const SparseRows& x, const std::vector<uint8_t>& label,
                                const ProbeRows& rows) {
  return ProbeAll(x, {label}, {rows})[0];
}

}  // namespace saed::features
