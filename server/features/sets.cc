#include "server/features/sets.h"

#include <Eigen/Core>
#include <Eigen/LU>
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <numeric>
#include <span>

#include "server/sae/parallel.h"

namespace saed::features {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

// Bits that order as the numbers do; −0 counts as 0.
uint32_t Ascending(float value) {
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
  Search(const SetColumns& columns, const std::vector<uint8_t>& label, std::vector<uint8_t> used)
      : columns_(columns), label_(label), used_(std::move(used)) {
    for (size_t r = 0; r < used_.size(); ++r) {
      if (used_[r]) rows_[label[r] != 0].push_back(static_cast<int32_t>(r));
    }
    if (!possible()) return;
    difference_.resize(columns.size());
    variance_.resize(columns.size());
    mean_.resize(2 * columns.size());
  }

  bool possible() const { return !rows_[0].empty() && !rows_[1].empty(); }
  const std::vector<int32_t>& rows(int side) const { return rows_[side]; }
  const Growth& growth() const { return growth_; }

  // Of column j: sums over the rows of either class, of values and of their squares.
  void Measure(size_t j, const std::array<double, 2>& sum, const std::array<double, 2>& square) {
    for (const int side : {0, 1}) {
      const double mean = sum[side] / count(side);
      mean_[2 * j + side] = mean;
      variance_[j] += std::max(0.0, square[side] / count(side) - mean * mean) / 2;
    }
    difference_[j] = mean_[2 * j + 1] - mean_[2 * j];
  }

  // Takes the column that does best with those taken so far. False: there is none.
  bool Take() {
    double best = -1;
    std::vector<int32_t> chosen;
    std::vector<double> weights;
    for (const int32_t j : Contenders(growth_.columns)) {
      std::vector<int32_t> members = growth_.columns;
      members.push_back(j);
      const std::vector<double> w = Weights(members);
      const double auroc = AurocWhere(SetScores(columns_, members, w), label_, used_).value_or(0);
      if (auroc <= best) continue;
      best = auroc;
      chosen = members;
      weights = w;
    }
    if (chosen.empty()) return false;
    growth_.columns = chosen;
    growth_.weights.push_back(weights);
    return true;
  }

  // Begins the covariances, within the classes, of what was taken last with each column.
  void Centre() {
    const int32_t j = growth_.columns.back();
    centred_ = Eigen::VectorXf::Zero(columns_.rows());
    const auto values = columns_.Column(j);
    for (const int side : {0, 1}) {
      for (const int32_t r : rows_[side]) {
        const double from_mean = static_cast<double>(values[r]) - mean_[2 * j + side];
        centred_[r] = static_cast<float>(from_mean / (2 * count(side)));
      }
    }
    taken_.emplace_back(columns_.size());
  }
  void Covary(size_t k) {
    const Eigen::Map<const Eigen::VectorXf> with(columns_.Column(k).data(), columns_.rows());
    taken_.back()[k] = static_cast<double>(centred_.dot(with));
  }

 private:
  double count(int side) const { return static_cast<double>(rows_[side].size()); }

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
  const std::vector<uint8_t>& label_;
  const std::vector<uint8_t> used_;
  std::array<std::vector<int32_t>, 2> rows_;  // that are used, of either class
  Growth growth_;
  Eigen::VectorXf centred_;
  std::vector<double> difference_, variance_, mean_;  // [columns]; mean_ [columns, 2]
  std::vector<std::vector<double>> taken_;            // of each member, with every column
};

constexpr int64_t kColumnsAtOnce = 8;

// Sums over some rows of kColumnsAtOnce columns of values [rows, kColumnsAtOnce], rows in order.
struct ColumnSums {
  std::array<double, kColumnsAtOnce> sum{}, square{};

