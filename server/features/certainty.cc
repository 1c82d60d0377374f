#include "server/features/certainty.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "server/sae/random.h"

namespace saed::features {
namespace {

constexpr uint64_t kShiftSeed = 0x5348, kDealSeed = 0x4445, kBootstrapSeed = 0x424f;
constexpr int64_t kBlocksAtLeast = 50;
constexpr double kTail = 0.025;

// 2·(rank − rank of the inactive windows) of every active window, an integer.
std::vector<std::pair<int64_t, int64_t>> RankDeviations(const Activations& activations,
                                                        int64_t windows) {
  Activations sorted = activations;
  std::sort(sorted.begin(), sorted.end(),
            [](const auto& a, const auto& b) { return a.second < b.second; });
  const int64_t inactive = windows - static_cast<int64_t>(sorted.size());
  std::vector<std::pair<int64_t, int64_t>> out;
  int64_t below = inactive;
  for (size_t i = 0; i < sorted.size();) {
    size_t end = i;
    while (end < sorted.size() && sorted[end].second == sorted[i].second) ++end;
    const auto ties = static_cast<int64_t>(end - i);
    for (; i < end; ++i) out.emplace_back(sorted[i].first, 2 * below + ties + 1 - (inactive + 1));
    below += ties;
  }
  return out;
}

// Besag & Clifford's, after `done` of `all` draws.
double PValue(int exceedances, int64_t done, int64_t all) {
  return exceedances == kEnoughExceedances && done < all
             ? static_cast<double>(exceedances) / static_cast<double>(done)
             : (1.0 + exceedances) / (1.0 + static_cast<double>(done));
}

// `count` different numbers of [1, n), or all of them where there are fewer, in random order.
std::vector<int64_t> DrawShifts(int64_t n, int count, uint64_t stream) {
  const sae::CounterRandom random(kShiftSeed, stream);
  std::vector<int64_t> out;
  if (n - 1 <= count) {
    out.resize(n - 1);
    std::iota(out.begin(), out.end(), int64_t{1});
    for (int64_t i = n - 2; i > 0; --i) std::swap(out[i], out[random.Below(i, i + 1)]);
    return out;
  }
  std::vector<bool> taken(n, false);
  for (uint64_t draw = 0; static_cast<int>(out.size()) < count; ++draw) {
    const int64_t s = 1 + static_cast<int64_t>(random.Below(draw, n - 1));
    if (!taken[s]) out.push_back(s);
    taken[s] = true;
  }
  return out;
}

}  // namespace

ShiftedLabels::ShiftedLabels(const std::vector<std::vector<uint8_t>>& labels, int64_t windows)
    : windows_(windows), runs_(labels.size()), twice_(labels.size()) {
  for (size_t c = 0; c < labels.size(); ++c) {
    for (int64_t w = 0; w < windows;) {
      const int64_t begin = w;
      while (w < windows && labels[c][w]) ++w;
      if (w > begin) runs_[c].emplace_back(begin, w);
      while (w < windows && !labels[c][w]) ++w;
    }
    twice_[c] = labels[c];
    twice_[c].insert(twice_[c].end(), labels[c].begin(), labels[c].end());
  }
}

bool ShiftedLabels::has_both(size_t c) const {
  return !runs_[c].empty() && runs_[c].front() != std::pair<int64_t, int64_t>{0, windows_};
}

// Σ of rank deviations over the windows that a shifted condition holds in.
class ShiftSums {
 public:
  ShiftSums(const Activations& activations, const ShiftedLabels& labels)
      : labels_(labels), deviations_(RankDeviations(activations, labels.windows())) {}

  int64_t At(size_t c, int64_t shift) {
    const auto& runs = labels_.runs_[c];
    int64_t sum = 0;
    if (2 * runs.size() >= deviations_.size()) {
      const uint8_t* label = labels_.twice_[c].data() + shift;
      for (const auto& [w, deviation] : deviations_) sum += label[w] ? deviation : 0;
      return sum;
    }
    if (prefix_.empty()) FillPrefix();
    const int64_t* at = prefix_.data() + labels_.windows() - shift;
    for (const auto& [begin, end] : runs) sum += at[end] - at[begin];
    return sum;
  }

 private:
  // Of the deviations, one turn after another: prefix_[i] sums windows before i.
  void FillPrefix() {
    const int64_t n = labels_.windows();
    prefix_.assign(2 * n + 1, 0);
    for (const auto& [w, deviation] : deviations_) prefix_[w + 1] = prefix_[n + w + 1] = deviation;
    std::partial_sum(prefix_.begin(), prefix_.end(), prefix_.begin());
  }

