#include "server/features/certainty.h"

#include <algorithm>
#include <bit>
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

NullLabels::NullLabels(const std::vector<std::vector<uint8_t>>& labels, int64_t windows,
                       const std::vector<int64_t>& blocks)
    : windows_(windows),
      blocks_(blocks),
      positive_(labels.size(), 0),
      bits_(labels.size()),
      count_(labels.size()),
      run_of_(windows, 0) {
  std::vector<bool> begins(windows, false);
  for (size_t c = 0; c < labels.size(); ++c) {
    bits_[c].assign(windows / 64 + 1, 0);
    count_[c].assign(windows / 64 + 1, 0);
    for (int64_t w = 0; w < windows; ++w) {
      if (w % 64 == 0) count_[c][w / 64] = static_cast<int32_t>(positive_[c]);
      if (w > 0 && labels[c][w] != labels[c][w - 1]) begins[w] = true;
      if (!labels[c][w]) continue;
      bits_[c][w / 64] |= uint64_t{1} << (w % 64);
      ++positive_[c];
    }
    if (windows % 64 == 0) count_[c].back() = static_cast<int32_t>(positive_[c]);
    held_ += static_cast<double>(positive_[c]) / static_cast<double>(std::max<int64_t>(windows, 1));
  }
  for (int64_t w = 0; w < windows; ++w) {
    if (w == 0 || begins[w]) {
      for (size_t c = 0; c < labels.size(); ++c) {
        if (labels[c][w]) run_conditions_.push_back(static_cast<int32_t>(c));
      }
      run_begin_.push_back(static_cast<int64_t>(run_conditions_.size()));
    }
    run_of_[w] = static_cast<int32_t>(run_begin_.size()) - 2;
  }
}

int64_t NullLabels::before(size_t c, int64_t w) const {
  const uint64_t mask = (uint64_t{1} << (w & 63)) - 1;
  return count_[c][w >> 6] + std::popcount(bits_[c][w >> 6] & mask);
}

// Where each active window's label comes from, one rearrangement after another.
class NullLabels::Draws {
 public:
  Draws(const NullLabels& labels, const std::vector<std::pair<int64_t, int64_t>>& active,
        uint64_t stream, int most)
      : labels_(labels), active_(active), random_(kDealSeed, stream), source_(active.size()) {
    if (!labels.deals()) {
      shifts_ = DrawShifts(labels.windows_, most, stream);
      count_ = static_cast<int64_t>(shifts_.size());
      return;
    }
    count_ = most;
    const auto blocks = static_cast<int64_t>(labels.blocks_.size()) - 1;
    from_.resize(blocks);
    turn_.resize(blocks);
    block_.reserve(active.size());
    for (const auto& [w, deviation] : active) {
      block_.push_back(
          static_cast<int32_t>(std::upper_bound(labels.blocks_.begin(), labels.blocks_.end(), w) -
                               labels.blocks_.begin() - 1));
    }
  }

  int64_t count() const { return count_; }
  const std::vector<int64_t>& source() const { return source_; }

  void Make(int64_t draw) {
    if (!labels_.deals()) {
      const int64_t n = labels_.windows_;
      for (size_t e = 0; e < source_.size(); ++e) {
        const int64_t at = active_[e].first + shifts_[draw];
        source_[e] = at < n ? at : at - n;
      }
      return;
    }
    const auto blocks = static_cast<int64_t>(from_.size());
    std::iota(from_.begin(), from_.end(), int64_t{0});
    for (int64_t b = blocks - 1; b > 0; --b) {
      std::swap(from_[b], from_[random_.Below((2 * draw) * blocks + b, b + 1)]);
    }
    for (int64_t b = 0; b < blocks; ++b) {
      turn_[b] = static_cast<int64_t>(random_.Below((2 * draw + 1) * blocks + b, Length(from_[b])));
    }
    for (size_t e = 0; e < source_.size(); ++e) {
      const int64_t b = block_[e], given = from_[b];
      source_[e] = labels_.blocks_[given] +
                   (active_[e].first - labels_.blocks_[b] + turn_[b]) % Length(given);
    }
  }

  // Windows in which the condition holds after the rearrangement.
  int64_t Positive(size_t c) const {
    if (!labels_.deals()) return labels_.positive_[c];
    int64_t positive = 0;
    for (size_t b = 0; b < from_.size(); ++b) {
      // As many windows of the given block, from its turn on, round and round.
      const int64_t given = from_[b], n = Length(given), begin = labels_.blocks_[given];
      const auto ones = [&](int64_t last) {
        return labels_.before(c, begin + last) - labels_.before(c, begin);
      };
      const int64_t end = turn_[b] + Length(static_cast<int64_t>(b));
      positive += end / n * ones(n) + ones(end % n) - ones(turn_[b]);
    }
    return positive;
  }

