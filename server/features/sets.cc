#include "server/features/sets.h"

#include <Eigen/Core>
#include <Eigen/LU>
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <numeric>

namespace saed::features {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

// Bits that order as the numbers do; −0 counts as 0.
uint32_t Ordered(float value) {
  const auto bits = std::bit_cast<uint32_t>(value + 0.0F);
  return bits & 0x80000000U ? ~bits : bits | 0x80000000U;
}

// Keys of 33 bits, in three passes of 11: thousands of short columns are sorted.
void Sort(std::vector<uint64_t>& keys) {
  constexpr int kBits = 11;
  std::vector<uint64_t> other(keys.size());
  for (const int shift : {0, kBits, 2 * kBits}) {
    std::array<uint32_t, (1 << kBits) + 1> begin{};
    const auto digit = [&](uint64_t key) { return key >> shift & ((1 << kBits) - 1); };
    for (const uint64_t key : keys) ++begin[digit(key) + 1];
    std::partial_sum(begin.begin(), begin.end(), begin.begin());
    for (const uint64_t key : keys) other[begin[digit(key)]++] = key;
    keys.swap(other);
  }
}

// One search: class means and the covariances of what has been taken with all columns.
class Search {
 public:
  Search(const SetColumns& columns, const std::vector<uint8_t>& label,
         const std::vector<uint8_t>& used)
      : columns_(columns), label_(label), used_(used) {
    for (size_t r = 0; r < used.size(); ++r) {
      if (used[r]) count_[label[r] != 0] += 1;
    }
    if (count_[0] == 0 || count_[1] == 0) return;
    const size_t n = columns.size();
    difference_.resize(n);
    variance_.resize(n);
    mean_.resize(2 * n);
    for (size_t j = 0; j < n; ++j) Measure(j);
  }

  bool possible() const { return count_[0] > 0 && count_[1] > 0; }

  Growth Grow(size_t most) {
    Growth out;
    while (out.columns.size() < most) {
      const std::vector<int32_t> contenders = Contenders(out.columns);
      if (contenders.empty()) break;
      double best = -1;
      std::vector<int32_t> chosen;
      std::vector<double> weights;
      for (const int32_t j : contenders) {
        std::vector<int32_t> members = out.columns;
        members.push_back(j);
        const std::vector<double> w = Weights(members);
        const double auroc = AurocWhere(SetScores(columns_, members, w), label_, used_).value_or(0);
        if (auroc <= best) continue;
        best = auroc;
        chosen = members;
        weights = w;
      }
      out.columns = chosen;
      out.weights.push_back(weights);
      taken_.push_back(CovariancesWith(chosen.back()));
    }
    return out;
  }

 private:
  void Measure(size_t j) {
    double sum[2] = {0, 0}, square[2] = {0, 0};
    const auto values = columns_.Column(j);
    for (size_t r = 0; r < used_.size(); ++r) {
      if (!used_[r]) continue;
      const auto v = static_cast<double>(values[r]);
      sum[label_[r] != 0] += v;
      square[label_[r] != 0] += v * v;
    }
    for (const int side : {0, 1}) {
      const double mean = sum[side] / count_[side];
      mean_[2 * j + side] = mean;
      variance_[j] += std::max(0.0, square[side] / count_[side] - mean * mean) / 2;
    }
    difference_[j] = mean_[2 * j + 1] - mean_[2 * j];
  }

  // Within the classes, of column j with each.
  std::vector<double> CovariancesWith(int32_t j) const {
    Eigen::VectorXf centred = Eigen::VectorXf::Zero(columns_.rows());
    const auto values = columns_.Column(j);
    for (size_t r = 0; r < used_.size(); ++r) {
      if (!used_[r]) continue;
      const int side = label_[r] != 0;
      const double from_mean = static_cast<double>(values[r]) - mean_[2 * j + side];
      centred[static_cast<Eigen::Index>(r)] = static_cast<float>(from_mean / (2 * count_[side]));
    }
    std::vector<double> out(columns_.size());
    for (size_t k = 0; k < out.size(); ++k) {
      const Eigen::Map<const Eigen::VectorXf> with(columns_.Column(k).data(), columns_.rows());
      out[k] = static_cast<double>(centred.dot(with));
    }
    return out;
  }