  ColumnSums(const std::vector<float>& values, const std::vector<int32_t>& rows) {
    for (const int32_t r : rows) {
      const float* row = values.data() + r * kColumnsAtOnce;
      for (int64_t k = 0; k < kColumnsAtOnce; ++k) {
        const auto v = static_cast<double>(row[k]);
        sum[k] += v;
        square[k] += v * v;
      }
    }
  }
};

// Measures all columns for all searches.
void MeasureAll(const SetColumns& columns, std::vector<Search>& searches) {
  const auto count = static_cast<int64_t>(columns.size());
  sae::ForBlocks(count, kColumnsAtOnce, [&](int64_t, int64_t begin, int64_t end) {
    std::vector<float> values(columns.rows() * kColumnsAtOnce, 0);
    for (int64_t j = begin; j < end; ++j) {
      const auto column = columns.Column(j);
      for (size_t r = 0; r < column.size(); ++r) {
        values[r * kColumnsAtOnce + (j - begin)] = column[r];
      }
    }
    for (Search& search : searches) {
      if (!search.possible()) continue;
      const ColumnSums without(values, search.rows(0)), with(values, search.rows(1));
      for (int64_t j = begin; j < end; ++j) {
        const auto k = j - begin;
        search.Measure(j, {without.sum[k], with.sum[k]}, {without.square[k], with.square[k]});
      }
    }
  });
}

// Lets all searches grow to `most` members, step by step.
void GrowAll(const SetColumns& columns, std::vector<Search>& searches, size_t most) {
  MeasureAll(columns, searches);
  std::vector<Search*> growing;
  for (Search& search : searches) {
    if (search.possible()) growing.push_back(&search);
  }
  for (size_t size = 1; size <= most && !growing.empty(); ++size) {
    std::vector<uint8_t> took(growing.size());
    sae::ForBlocks(std::ssize(growing), 1, [&](int64_t, int64_t i, int64_t) {
      took[i] = growing[i]->Take();
      if (took[i] && size < most) growing[i]->Centre();
    });
    std::vector<Search*> next;
    for (size_t i = 0; i < growing.size(); ++i) {
      if (took[i] && size < most) next.push_back(growing[i]);
    }
    growing = next;
    sae::ForBlocks(static_cast<int64_t>(columns.size()), kColumnsAtOnce,
                   [&](int64_t, int64_t begin, int64_t end) {
                     for (Search* search : growing) {
                       for (int64_t k = begin; k < end; ++k) search->Covary(k);
                     }
                   });
  }
}

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
  std::vector<Search> searches;
  searches.emplace_back(columns, label, used);
  GrowAll(columns, searches, most);
  return searches[0].growth();
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
    if (used[r]) order.push_back(uint64_t{Ascending(scores[r])} << 1 | (label[r] != 0));
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

namespace {

// What became of the searches over all rows, and over those of all folds but one.
ChosenSet Chosen(const SetColumns& columns, const std::vector<uint8_t>& label,
                 const std::vector<uint8_t>& fold, std::span<const Search> searches) {
  const std::vector<uint8_t> all = Asked(label);
  ChosenSet out;
  out.growth = searches[0].growth();
  const size_t sizes = out.growth.columns.size();
  for (size_t n = 0; n < sizes; ++n) {
    const auto scores = SetScores(columns, out.growth.columns, out.growth.weights[n]);
    out.train.push_back(AurocWhere(scores, label, all));
  }
  std::vector<double> sum(sizes, 0), folds(sizes, 0);
  for (int f = 0; f < kSetFolds; ++f) {
    std::vector<uint8_t> own(label.size());
    for (size_t r = 0; r < label.size(); ++r) own[r] = fold[r] == f ? all[r] : 0;
    const Growth& growth = searches[1 + f].growth();
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

}  // namespace

std::vector<ChosenSet> ChooseSets(const SetColumns& columns,
                                  const std::vector<std::vector<uint8_t>>& labels,
                                  const std::vector<uint8_t>& fold) {
  std::vector<Search> searches;
  searches.reserve(labels.size() * (1 + kSetFolds));
  for (const auto& label : labels) {
    const std::vector<uint8_t> all = Asked(label);
    searches.emplace_back(columns, label, all);
    for (int f = 0; f < kSetFolds; ++f) {
      std::vector<uint8_t> others = all;
      for (size_t r = 0; r < label.size(); ++r) others[r] = fold[r] == f ? 0 : all[r];
      searches.emplace_back(columns, label, std::move(others));
    }
  }
  GrowAll(columns, searches, kMostMembers);
  std::vector<ChosenSet> out(labels.size());
  sae::ForBlocks(std::ssize(labels), 1, [&](int64_t, int64_t i, int64_t) {
    out[i] = Chosen(columns, labels[i], fold,
                    std::span(searches).subspan(i * (1 + kSetFolds), 1 + kSetFolds));
  });
  return out;
}

ChosenSet ChooseSet(const SetColumns& columns, const std::vector<uint8_t>& label,
                    const std::vector<uint8_t>& fold) {
  return ChooseSets(columns, {label}, fold)[0];
}

}  // namespace saed::features