  const ShiftedLabels& labels_;
  std::vector<std::pair<int64_t, int64_t>> deviations_;
  std::vector<int64_t> prefix_;
};

std::vector<std::optional<double>> ShiftPValues(const Activations& activations,
                                                const ShiftedLabels& labels,
                                                const std::vector<bool>& wanted, uint64_t stream) {
  std::vector<std::optional<double>> out(labels.conditions());
  if (activations.empty() || labels.windows() < 2) return out;
  const std::vector<int64_t> shifts = DrawShifts(labels.windows(), kShifts, stream);
  ShiftSums sums(activations, labels);
  for (size_t c = 0; c < out.size(); ++c) {
    if (!wanted[c] || !labels.has_both(c)) continue;
    const int64_t seen = sums.At(c, 0);
    int exceedances = 0;
    size_t done = 0;
    while (done < shifts.size() && exceedances < kEnoughExceedances) {
      exceedances += sums.At(c, shifts[done++]) >= seen;
    }
    out[c] = PValue(exceedances, static_cast<int64_t>(done), static_cast<int64_t>(shifts.size()));
  }
  return out;
}

std::vector<std::optional<double>> DealPValues(const Activations& activations,
                                               const std::vector<std::vector<uint8_t>>& labels,
                                               const std::vector<int64_t>& blocks,
                                               const std::vector<bool>& wanted, uint64_t stream) {
  const int64_t windows = blocks.back(), count = static_cast<int64_t>(blocks.size()) - 1;
  std::vector<std::optional<double>> out(labels.size());
  const auto deviations = RankDeviations(activations, windows);
  if (deviations.empty()) return out;
  const auto active = static_cast<double>(deviations.size());
  struct Pair {
    size_t condition;
    std::vector<int32_t> before;  // labels of 1 before every window, to count those of a stretch
    double seen;
    int exceedances = 0;
  };
  std::vector<int64_t> source(deviations.size());
  // AUROC − ½, from 2·Σ(rank − lowest rank) over P positive windows of N + P.
  const auto auroc = [&](size_t c, double positive) {
    const uint8_t* label = labels[c].data();
    int64_t sum = 0;
    for (size_t e = 0; e < source.size(); ++e) {
      sum += label[source[e]] ? deviations[e].second : 0;
    }
    const double negative = static_cast<double>(windows) - positive;
    if (positive == 0 || negative == 0) return 0.0;
    return (static_cast<double>(sum) - positive * active) / (2 * positive * negative);
  };
  for (size_t e = 0; e < source.size(); ++e) source[e] = deviations[e].first;
  std::vector<Pair> open;
  for (size_t c = 0; c < labels.size(); ++c) {
    std::vector<int32_t> before(windows + 1, 0);
    for (int64_t w = 0; w < windows; ++w) before[w + 1] = before[w] + labels[c][w];
    if (!wanted[c] || before[windows] == 0 || before[windows] == windows) continue;
    const double seen = auroc(c, before[windows]);
    open.push_back({c, std::move(before), seen});
  }
  // Block of every active window.
  std::vector<int32_t> block_of;
  block_of.reserve(deviations.size());
  for (const auto& [w, deviation] : deviations) {
    block_of.push_back(static_cast<int32_t>(std::upper_bound(blocks.begin(), blocks.end(), w) -
                                            blocks.begin() - 1));
  }
  const sae::CounterRandom random(kDealSeed, stream);
  std::vector<int64_t> from(count), turn(count);
  for (int64_t deal = 0; deal < kShifts && !open.empty(); ++deal) {
    std::iota(from.begin(), from.end(), int64_t{0});
    for (int64_t b = count - 1; b > 0; --b) {
      std::swap(from[b], from[random.Below((2 * deal) * count + b, b + 1)]);
    }
    const auto length = [&](int64_t b) { return blocks[b + 1] - blocks[b]; };
    for (int64_t b = 0; b < count; ++b) {
      turn[b] = static_cast<int64_t>(random.Below((2 * deal + 1) * count + b, length(from[b])));
    }
    for (size_t e = 0; e < source.size(); ++e) {
      const int64_t b = block_of[e], given = from[b];
      source[e] = blocks[given] + (deviations[e].first - blocks[b] + turn[b]) % length(given);
    }
    for (size_t i = 0; i < open.size();) {
      Pair& pair = open[i];
      int64_t positive = 0;
      for (int64_t b = 0; b < count; ++b) {
        // `length(b)` windows of the given block from its turn on, round and round.
        const int64_t given = from[b], n = length(given), begin = blocks[given];
        const auto ones = [&](int64_t first, int64_t last) {
          return pair.before[begin + last] - pair.before[begin + first];
        };
        const int64_t end = turn[b] + length(b);
        positive += end / n * int64_t{ones(0, n)} + ones(0, end % n) - ones(0, turn[b]);
      }
      // Equal AUROCs may differ in the last bits.
      pair.exceedances += auroc(pair.condition, static_cast<double>(positive)) >= pair.seen - 1e-12;
      const bool last = deal + 1 == kShifts;
      if (!last && pair.exceedances < kEnoughExceedances) {
        ++i;
        continue;
      }
      out[pair.condition] = PValue(pair.exceedances, deal + 1, kShifts);
      if (i + 1 < open.size()) pair = std::move(open.back());
      open.pop_back();
    }
  }
  return out;
}

std::vector<double> BenjaminiHochberg(const std::vector<double>& p) {
  std::vector<size_t> order(p.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return p[a] < p[b]; });
  std::vector<double> q(p.size());
  double least = 1;
  for (size_t i = order.size(); i-- > 0;) {
    least =
        std::min(least, p[order[i]] * static_cast<double>(p.size()) / static_cast<double>(i + 1));
    q[order[i]] = least;
  }
  return q;
}