  // W + ridge of the members; the last may be new.
  MatrixXd Within(const std::vector<int32_t>& members) const {
    const auto n = static_cast<Eigen::Index>(members.size());
    MatrixXd out(n, n);
    for (Eigen::Index a = 0; a < n; ++a) {
      out(a, a) = variance_[members[a]] + kSetRidge;
      for (Eigen::Index b = 0; b < a; ++b) out(a, b) = out(b, a) = taken_[b][members[a]];
    }
    return out;
  }

  std::vector<double> Weights(const std::vector<int32_t>& members) const {
    VectorXd d(members.size());
    for (size_t i = 0; i < members.size(); ++i) d[i] = difference_[members[i]];
    const VectorXd w = Within(members).partialPivLu().solve(d);
    return {w.data(), w.data() + w.size()};
  }

  // The columns that separate best with those taken, best first.
  std::vector<int32_t> Contenders(const std::vector<int32_t>& taken) const {
    const auto n = static_cast<Eigen::Index>(taken.size());
    const MatrixXd inverse = n > 0 ? MatrixXd(Within(taken).inverse()) : MatrixXd();
    VectorXd d(n), c(n);
    for (Eigen::Index i = 0; i < n; ++i) d[i] = difference_[taken[i]];
    const VectorXd solved = n > 0 ? VectorXd(inverse * d) : VectorXd();
    std::vector<std::pair<double, int32_t>> gains;
    for (size_t j = 0; j < columns_.size(); ++j) {
      const SetColumns::About& about = columns_.about(j);
      const bool together = std::any_of(taken.begin(), taken.end(), [&](int32_t t) {
        return columns_.about(t).group == about.group;
      });
      if (together || !(about.sd > 0)) continue;
      // What the column adds to dᵀ(W + ridge)⁻¹d, by the inverse of a bordered matrix.
      double rest = difference_[j], left = variance_[j] + kSetRidge;
      if (n > 0) {
        for (Eigen::Index i = 0; i < n; ++i) c[i] = taken_[i][j];
        rest -= c.dot(solved);
        left -= c.dot(inverse * c);
      }
      gains.emplace_back(-rest * rest / std::max(left, kSetRidge / 2), static_cast<int32_t>(j));
    }
    const size_t some = std::min(gains.size(), kSetContenders);
    std::partial_sort(gains.begin(), gains.begin() + static_cast<std::ptrdiff_t>(some),
                      gains.end());
    std::vector<int32_t> out;
    for (size_t i = 0; i < some; ++i) out.push_back(gains[i].second);
    return out;
  }

  const SetColumns& columns_;
  const std::vector<uint8_t>&label_, &used_;
  double count_[2] = {0, 0};
  std::vector<double> difference_, variance_, mean_;  // [columns]; mean_ [columns, 2]
  std::vector<std::vector<double>> taken_;            // of each member, with every column
};

// The smallest size whose validated AUROC is near the best.
size_t SmallestNearBest(const std::vector<std::optional<double>>& validated) {
  double best = 0;
  for (const auto& v : validated) best = std::max(best, v.value_or(0));
  for (size_t i = 0; i < validated.size(); ++i) {
    if (validated[i] && *validated[i] >= best - kSetMargin) return i + 1;
  }
  return validated.empty() ? 0 : 1;
}

}  // namespace

