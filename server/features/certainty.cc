#include "server/features/certainty.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "server/features/drawn_aurocs.h"
#include "server/features/student.h"
#include "server/sae/random_bits.h"

namespace saed::features {
namespace {

constexpr uint64_t kBootstrapSeed = 0x424f;
constexpr int64_t kBlocksAtLeast = 50;
constexpr double kTail = 0.025;
constexpr double kNormal975 = 1.959963984540054;
constexpr int64_t kFewestAlike = 10;  // blocks whose draws may all say the same

}  // namespace

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

int64_t BlocksOfRarer(const std::vector<uint8_t>& label, const std::vector<int64_t>& blocks) {
  int64_t with[2] = {};
  for (size_t b = 0; b + 1 < blocks.size(); ++b) {
    const auto begin = label.begin() + blocks[b], end = label.begin() + blocks[b + 1];
    for (const WindowLabel side : {kHoldsNot, kHolds}) {
      with[side] += std::find(begin, end, side) != end;
    }
  }
  return std::min(with[0], with[1]);
}

std::vector<int64_t> BlocksToDraw(const std::vector<uint8_t>& label,
                                  const std::vector<int64_t>& blocks,
                                  const std::vector<int64_t>& shorter) {
  std::vector<int64_t> starts;  // of blocks of which the condition asks
  std::vector<uint8_t> holding;
  for (size_t b = 0; b + 1 < blocks.size(); ++b) {
    const auto begin = label.begin() + blocks[b], end = label.begin() + blocks[b + 1];
    if (std::all_of(begin, end, [](WindowLabel l) { return l == kOutside; })) continue;
    starts.push_back(blocks[b]);
    holding.push_back(std::find(begin, end, kHolds) != end);
  }
  std::vector<int64_t> out = blocks;
  if (ComesInRuns(holding)) {
    out = {0};
    for (size_t i = 1; i < holding.size(); ++i) {
      if (holding[i] != holding[i - 1]) out.push_back(starts[i]);
    }
    out.push_back(blocks.back());
  }
  return BlocksOfRarer(label, out) < 2 && !shorter.empty() ? shorter : out;
}

namespace {

// Linear between order statistics, as NumPy's percentile.
double Percentile(const std::vector<double>& sorted, double fraction) {
  const double x = fraction * static_cast<double>(sorted.size() - 1);
  const auto i = static_cast<size_t>(x);
  const double next = sorted[std::min(i + 1, sorted.size() - 1)];
  return sorted[i] + (x - static_cast<double>(i)) * (next - sorted[i]);
}

// Percentiles of the draws about `score`, made wider for the `blocks` of the rarer class: few of
// them hardly differ between draws.
std::optional<Interval> WidenedInterval(double score, std::vector<double> draws, int64_t blocks) {
  if (2 * draws.size() <= kReplicates || blocks < 2) return std::nullopt;
  std::sort(draws.begin(), draws.end());
  if (blocks < kFewestAlike && draws.front() == draws.back()) return std::nullopt;
  const auto n = static_cast<double>(blocks);
  const double wider = StudentQuantile975(blocks - 1) / kNormal975 * std::sqrt(n / (n - 1));
  const double below = score - Percentile(draws, kTail);
  const double above = Percentile(draws, 1 - kTail) - score;
  return Interval{score - wider * std::max(0.0, below), score + wider * std::max(0.0, above)};
}

}  // namespace

BlockDraws::BlockDraws(const std::vector<int64_t>& blocks, uint64_t stream) : blocks_(blocks) {
  const size_t count = blocks.empty() ? 0 : blocks.size() - 1;
  weight_.assign((kReplicates + kDrawsAtOnce - 1) / kDrawsAtOnce * kDrawsAtOnce * count, 0);
  std::vector<uint64_t> bits(count);
  for (size_t draw = 0; draw < kReplicates; ++draw) {
    sae::RandomBits(kBootstrapSeed, stream, draw * count, bits);
    uint8_t* weight =
        weight_.data() + draw / kDrawsAtOnce * kDrawsAtOnce * count + draw % kDrawsAtOnce;
    for (const uint64_t b : bits) weight[sae::BelowOf(b, count) * kDrawsAtOnce] += 1;
  }
}

BlockDraws::Scores BlockDraws::Aurocs(const Ordered& values,
                                      const std::vector<uint8_t>& label) const {
  if (blocks_.size() < 2) return {};
  Scores out{.blocks = BlocksOfRarer(label, blocks_), .of_all = {}, .of_draws = {}};
  if (out.blocks == 0) return out;
  const size_t count = blocks_.size() - 1;
  const DrawnAurocs aurocs(values, label, blocks_);
  const std::vector<uint8_t> once(count * kDrawsAtOnce, 1);
  aurocs.Add(once.data(), 1, out.of_all);
  for (int draw = 0; draw < kReplicates; draw += kDrawsAtOnce) {
    aurocs.Add(weight_.data() + draw * count, std::min(kDrawsAtOnce, kReplicates - draw),
               out.of_draws);
  }
  return out;
}

std::optional<Interval> BlockDraws::Auroc(const Ordered& values,
                                          const std::vector<uint8_t>& label) const {
  Scores scores = Aurocs(values, label);
  if (scores.blocks == 0) return std::nullopt;
  const auto held = static_cast<double>(std::count(label.begin(), label.end(), kHolds));
  const auto others = static_cast<double>(std::count(label.begin(), label.end(), kHoldsNot));
  const double half_a_pair = 0.5 / (held * others);
  const auto logit = [&](double auroc) {
    const double p = std::clamp(auroc, half_a_pair, 1 - half_a_pair);
    return std::log(p / (1 - p));
  };
  for (double& auroc : scores.of_draws) auroc = logit(auroc);
  const auto wide =
      WidenedInterval(logit(scores.of_all[0]), std::move(scores.of_draws), scores.blocks);
  if (!wide) return std::nullopt;
  // With the score itself, which may be 0 or 1.
  const auto back = [](double x) { return 1 / (1 + std::exp(-x)); };
  return Interval{std::min(scores.of_all[0], back(wide->low)),
                  std::max(scores.of_all[0], back(wide->high))};
}

std::optional<Interval> BlockDraws::Difference(const Ordered& a, const Ordered& b,
                                               const std::vector<uint8_t>& label) const {
  Scores scores = Aurocs(a, label);
  if (scores.blocks == 0) return std::nullopt;
  const Scores of_b = Aurocs(b, label);
  for (size_t i = 0; i < of_b.of_draws.size(); ++i) scores.of_draws[i] -= of_b.of_draws[i];
  auto out =
      WidenedInterval(scores.of_all[0] - of_b.of_all[0], std::move(scores.of_draws), scores.blocks);
  if (out) *out = {std::max(-1.0, out->low), std::min(1.0, out->high)};
  return out;
}

std::optional<Interval> BootstrapAuroc(const Ordered& values, const std::vector<uint8_t>& label,
                                       const std::vector<int64_t>& blocks, uint64_t stream) {
  return BlockDraws(blocks, stream).Auroc(values, label);
}

std::optional<Interval> BootstrapDifference(const Ordered& a, const Ordered& b,
                                            const std::vector<uint8_t>& label,
                                            const std::vector<int64_t>& blocks, uint64_t stream) {
  return BlockDraws(blocks, stream).Difference(a, b, label);
}

}  // namespace saed::features