std::vector<int64_t> TimeBlocks(const std::vector<int64_t>& starts) {
  const auto n = static_cast<int64_t>(starts.size());
  std::vector<int64_t> out;
  if (n == 0) return {0};
  int64_t stride = INT64_MAX;
  for (int64_t w = 1; w < n; ++w) stride = std::min(stride, starts[w] - starts[w - 1]);
  const int64_t longest = std::max<int64_t>(1, n / kBlocksAtLeast);
  for (int64_t w = 0; w < n; ++w) {
    const bool gap = w == 0 || starts[w] - starts[w - 1] > stride;
    if (gap || w - out.back() == longest) out.push_back(w);
  }
  out.push_back(n);
  return out;
}

std::optional<Interval> BootstrapAuroc(const Activations& activations,
                                       const std::vector<uint8_t>& label,
                                       const std::vector<int64_t>& blocks, uint64_t stream) {
  const auto count = static_cast<int64_t>(blocks.size()) - 1;
  if (count < 1) return std::nullopt;
  std::vector<int32_t> block_of(label.size());
  std::vector<double> positive(count, 0), negative(count, 0);
  for (int64_t b = 0; b < count; ++b) {
    for (int64_t w = blocks[b]; w < blocks[b + 1]; ++w) {
      block_of[w] = static_cast<int32_t>(b);
      (label[w] ? positive : negative)[b] += 1;
    }
  }
  Activations sorted = activations;
  std::sort(sorted.begin(), sorted.end(),
            [](const auto& a, const auto& b) { return a.second < b.second; });
  const sae::CounterRandom random(kBootstrapSeed, stream);
  std::vector<double> aurocs, weight(count);
  for (int replicate = 0; replicate < kReplicates; ++replicate) {
    std::fill(weight.begin(), weight.end(), 0.0);
    for (int64_t i = 0; i < count; ++i) {
      weight[random.Below(static_cast<uint64_t>(replicate * count + i), count)] += 1;
    }
    double P = 0, N = 0;
    for (int64_t b = 0; b < count; ++b) P += weight[b] * positive[b], N += weight[b] * negative[b];
    if (P == 0 || N == 0) continue;
    double active_positive = 0, active_negative = 0;
    for (const auto& [w, value] : sorted) {
      (label[w] ? active_positive : active_negative) += weight[block_of[w]];
    }
    // Pairs won by positives, ties half, from the inactive windows upwards.
    double below = N - active_negative, won = (P - active_positive) * below / 2;
    for (size_t i = 0; i < sorted.size();) {
      double p = 0, n = 0;
      const float value = sorted[i].second;
      for (; i < sorted.size() && sorted[i].second == value; ++i) {
        (label[sorted[i].first] ? p : n) += weight[block_of[sorted[i].first]];
      }
      won += p * (below + n / 2);
      below += n;
    }
    aurocs.push_back(won / (P * N));
  }
  if (2 * aurocs.size() <= kReplicates) return std::nullopt;
  std::sort(aurocs.begin(), aurocs.end());
  // Linear between order statistics, as NumPy's percentile.
  const auto at = [&](double fraction) {
    const double x = fraction * static_cast<double>(aurocs.size() - 1);
    const auto i = static_cast<size_t>(x);
    const double next = aurocs[std::min(i + 1, aurocs.size() - 1)];
    return aurocs[i] + (x - static_cast<double>(i)) * (next - aurocs[i]);
  };
  return Interval{at(kTail), at(1 - kTail)};
}

}  // namespace saed::features
