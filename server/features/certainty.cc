#include "server/features/certainty.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "server/sae/random.h"

namespace saed::features {
namespace {

constexpr uint64_t kShiftSeed = 0x5348, kDealSeed = 0x4445, kBootstrapSeed = 0x424f;
constexpr int64_t kBlocksAtLeast = 50;
constexpr double kTail = 0.025, kOneSided = 1.645;

// Entry w: the sum of 2·(rank − rank of the inactive windows), integers, over the windows before w.
std::vector<int64_t> RankSums(const Activations& activations, int64_t windows) {
  const Activations sorted = SortedByValue(activations);
  const int64_t inactive = windows - static_cast<int64_t>(sorted.size());
  std::vector<int64_t> out(windows + 1, 0);
  int64_t below = inactive;
  for (size_t i = 0; i < sorted.size();) {
    size_t end = i;
    while (end < sorted.size() && sorted[end].second == sorted[i].second) ++end;
    const auto ties = static_cast<int64_t>(end - i);
    for (; i < end; ++i) out[sorted[i].first + 1] = 2 * below + ties + 1 - (inactive + 1);
    below += ties;
  }
  std::partial_sum(out.begin(), out.end(), out.begin());
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

// Whether there are significantly fewer runs of equal entries than in a random order.
bool ComesInRuns(const std::vector<uint8_t>& sequence) {
  const auto n = static_cast<double>(sequence.size());
  const auto ones = static_cast<double>(std::count(sequence.begin(), sequence.end(), 1));
  if (ones == 0 || ones == n) return false;
  double runs = 1;
  for (size_t i = 1; i < sequence.size(); ++i) runs += sequence[i] != sequence[i - 1];
  const double mean = 1 + 2 * ones * (n - ones) / n;
  const double variance = std::max(0.0, (mean - 1) * (mean - 2) / (n - 1));
  return runs < mean - kOneSided * std::sqrt(variance);
}

}  // namespace

NullLabels::NullLabels(const std::vector<std::vector<uint8_t>>& labels, int64_t windows,
                       const std::vector<int64_t>& blocks)
    : windows_(windows), blocks_(blocks), conditions_(labels.size()) {
  const std::vector<int64_t> borders = deals() ? blocks_ : std::vector<int64_t>{0, windows};
  std::vector<uint8_t> holding(borders.size() - 1);
  for (size_t c = 0; c < labels.size(); ++c) {
    Condition& condition = conditions_[c];
    for (size_t b = 0; b + 1 < borders.size(); ++b) {
      bool holds = false;
      for (int64_t w = borders[b]; w < borders[b + 1]; ++w) {
        if (labels[c][w]) {
          if (!holds) condition.stretches.push_back({w, w});
          condition.stretches.back().end = w + 1;
          ++condition.positive;
        }
        holds = labels[c][w];
      }
      condition.first_of.push_back(static_cast<int32_t>(condition.stretches.size()));
      holding[b] = condition.first_of[b + 1] > condition.first_of[b];
    }
    condition.in_runs = deals() && ComesInRuns(holding);
  }
}

// Rearrangements of the labels, one after another.
class NullLabels::Draws {
 public:
  // `sums` of the ranks before each window, as from RankSums.
  Draws(const NullLabels& labels, const std::vector<int64_t>& sums, size_t active, uint64_t stream,
        int most)
      : labels_(labels),
        sums_(sums),
        random_(kDealSeed, stream),
        active_(static_cast<double>(active)) {
    if (!labels.deals()) {
      shifts_ = DrawShifts(labels.windows_, most, stream);
      count_ = static_cast<int64_t>(shifts_.size());
      return;
    }
    count_ = most;
    from_.resize(labels.blocks_.size() - 1);
    turn_.resize(from_.size());
  }

  int64_t count() const { return count_; }