 private:
  int64_t Length(int64_t b) const { return labels_.blocks_[b + 1] - labels_.blocks_[b]; }

  const NullLabels& labels_;
  const std::vector<std::pair<int64_t, int64_t>>& active_;
  sae::CounterRandom random_;
  std::vector<int64_t> source_, shifts_, from_, turn_;
  std::vector<int32_t> block_;
  int64_t count_ = 0;
};

std::vector<std::optional<double>> NullLabels::PValues(const Activations& activations,
                                                       const std::vector<bool>& wanted,
                                                       uint64_t stream, int draws) const {
  std::vector<std::optional<double>> out(positive_.size());
  if (activations.empty() || windows_ < 2) return out;
  auto deviations = RankDeviations(activations, windows_);
  std::sort(deviations.begin(), deviations.end());  // in time: neighbours lie in one cache line
  const auto active = static_cast<double>(deviations.size());
  struct Pair {
    size_t condition;
    double seen = 0;
    int exceedances = 0;
  };
  std::vector<Pair> open;
  std::vector<int64_t> sums(positive_.size(), 0);
  std::vector<int32_t> runs(deviations.size());
  // 2·Σ(rank − lowest rank) over the windows in which each open condition holds.
  const auto add_up = [&](const auto& source) {
    if (static_cast<double>(open.size()) <= held_ + 2) {
      for (const Pair& pair : open) {
        int64_t sum = 0;
        for (size_t e = 0; e < deviations.size(); ++e) {
          // The mask of 0 or all ones leaves the branch predictor nothing to guess.
          sum += deviations[e].second & -static_cast<int64_t>(holds(pair.condition, source(e)));
        }
        sums[pair.condition] = sum;
      }
      return;
    }
    std::fill(sums.begin(), sums.end(), 0);
    // First where to look, all at once: the lookups do not wait for each other.
    for (size_t e = 0; e < deviations.size(); ++e) runs[e] = run_of_[source(e)];
    for (size_t e = 0; e < deviations.size(); ++e) {
      const int64_t deviation = deviations[e].second;
      const int32_t* c = run_conditions_.data() + run_begin_[runs[e]];
      const int32_t* end = run_conditions_.data() + run_begin_[runs[e] + 1];
      for (; c + 4 <= end; c += 4) {
        sums[c[0]] += deviation;
        sums[c[1]] += deviation;
        sums[c[2]] += deviation;
        sums[c[3]] += deviation;
      }
      for (; c < end; ++c) sums[*c] += deviation;
    }
  };
  // AUROC − ½.
  const auto auroc = [&](size_t c, double positive) {
    const double negative = static_cast<double>(windows_) - positive;
    if (positive == 0 || negative == 0) return 0.0;
    return (static_cast<double>(sums[c]) - positive * active) / (2 * positive * negative);
  };
  for (size_t c = 0; c < positive_.size(); ++c) {
    if (wanted[c] && positive_[c] > 0 && positive_[c] < windows_) open.push_back({c});
  }
  if (open.empty()) return out;
  add_up([&](size_t e) { return deviations[e].first; });
  for (Pair& pair : open) {
    pair.seen = auroc(pair.condition, static_cast<double>(positive_[pair.condition]));
  }
  Draws null(*this, deviations, stream, draws);
  for (int64_t draw = 0; draw < null.count() && !open.empty(); ++draw) {
    null.Make(draw);
    add_up([&](size_t e) { return null.source()[e]; });
    for (size_t i = 0; i < open.size();) {
      Pair& pair = open[i];
      const auto positive = static_cast<double>(null.Positive(pair.condition));
      // Equal AUROCs may differ in the last bits.
      pair.exceedances += auroc(pair.condition, positive) >= pair.seen - 1e-12;
      const bool last = draw + 1 == null.count();
      if (!last && pair.exceedances < kEnoughExceedances) {
        ++i;
        continue;
      }
      out[pair.condition] = PValue(pair.exceedances, draw + 1, null.count());
      if (i + 1 < open.size()) pair = open.back();
      open.pop_back();
    }
  }
  return out;
}

int AffordableDraws(int64_t active_windows, int64_t conditions) {
  constexpr int64_t kWork = 2'000'000'000;
  constexpr int kFewer = 1000;
  return active_windows * std::max<int64_t>(conditions, 1) > kWork ? kFewer : kShifts;
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
