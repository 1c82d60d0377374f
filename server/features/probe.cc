#include "server/features/probe.h"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <deque>
#include <numeric>

namespace saed::features {
namespace {

using Eigen::VectorXd;

constexpr int kProbeIterations = 100;
constexpr size_t kMemory = 10;
constexpr double kProbeTolerance = 1e-4, kArmijo = 1e-4;

// log(1 + e^m) without overflow.
double Softplus(double m) { return m > 0 ? m + std::log1p(std::exp(-m)) : std::log1p(std::exp(m)); }

// The objective over scaled columns; the last parameter is the intercept.
class Objective {
 public:
  Objective(const SparseRows& x, const std::vector<uint8_t>& label, std::span<const int64_t> rows,
            double c)
      : x_(x), label_(label), rows_(rows), c_(c), inverse_(VectorXd::Zero(x.columns)) {
    VectorXd sum = VectorXd::Zero(x.columns), square = sum;
    for (int64_t r : rows) {
      for (int64_t e = x.begin[r]; e < x.begin[r + 1]; ++e) {
        const auto v = static_cast<double>(x.value[e]);
        sum[x.column[e]] += v;
        square[x.column[e]] += v * v;
      }
    }
    const auto n = static_cast<double>(rows.size());
    for (int j = 0; j < x.columns; ++j) {
      const double variance = square[j] / n - sum[j] * sum[j] / (n * n);
      if (variance > 1e-12 * square[j] / n) inverse_[j] = 1 / std::sqrt(variance);
    }
  }

  double At(const VectorXd& p, VectorXd& gradient) const {
    const int d = x_.columns;
    gradient.setZero(d + 1);
    double loss = 0;
    for (int64_t r : rows_) {
      double margin = p[d];
      for (int64_t e = x_.begin[r]; e < x_.begin[r + 1]; ++e) {
        const int j = x_.column[e];
        margin += p[j] * inverse_[j] * static_cast<double>(x_.value[e]);
      }
      const bool y = label_[r] != 0;
      loss += Softplus(y ? -margin : margin);
      const double pull = 1 / (1 + std::exp(-margin)) - (y ? 1 : 0);
      gradient[d] += pull;
      for (int64_t e = x_.begin[r]; e < x_.begin[r + 1]; ++e) {
        const int j = x_.column[e];
        gradient[j] += pull * inverse_[j] * static_cast<double>(x_.value[e]);
      }
    }
    gradient.head(d) += p.head(d) / c_;
    return loss + p.head(d).squaredNorm() / (2 * c_);
  }

  const VectorXd& inverse() const { return inverse_; }

 private:
  const SparseRows& x_;
  const std::vector<uint8_t>& label_;
  std::span<const int64_t> rows_;
  double c_;
  VectorXd inverse_;  // 1/σ, 0 for a column that does not vary
};

// The two-loop recursion of L-BFGS (Nocedal & Wright 2006, algorithm 7.4).
VectorXd Direction(const VectorXd& gradient,
                   const std::deque<std::pair<VectorXd, VectorXd>>& pairs) {
  VectorXd q = -gradient;
  std::vector<double> alpha(pairs.size());
  for (size_t i = pairs.size(); i-- > 0;) {
    const auto& [s, y] = pairs[i];
    alpha[i] = s.dot(q) / s.dot(y);
    q -= alpha[i] * y;
  }
  if (!pairs.empty()) {
    const auto& [s, y] = pairs.back();
    q *= s.dot(y) / y.squaredNorm();
  }
  for (size_t i = 0; i < pairs.size(); ++i) {
    const auto& [s, y] = pairs[i];
    q += (alpha[i] - y.dot(q) / s.dot(y)) * s;
  }
  return q;
}

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

double Logistic::Margin(const SparseRows& x, int64_t row) const {
  double margin = intercept;
  for (int64_t e = x.begin[row]; e < x.begin[row + 1]; ++e) {
    margin += weight[x.column[e]] * static_cast<double>(x.value[e]);
  }
  return margin;
}

Logistic FitLogistic(const SparseRows& x, const std::vector<uint8_t>& label,
                     std::span<const int64_t> rows, double c, double tolerance, int iterations,
                     const Logistic& start) {
  const Objective objective(x, label, rows, c);
  VectorXd p = VectorXd::Zero(x.columns + 1), gradient, next_gradient;
  double value = objective.At(p, gradient);
  const double enough = tolerance * std::max(gradient.norm(), 1e-12);
  if (!start.weight.empty()) {
    for (int j = 0; j < x.columns; ++j) {
      if (objective.inverse()[j] > 0) p[j] = start.weight[j] / objective.inverse()[j];
    }
    p[x.columns] = start.intercept;
    value = objective.At(p, gradient);
  }
  std::deque<std::pair<VectorXd, VectorXd>> pairs;
  for (int i = 0; i < iterations && gradient.norm() > enough; ++i) {
    VectorXd direction = Direction(gradient, pairs);
    double slope = direction.dot(gradient);
    if (!(slope < 0)) {
      pairs.clear();
      direction = -gradient;
      slope = -gradient.squaredNorm();
    }
    double step = pairs.empty() ? std::min(1.0, 1 / gradient.norm()) : 1.0;
    VectorXd next;
    double next_value = 0;
    bool found = false;
    for (int halving = 0; halving < 50 && !found; ++halving, step /= 2) {
      next = p + step * direction;
      next_value = objective.At(next, next_gradient);
      found = next_value <= value + kArmijo * step * slope;
    }
    if (!found) break;  // rounding leaves no way down
    const VectorXd s = next - p, y = next_gradient - gradient;
    if (s.dot(y) > 1e-14 * y.squaredNorm()) {
      pairs.emplace_back(s, y);
      if (pairs.size() > kMemory) pairs.pop_front();
    }
    p = next;
    value = next_value;
    gradient = next_gradient;
  }
  Logistic out;
  const VectorXd scaled = p.head(x.columns).cwiseProduct(objective.inverse());
  out.weight.assign(scaled.data(), scaled.data() + scaled.size());
  out.intercept = p[x.columns];
  return out;
}

std::optional<ProbeScore> Probe(const SparseRows& x, const std::vector<uint8_t>& label,
                                const ProbeRows& rows) {
  for (const auto* part : {&rows.fit, &rows.validation, &rows.test}) {
    if (!BothClasses(label, *part)) return std::nullopt;
  }
  ProbeScore out;
  Operating best;
  Logistic last, chosen;
  for (double c : {1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3}) {
    const Logistic model =
        FitLogistic(x, label, rows.fit, c, kProbeTolerance, kProbeIterations, last);
    last = model;
    const Operating here = Operate(Margins(model, x, label, rows.validation));
    if (out.c != 0 && here.auroc <= best.auroc) continue;
    best = here;
    out.c = c;
    chosen = model;
  }
  double hits = 0, positive = 0, rejected = 0;
  for (int64_t r : rows.test) {
    const bool called = chosen.Margin(x, r) >= best.threshold;
    positive += label[r];
    (label[r] ? hits : rejected) += label[r] ? called : !called;
  }
  const double negative = static_cast<double>(rows.test.size()) - positive;
  out.balanced_accuracy = (hits / positive + rejected / negative) / 2;
  return out;
}

}  // namespace saed::features
