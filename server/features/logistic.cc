#include "server/features/logistic.h"

#include <Eigen/Core>
#include <algorithm>
#include <array>
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

constexpr int64_t kRows = 16;   // whose values stay in cache between the two passes over them
constexpr int64_t kChains = 4;  // rows whose sums go on side by side: one alone waits for itself

// Rows that some of the descents use, and their values in double precision.
struct Block {
  std::array<int64_t, kRows> row{};
  int64_t count = 0;
  std::array<int64_t, kRows + 1> begin{};  // of each row's entries in `value`
  std::vector<double> value;

  // Takes the next rows from r on; where it ended.
  int64_t Fill(const SparseRows& x, const std::vector<uint8_t>& used, int64_t r) {
    value.clear();
    for (count = 0; r < x.rows() && count < kRows; ++r) {
      if (used[r] == 0) continue;
      row[count++] = r;
      value.insert(value.end(), x.value.begin() + x.begin[r], x.value.begin() + x.begin[r + 1]);
      begin[count] = std::ssize(value);
    }
    return r;
  }
  int64_t entries(int64_t b) const { return begin[b + 1] - begin[b]; }
};

// Losses and slopes of rows, a lane for each descent.
template <int kLanes>
struct Pulls {
  using Lanes = Eigen::Array<double, kLanes, 1>;

  // Adds −log p(label) of a row, log(1 + e^∓margin) without overflow; its slope. Logarithms are
  // taken of products (see TakeLogs).
  double Of(double margin, bool label, size_t lane) {
    const double odds = std::exp(-margin);
    const double rising = label ? -margin : margin;
    if (rising > 0) loss[lane] += rising;
    product[lane] *= 1 + (margin >= 0 ? odds : 1 / odds);
    return 1 / (1 + odds) - (label ? 1 : 0);
  }
  // At the latest after 1,000 rows: each doubles the product at most.
  void TakeLogs() {
    for (int l = 0; l < kLanes; ++l) loss[l] += std::log(product[l]);
    product = Lanes::Ones();
  }

  Lanes loss = Lanes::Zero(), product = Lanes::Ones();
};

// What the descents want evaluated, lanes beside each other. In each lane the operations, and their
// order, are those of one descent alone, whatever the number of lanes or rows at once.
template <int kLanes>
class Evaluation {
 public:
  Evaluation(const SparseRows& x, std::span<Descent* const> descents)
      : x_(x),
        descents_(descents),
        weight_(kLanes, x.columns),
        inverse_(kLanes, x.columns),
        gradient_(kLanes, x.columns) {
    weight_.setZero();
    inverse_.setZero();
    gradient_.setZero();
    for (size_t l = 0; l < descents.size(); ++l) {
      const VectorXd& p = descents[l]->wanted();
      inverse_.row(l) = descents[l]->data().inverse.transpose();
      weight_.row(l) = p.head(x.columns).cwiseProduct(descents[l]->data().inverse).transpose();
      intercept_[l] = p[x.columns];
    }
  }

  // Tells each the loss where it wants it.
  void Run() {
    std::vector<uint8_t> used(x_.rows(), 0);
    for (const Descent* d : descents_) {
      for (int64_t r = 0; r < x_.rows(); ++r) used[r] |= d->data().use[r];
    }
    Block block;
    for (int64_t r = 0; r < x_.rows();) {
      r = block.Fill(x_, used, r);
      for (int64_t b = 0; b < block.count; b += kChains) AddMargins(block, b);
      Pull(block);
      for (int64_t b = 0; b < block.count; b += kChains) AddGradients(block, b);
    }
    for (size_t l = 0; l < descents_.size(); ++l) {
      VectorXd own(x_.columns + 1);
      own.head(x_.columns) = gradient_.row(l).transpose();
      own[x_.columns] = along_[l];
      descents_[l]->Take(pulls_.loss[l], std::move(own));
    }
  }

 private:
  using Lanes = typename Pulls<kLanes>::Lanes;
  using Column = Eigen::Map<Lanes, Eigen::Aligned32>;
  using Matrix = Eigen::Matrix<double, kLanes, Eigen::Dynamic>;

  static Column At(Matrix& of, int64_t column) { return Column(of.data() + column * kLanes); }

  // Adds entries [from, to) of row b of the block.
  void AddMargin(const Block& block, int64_t b, int64_t from, int64_t to) {
    const int32_t* column = x_.column.data() + x_.begin[block.row[b]];
    const double* value = block.value.data() + block.begin[b];
    for (int64_t i = from; i < to; ++i) margin_[b] += At(weight_, column[i]) * value[i];
  }