  void Make(int64_t draw) {
    if (!labels_.deals()) {
      shift_ = shifts_[draw];
      return;
    }
    const auto blocks = static_cast<int64_t>(from_.size());
    std::iota(from_.begin(), from_.end(), int64_t{0});
    for (int64_t b = blocks - 1; b > 0; --b) {
      std::swap(from_[b], from_[random_.Below((2 * draw) * blocks + b, b + 1)]);
    }
    moved_ = static_cast<int64_t>(random_.Below((2 * draw) * blocks, blocks));
    for (int64_t b = 0; b < blocks; ++b) {
      turn_[b] = static_cast<int64_t>(random_.Below((2 * draw + 1) * blocks + b, Length(from_[b])));
    }
  }

  // AUROC − ½ of the condition in the rearrangement; 0 where it holds in all windows or none.
  double Auroc(const Condition& condition) const {
    const auto [sum, positive] = labels_.deals() ? Dealt(condition) : Shifted(condition);
    return AurocOf(sum, positive);
  }

  double AurocOf(int64_t sum, int64_t positive) const {
    const auto p = static_cast<double>(positive), n = static_cast<double>(labels_.windows_) - p;
    if (p == 0 || n == 0) return 0;
    return (static_cast<double>(sum) - p * active_) / (2 * p * n);
  }

 private:
  struct Held {
    int64_t sum, positive;
  };

  int64_t Length(int64_t b) const { return labels_.blocks_[b + 1] - labels_.blocks_[b]; }

  // Window w has the label of the window that comes shift_ later, around the end.
  Held Shifted(const Condition& condition) const {
    const int64_t n = labels_.windows_;
    const auto before = [&](int64_t w) { return w >= 0 ? sums_[w] : sums_[w + n] - sums_[n]; };
    Held out{0, condition.positive};
    for (const Stretch& s : condition.stretches) {
      out.sum += before(s.end - shift_) - before(s.begin - shift_);
    }
    return out;
  }

  // Block b has the labels of block from_[b], or of that moved_ later, from its turn on, round and
  // round.
  Held Dealt(const Condition& condition) const {
    Held out{0, 0};
    const auto blocks = static_cast<int64_t>(from_.size());
    for (int64_t b = 0; b < blocks; ++b) {
      const int64_t begin = labels_.blocks_[b], length = labels_.blocks_[b + 1] - begin;
      const int64_t given = condition.in_runs ? (b + moved_) % blocks : from_[b];
      const int64_t round = Length(given);
      const int64_t origin = labels_.blocks_[given] + turn_[b] % round;
      for (int32_t i = condition.first_of[given]; i < condition.first_of[given + 1]; ++i) {
        int64_t first = condition.stretches[i].begin - origin;
        int64_t last = condition.stretches[i].end - origin;
        for (; first < length; first += round, last += round) {
          if (last <= 0) continue;
          const int64_t from = std::max<int64_t>(first, 0), to = std::min(last, length);
          out.sum += sums_[begin + to] - sums_[begin + from];
          out.positive += to - from;
        }
      }
    }
    return out;
  }