void SetColumns::Add(int32_t group, const Activations& values) {
  const auto n = static_cast<double>(rows_);
  About about{group, 0, 0};
  double square = 0;
  for (const auto& [row, value] : values) about.mean += static_cast<double>(value);
  about.mean = rows_ > 0 ? about.mean / n : 0;
  for (const auto& [row, value] : values) {
    const double v = static_cast<double>(value) - about.mean;
    square += v * v;
  }
  square += (n - static_cast<double>(values.size())) * about.mean * about.mean;
  const double sd = rows_ > 0 ? std::sqrt(square / n) : 0;
  about.sd = sd > 1e-6 * std::abs(about.mean) && std::isfinite(sd) ? sd : 0;
  about_.push_back(about);
  const size_t begin = values_.size();
  const auto z = [&](double v) {
    return about.sd > 0 ? static_cast<float>((v - about.mean) / about.sd) : 0.0F;
  };
  values_.resize(begin + rows_, z(0));
  for (const auto& [row, value] : values) values_[begin + row] = z(static_cast<double>(value));
}

Growth GrowSet(const SetColumns& columns, const std::vector<uint8_t>& label,
               const std::vector<uint8_t>& used, size_t most) {
  Search search(columns, label, used);
  return search.possible() ? search.Grow(most) : Growth{};
}

std::vector<float> SetScores(const SetColumns& columns, const std::vector<int32_t>& members,
                             const std::vector<double>& weights) {
  std::vector<double> sum(columns.rows(), 0);
  for (size_t i = 0; i < weights.size(); ++i) {
    const auto values = columns.Column(members[i]);
    for (size_t r = 0; r < sum.size(); ++r) sum[r] += weights[i] * static_cast<double>(values[r]);
  }
  return {sum.begin(), sum.end()};
}

std::optional<double> AurocWhere(const std::vector<float>& scores,
                                 const std::vector<uint8_t>& label,
                                 const std::vector<uint8_t>& used) {
  std::vector<uint64_t> order;
  order.reserve(scores.size());
  for (size_t r = 0; r < scores.size(); ++r) {
    if (used[r]) order.push_back(uint64_t{Ordered(scores[r])} << 1 | (label[r] != 0));
  }
  Sort(order);
  double won = 0, below = 0, positive = 0;
  for (size_t i = 0; i < order.size();) {
    double tied[2] = {0, 0};
    const uint64_t value = order[i] >> 1;
    for (; i < order.size() && order[i] >> 1 == value; ++i) tied[order[i] & 1] += 1;
    won += tied[1] * (below + tied[0] / 2);
    below += tied[0];
    positive += tied[1];
  }
  if (positive == 0 || below == 0) return std::nullopt;
  return won / (positive * below);
}

ChosenSet ChooseSet(const SetColumns& columns, const std::vector<uint8_t>& label,
                    const std::vector<uint8_t>& fold) {
  const std::vector<uint8_t> all = Asked(label);
  ChosenSet out;
  out.growth = GrowSet(columns, label, all);
  const size_t sizes = out.growth.columns.size();
  for (size_t n = 0; n < sizes; ++n) {
    const auto scores = SetScores(columns, out.growth.columns, out.growth.weights[n]);
    out.train.push_back(AurocWhere(scores, label, all));
  }
  std::vector<double> sum(sizes, 0), folds(sizes, 0);
  for (int f = 0; f < kSetFolds; ++f) {
    std::vector<uint8_t> others(label.size()), own(label.size());
    for (size_t r = 0; r < label.size(); ++r) (fold[r] == f ? own : others)[r] = all[r];
    const Growth growth = GrowSet(columns, label, others);
    for (size_t n = 0; n < std::min(sizes, growth.columns.size()); ++n) {
      const auto scores = SetScores(columns, growth.columns, growth.weights[n]);
      const auto auroc = AurocWhere(scores, label, own);
      if (!auroc) continue;
      sum[n] += *auroc;
      folds[n] += 1;
    }
  }
  out.validated.resize(sizes);
  for (size_t n = 0; n < sizes; ++n) {
    if (folds[n] > 0) out.validated[n] = sum[n] / folds[n];
  }
  out.size = SmallestNearBest(out.validated);
  return out;
}

}  // namespace saed::features