  // Margins of the rows from b on, kChains of them.
  void AddMargins(const Block& block, int64_t b) {
    const int64_t rows = std::min(kChains, block.count - b);
    int64_t common = rows == kChains ? block.entries(b) : 0;
    for (int64_t k = 0; k < rows; ++k) {
      margin_[b + k] = intercept_;
      common = std::min(common, block.entries(b + k));
    }
    if (common > 0) {
      const int32_t* column[kChains];
      const double* value[kChains];
      Lanes sum[kChains];
      for (int64_t k = 0; k < kChains; ++k) {
        column[k] = x_.column.data() + x_.begin[block.row[b + k]];
        value[k] = block.value.data() + block.begin[b + k];
        sum[k] = intercept_;
      }
      for (int64_t i = 0; i < common; ++i) {
        for (int64_t k = 0; k < kChains; ++k) sum[k] += At(weight_, column[k][i]) * value[k][i];
      }
      for (int64_t k = 0; k < kChains; ++k) margin_[b + k] = sum[k];
    }
    for (int64_t k = 0; k < rows; ++k) AddMargin(block, b + k, common, block.entries(b + k));
  }

  // The slopes of the block's rows; 0 where a descent does not use the row.
  void Pull(const Block& block) {
    for (int64_t b = 0; b < block.count; ++b) {
      Lanes& pull = pull_[b];
      pull.setZero();
      for (size_t l = 0; l < descents_.size(); ++l) {
        const uint8_t use = descents_[l]->data().use[block.row[b]];
        if (use != 0) pull[l] = pulls_.Of(margin_[b][l], use == 2, l);
      }
      along_ += pull;
    }
    pulls_.TakeLogs();
  }

  // Rows from b on, kChains of them: where all have all columns, a column at a time.
  void AddGradients(const Block& block, int64_t b) {
    const int64_t rows = std::min(kChains, block.count - b);
    bool full = rows == kChains;
    for (int64_t k = 0; k < rows; ++k) full = full && block.entries(b + k) == x_.columns;
    if (full) return AddFull(block, b);
    for (int64_t k = 0; k < rows; ++k) {
      const int32_t* column = x_.column.data() + x_.begin[block.row[b + k]];
      const double* value = block.value.data() + block.begin[b + k];
      for (int64_t i = 0; i < block.entries(b + k); ++i) {
        At(gradient_, column[i]) += pull_[b + k] * At(inverse_, column[i]) * value[i];
      }
    }
  }

  void AddFull(const Block& block, int64_t b) {
    const double* value = block.value.data() + block.begin[b];
    const Lanes pull[kChains] = {pull_[b], pull_[b + 1], pull_[b + 2], pull_[b + 3]};
    for (int32_t j = 0; j < x_.columns; ++j) {
      const Lanes inverse = At(inverse_, j);
      Lanes sum = At(gradient_, j);
      for (int64_t k = 0; k < kChains; ++k) sum += pull[k] * inverse * value[k * x_.columns + j];
      At(gradient_, j) = sum;
    }
  }

  const SparseRows& x_;
  std::span<Descent* const> descents_;
  Matrix weight_, inverse_, gradient_;
  Lanes intercept_ = Lanes::Zero(), along_ = Lanes::Zero();
  Lanes margin_[kRows], pull_[kRows];
  Pulls<kLanes> pulls_;
};

// All at once, in chunks: where they are few, in two that keep two threads busy, or in one, where
// other fits go on beside these.
void EvaluateAll(const SparseRows& x, const std::vector<Descent*>& descents, bool beside_others) {
  constexpr int64_t kFew = 4, kMany = 8;
  const auto count = std::ssize(descents);
  const int64_t shared = beside_others ? count : std::max<int64_t>(1, (count + 1) / 2);
  const int64_t chunk = std::min<int64_t>(kMany, shared);
  sae::ForBlocks(count, chunk, [&](int64_t, int64_t begin, int64_t end) {
    const auto some = std::span(descents).subspan(begin, end - begin);
    if (end - begin <= kFew) {
      Evaluation<kFew>(x, some).Run();
    } else {
      Evaluation<kMany>(x, some).Run();
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
                  const std::function<std::optional<double>(size_t, const Logistic&)>& next,
                  bool beside_others) {
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
    EvaluateAll(x, open, beside_others);
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