  const NullLabels& labels_;
  const std::vector<int64_t>& sums_;
  sae::CounterRandom random_;
  double active_;
  std::vector<int64_t> shifts_, from_, turn_;
  int64_t shift_ = 0, moved_ = 0, count_ = 0;
};

std::vector<std::optional<double>> NullLabels::PValues(const Activations& activations,
                                                       const std::vector<bool>& wanted,
                                                       uint64_t stream, int draws) const {
  std::vector<std::optional<double>> out(conditions_.size());
  if (activations.empty() || windows_ < 2) return out;
  const std::vector<int64_t> sums = RankSums(activations, windows_);
  Draws null(*this, sums, activations.size(), stream, draws);
  struct Pair {
    size_t condition;
    double seen = 0;
    int exceedances = 0;
  };
  std::vector<Pair> open;
  for (size_t c = 0; c < conditions_.size(); ++c) {
    const Condition& condition = conditions_[c];
    if (!wanted[c] || condition.positive == 0 || condition.positive == windows_) continue;
    int64_t sum = 0;
    for (const Stretch& s : condition.stretches) sum += sums[s.end] - sums[s.begin];
    open.push_back({c, null.AurocOf(sum, condition.positive)});
  }
  for (int64_t draw = 0; draw < null.count() && !open.empty(); ++draw) {
    null.Make(draw);
    for (size_t i = 0; i < open.size();) {
      Pair& pair = open[i];
      // Equal AUROCs may differ in the last bits.
      pair.exceedances += null.Auroc(conditions_[pair.condition]) >= pair.seen - 1e-12;
      const bool last = draw + 1 == null.count();
      if (!last && pair.exceedances < kEnoughExceedances) {
        ++i;
        continue;
      }
      out[pair.condition] =
          std::max(PValue(pair.exceedances, draw + 1, null.count()), SmallestP(pair.condition));
      if (i + 1 < open.size()) pair = open.back();
      open.pop_back();
    }
  }
  return out;
}

double NullLabels::SmallestP(size_t c) const {
  const Condition& condition = conditions_[c];
  if (!deals() || condition.positive == 0 || condition.positive == windows_) return 0;
  const auto blocks = static_cast<int64_t>(blocks_.size()) - 1;
  int64_t whole = 0;
  for (const Stretch& s : condition.stretches) {
    if (!std::binary_search(blocks_.begin(), blocks_.end(), s.begin) ||
        !std::binary_search(blocks_.begin(), blocks_.end(), s.end)) {
      return 0;
    }
    ++whole;
  }
  if (condition.in_runs) return 1 / static_cast<double>(blocks);
  double ways = 1;
  for (int64_t i = 0; i < whole; ++i) {
    ways *= static_cast<double>(blocks - i) / static_cast<double>(i + 1);
  }
  return 1 / ways;
}

int64_t NullLabels::stretches() const {
  int64_t out = 0;
  for (const Condition& c : conditions_) out += static_cast<int64_t>(c.stretches.size());
  return out;
}

int AffordableDraws(int64_t latents, int64_t stretches) {
  constexpr int64_t kMost = 1'000'000;
  return latents * stretches > kMost ? kFewerShifts : kShifts;
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

std::vector<std::vector<double>> FamilyQValues(const std::vector<std::vector<double>>& p) {
  std::vector<std::vector<double>> within;
  std::vector<double> simes;  // of the families that have members
  std::vector<size_t> place;
  for (const auto& family : p) {
    within.push_back(BenjaminiHochberg(family));
    place.push_back(simes.size());
    if (!family.empty()) {
      simes.push_back(*std::min_element(within.back().begin(), within.back().end()));
    }
  }
  const std::vector<double> q = BenjaminiHochberg(simes);
  std::vector<double> ordered = q;
  std::sort(ordered.begin(), ordered.end());
  const auto families = static_cast<double>(ordered.size());
  for (size_t f = 0; f < p.size(); ++f) {
    for (double& member : within[f]) {
      double level = 1;
      for (size_t found = 1; found <= ordered.size(); ++found) {
        // Between the level at which this many families are found and that of one more.
        const double least = std::max(
            {ordered[found - 1], q[place[f]], member * families / static_cast<double>(found)});
        if (found < ordered.size() && least >= ordered[found]) continue;
        level = std::min(1.0, least);
        break;
      }
      member = level;
    }
  }
  return within;
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

namespace {

// A window in the order of values, as the bootstrap sees it.
struct Drawn {
  int32_t block;
  uint8_t positive;
  uint8_t ends_tie;  // whether the next window has another value
};

std::vector<Drawn> InOrder(const Activations& activations, const std::vector<uint8_t>& label,
                           const std::vector<int32_t>& block_of) {
  const Activations sorted = SortedByValue(activations);
  std::vector<Drawn> out(sorted.size());
  for (size_t i = 0; i < sorted.size(); ++i) {
    const auto& [w, value] = sorted[i];
    const bool ends = i + 1 == sorted.size() || sorted[i + 1].second != value;
    out[i] = {block_of[w], label[w], ends};
  }
  return out;
}

// Linear between order statistics, as NumPy's percentile.
double Percentile(const std::vector<double>& sorted, double fraction) {
  const double x = fraction * static_cast<double>(sorted.size() - 1);
  const auto i = static_cast<size_t>(x);
  const double next = sorted[std::min(i + 1, sorted.size() - 1)];
  return sorted[i] + (x - static_cast<double>(i)) * (next - sorted[i]);
}

// AUROCs of the draws that have both classes: the same draws for any activations.
std::vector<double> DrawnAurocs(const Activations& activations, const std::vector<uint8_t>& label,
                                const std::vector<int64_t>& blocks, uint64_t stream) {
  const auto count = static_cast<int64_t>(blocks.size()) - 1;
  if (count < 1) return {};
  std::vector<int32_t> block_of(label.size());
  std::vector<double> positive(count, 0), negative(count, 0);
  for (int64_t b = 0; b < count; ++b) {
    for (int64_t w = blocks[b]; w < blocks[b + 1]; ++w) {
      block_of[w] = static_cast<int32_t>(b);
      (label[w] ? positive : negative)[b] += 1;
    }
  }
  const std::vector<Drawn> order = InOrder(activations, label, block_of);
  // What is active in a block.
  std::vector<double> active[2] = {std::vector<double>(count, 0), std::vector<double>(count, 0)};
  for (const Drawn& d : order) active[d.positive][d.block] += 1;
  const sae::CounterRandom random(kBootstrapSeed, stream);
  std::vector<double> aurocs, weight(count);
  for (int replicate = 0; replicate < kReplicates; ++replicate) {
    std::fill(weight.begin(), weight.end(), 0.0);
    for (int64_t i = 0; i < count; ++i) {
      weight[random.Below(static_cast<uint64_t>(replicate * count + i), count)] += 1;
    }
    double P = 0, N = 0, inactive_positive = 0, below = 0;
    for (int64_t b = 0; b < count; ++b) {
      P += weight[b] * positive[b], N += weight[b] * negative[b];
      inactive_positive += weight[b] * (positive[b] - active[1][b]);
      below += weight[b] * (negative[b] - active[0][b]);
    }
    if (P == 0 || N == 0) continue;
    // Pairs won by positives, ties half, from the inactive windows upwards.
    double won = inactive_positive * below / 2;
    double tie[2] = {0, 0};
    for (const Drawn& d : order) {
      tie[d.positive] += weight[d.block];
      if (!d.ends_tie) continue;
      won += tie[1] * (below + tie[0] / 2);
      below += tie[0];
      tie[0] = tie[1] = 0;
    }
    aurocs.push_back(won / (P * N));
  }
  return aurocs;
}

std::optional<Interval> PercentileInterval(std::vector<double> draws) {
  if (2 * draws.size() <= kReplicates) return std::nullopt;
  std::sort(draws.begin(), draws.end());
  return Interval{Percentile(draws, kTail), Percentile(draws, 1 - kTail)};
}

}  // namespace

std::optional<Interval> BootstrapAuroc(const Activations& activations,
                                       const std::vector<uint8_t>& label,
                                       const std::vector<int64_t>& blocks, uint64_t stream) {
  return PercentileInterval(DrawnAurocs(activations, label, blocks, stream));
}

std::optional<Interval> BootstrapDifference(const Activations& a, const Activations& b,
                                            const std::vector<uint8_t>& label,
                                            const std::vector<int64_t>& blocks, uint64_t stream) {
  std::vector<double> differences = DrawnAurocs(a, label, blocks, stream);
  const std::vector<double> of_b = DrawnAurocs(b, label, blocks, stream);
  for (size_t i = 0; i < of_b.size(); ++i) differences[i] -= of_b[i];
  return PercentileInterval(std::move(differences));
}

}  // namespace saed::features
