#include "server/features/certainty.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "server/sae/random.h"

namespace saed::features {
namespace {

constexpr uint64_t kBootstrapSeed = 0x424f;
constexpr int64_t kBlocksAtLeast = 50;
constexpr double kTail = 0.025;

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
  std::vector<Drawn> out;
  for (size_t i = 0; i < sorted.size(); ++i) {
    const auto& [w, value] = sorted[i];
    if (label[w] != kOutside) out.push_back({block_of[w], label[w], 0});
    // Whichever of equals is the last that counts.
    const bool ends = i + 1 == sorted.size() || sorted[i + 1].second != value;
    if (ends && !out.empty()) out.back().ends_tie = 1;
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
      if (label[w] != kOutside) (label[w] == kHolds ? positive : negative)[b] += 1;
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
