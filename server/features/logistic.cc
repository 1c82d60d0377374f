#include "server/features/logistic.h"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <deque>

#include "server/sae/parallel.h"

namespace saed::features {
namespace {

using Eigen::VectorXd;

constexpr size_t kMemory = 10;
constexpr int kHalvings = 50;
constexpr double kArmijo = 1e-4;

// Rows and labels of one fit, over scaled columns.
struct Data {
  std::vector<uint8_t> use;  // [rows of x] 0: not used; 1 + its label
  VectorXd inverse;          // 1/σ, 0 for a column that does not vary

  Data(const SparseRows& x, const LogisticFit& fit)
      : use(x.rows(), 0), inverse(VectorXd::Zero(x.columns)) {
    VectorXd sum = VectorXd::Zero(x.columns), square = sum;
    for (const int64_t r : fit.rows) {
      use[r] = (*fit.label)[r] != 0 ? 2 : 1;
      for (int64_t e = x.begin[r]; e < x.begin[r + 1]; ++e) {
        const auto v = static_cast<double>(x.value[e]);
        sum[x.column[e]] += v;
        square[x.column[e]] += v * v;
      }
    }
    const auto n = static_cast<double>(fit.rows.size());
    for (int j = 0; j < x.columns; ++j) {
      const double variance = square[j] / n - sum[j] * sum[j] / (n * n);
      if (variance > 1e-12 * square[j] / n) inverse[j] = 1 / std::sqrt(variance);
    }
  }
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

// A minimisation that is told the objective at one point after another. Parameters are the weights
// of scaled columns, then the intercept.
class Descent {
 public:
  Descent(const Data& data, double c, double tolerance, int iterations, const Logistic& start)
      : data_(data), c_(c), tolerance_(tolerance), iterations_(iterations) {
    const Eigen::Index columns = data.inverse.size();
    p_ = VectorXd::Zero(columns + 1);
    wanted_ = p_;
    if (start.weight.empty()) return;
    start_ = p_;
    for (Eigen::Index j = 0; j < columns; ++j) {
      if (data.inverse[j] > 0) start_[j] = start.weight[j] / data.inverse[j];
    }
    start_[columns] = start.intercept;
  }

  const Data& data() const { return data_; }
  bool done() const { return done_; }
  // Where the loss of the rows is to be known next.
  const VectorXd& wanted() const { return wanted_; }

  // The loss there, and its gradient, without the penalty.
  void Take(double loss, VectorXd gradient) {
    const Eigen::Index columns = data_.inverse.size();
    gradient.head(columns) += wanted_.head(columns) / c_;
    const double value = loss + wanted_.head(columns).squaredNorm() / (2 * c_);
    if (enough_ < 0) {
      enough_ = tolerance_ * std::max(gradient.norm(), 1e-12);
      if (start_.size() > 0) {
        p_ = wanted_ = start_;
        start_.resize(0);
        at_start_ = true;
        return;
      }
      at_start_ = true;
    }
    if (at_start_) {
      at_start_ = false;
      value_ = value;
      gradient_ = std::move(gradient);
      return Turn();
    }
    if (value <= value_ + kArmijo * step_ * slope_) return Step(value, std::move(gradient));
    step_ /= 2;
    done_ = ++halvings_ == kHalvings;  // rounding leaves no way down
    if (!done_) wanted_ = p_ + step_ * direction_;
  }

  Logistic Result() const {
    const Eigen::Index columns = data_.inverse.size();
    Logistic out;
    const VectorXd scaled = p_.head(columns).cwiseProduct(data_.inverse);
    out.weight.assign(scaled.data(), scaled.data() + scaled.size());
    out.intercept = p_[columns];
    return out;
  }

 private:
  void Step(double value, VectorXd gradient) {
    const VectorXd s = wanted_ - p_, y = gradient - gradient_;
    if (s.dot(y) > 1e-14 * y.squaredNorm()) {
      pairs_.emplace_back(s, y);
      if (pairs_.size() > kMemory) pairs_.pop_front();
    }
    p_ = wanted_;
    value_ = value;
    gradient_ = std::move(gradient);
    --iterations_;
    Turn();
  }

  void Turn() {
    done_ = iterations_ <= 0 || !(gradient_.norm() > enough_);
    if (done_) return;
    direction_ = Direction(gradient_, pairs_);
    slope_ = direction_.dot(gradient_);
    if (!(slope_ < 0)) {
      pairs_.clear();
      direction_ = -gradient_;
      slope_ = -gradient_.squaredNorm();
    }
    step_ = pairs_.empty() ? std::min(1.0, 1 / gradient_.norm()) : 1.0;
    halvings_ = 0;
    wanted_ = p_ + step_ * direction_;
  }

  const Data& data_;
  double c_, tolerance_;
  int iterations_;  // that are left
  VectorXd p_, gradient_, direction_, start_, wanted_;
  double value_ = 0, slope_ = 0, step_ = 1, enough_ = -1;
  int halvings_ = 0;
  bool at_start_ = false, done_ = false;
  std::deque<std::pair<VectorXd, VectorXd>> pairs_;
};

// Adds a row's −log p(label), log(1 + e^∓margin) without overflow; its slope.
double Pull(double margin, bool label, double& loss) {
  const double small = std::exp(-std::abs(margin));
  const double rising = label ? -margin : margin;
  loss += rising > 0 ? rising + std::log1p(small) : std::log1p(small);
  const double odds = margin >= 0 ? small : std::exp(-margin);
  return 1 / (1 + odds) - (label ? 1 : 0);
}

// Tells up to kLanes descents the loss where each wants it, a lane for each. In each lane the
// operations, and their order, are those of one descent alone.
template <int kLanes>
void Evaluate(const SparseRows& x, std::span<Descent* const> descents) {
  using Lanes = Eigen::Array<double, kLanes, 1>;
  using Column = Eigen::Map<Lanes, Eigen::Aligned32>;
  const int columns = x.columns;
  Eigen::Matrix<double, kLanes, Eigen::Dynamic> weight(kLanes, columns), inverse(kLanes, columns),
      gradient(kLanes, columns);
  weight.setZero();
  inverse.setZero();
  gradient.setZero();
  Lanes intercept = Lanes::Zero(), loss = Lanes::Zero(), along = Lanes::Zero();
  for (size_t l = 0; l < descents.size(); ++l) {
    const VectorXd& p = descents[l]->wanted();
    inverse.row(l) = descents[l]->data().inverse.transpose();
    weight.row(l) = p.head(columns).cwiseProduct(descents[l]->data().inverse).transpose();
    intercept[l] = p[columns];
  }
  for (int64_t r = 0; r < x.rows(); ++r) {
    uint8_t used = 0;
    for (const Descent* d : descents) used |= d->data().use[r];
    if (used == 0) continue;
    Lanes margin = intercept;
    for (int64_t e = x.begin[r]; e < x.begin[r + 1]; ++e) {
      margin +=
          Column(weight.data() + int64_t{x.column[e]} * kLanes) * static_cast<double>(x.value[e]);
    }
    Lanes pull = Lanes::Zero();
    for (size_t l = 0; l < descents.size(); ++l) {
      const uint8_t use = descents[l]->data().use[r];
      if (use != 0) pull[l] = Pull(margin[l], use == 2, loss[l]);
    }
    along += pull;
    for (int64_t e = x.begin[r]; e < x.begin[r + 1]; ++e) {
      const int64_t at = int64_t{x.column[e]} * kLanes;
      Column(gradient.data() + at) +=
          pull * Column(inverse.data() + at) * static_cast<double>(x.value[e]);
    }
  }
  for (size_t l = 0; l < descents.size(); ++l) {
    VectorXd own(columns + 1);
    own.head(columns) = gradient.row(l).transpose();
    own[columns] = along[l];
    descents[l]->Take(loss[l], std::move(own));
  }
}

// All at once, in chunks that keep two threads busy where there are few.
void EvaluateAll(const SparseRows& x, const std::vector<Descent*>& descents) {
  constexpr int64_t kFew = 4, kMany = 8;
  const auto count = std::ssize(descents);
  const int64_t chunk = std::min<int64_t>(kMany, std::max<int64_t>(1, (count + 1) / 2));
  sae::ForBlocks(count, chunk, [&](int64_t, int64_t begin, int64_t end) {
    const auto some = std::span(descents).subspan(begin, end - begin);
    if (end - begin <= kFew) {
      Evaluate<kFew>(x, some);
    } else {
      Evaluate<kMany>(x, some);
    }
  });
}

}  // namespace

double Logistic::Margin(const SparseRows& x, int64_t row) const {
  double margin = intercept;
  for (int64_t e = x.begin[row]; e < x.begin[row + 1]; ++e) {
    margin += weight[x.column[e]] * static_cast<double>(x.value[e]);
  }
  return margin;
}

void FitLogistics(const SparseRows& x, const std::vector<LogisticFit>& fits, double tolerance,
                  int iterations,
                  const std::function<std::optional<double>(size_t, const Logistic&)>& next) {
  std::vector<std::unique_ptr<const Data>> data(fits.size());
  std::vector<std::unique_ptr<Descent>> descents(fits.size());
  sae::ForBlocks(std::ssize(fits), 1, [&](int64_t, int64_t i, int64_t) {
    data[i] = std::make_unique<const Data>(x, fits[i]);
    descents[i] =
        std::make_unique<Descent>(*data[i], fits[i].c, tolerance, iterations, fits[i].start);
  });
  while (true) {
    std::vector<Descent*> open;
    for (const auto& d : descents) {
      if (d) open.push_back(d.get());
    }
    if (open.empty()) return;
    EvaluateAll(x, open);
    sae::ForBlocks(std::ssize(fits), 1, [&](int64_t, int64_t i, int64_t) {
      if (!descents[i] || !descents[i]->done()) return;
      const Logistic result = descents[i]->Result();
      const std::optional<double> c = next(i, result);
      descents[i] =
          c ? std::make_unique<Descent>(*data[i], *c, tolerance, iterations, result) : nullptr;
    });
  }
}

std::vector<Logistic> FitLogistics(const SparseRows& x, const std::vector<LogisticFit>& fits,
                                   double tolerance, int iterations) {
  std::vector<Logistic> out(fits.size());
  FitLogistics(x, fits, tolerance, iterations,
               [&](size_t i, const Logistic& result) -> std::optional<double> {
                 out[i] = result;
                 return std::nullopt;
               });
  return out;
}

}  // namespace saed::features
