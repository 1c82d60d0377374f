#include "server/features/variables.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include "server/features/certainty.h"
#include "server/features/expression.h"
#include "server/recordings/binning.h"
#include "server/sae/random.h"

namespace saed::features {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr uint64_t kVariableSeed = 0x5641;
constexpr size_t kLeastValues = 3;
constexpr int kLevels = 4;  // silent, and thirds of the activations

// Average ranks from 1, ties alike.
template <class T>
std::vector<double> Ranks(const std::vector<T>& values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> out(values.size());
  for (size_t i = 0; i < order.size();) {
    size_t end = i;
    while (end < order.size() && values[order[end]] == values[order[i]]) ++end;
    const double rank = (static_cast<double>(i + end) + 1) / 2;
    for (; i < end; ++i) out[order[i]] = rank;
  }
  return out;
}

bool Varies(const std::vector<double>& values) {
  std::set<double> seen;
  for (double v : values) {
    if (std::isfinite(v)) seen.insert(v);
    if (seen.size() == kLeastValues) return true;
  }
  return false;
}

bool IsTime(const std::string& name) {
  return name == "start_time" || name == "stop_time" || name == "duration" || name == "id";
}

// A column's value on the bins of a view while its rows last; of rows that overlap the later one.
std::vector<double> ColumnOnBins(const recordings::IntervalTable& table,
                                 const recordings::Numbers& column,
                                 const recordings::ViewData& view) {
  std::vector<double> out(view.bins, kNan);
  for (size_t i = 0; i < table.rows(); ++i) {
    const auto bin = [&](double time) {
      const double b = (time - recordings::kTimeTolerance - view.start_time) / view.bin_width - 0.5;
      return static_cast<int64_t>(std::ceil(std::clamp(b, 0.0, static_cast<double>(view.bins))));
    };
    const int64_t end = bin(table.stop[i]);
    for (int64_t b = bin(table.start[i]); b < end; ++b) out[b] = column[i];
  }
  return out;
}

// Σ over active windows of (rank − rank of the silent ones), and Σ of squared centred ranks of all.
struct ActivationRanks {
  Activations known;
  std::vector<double> deviation;  // of each active window
  double total = 0, square = 0;   // Σ deviation; Σ (rank − mean)²

  ActivationRanks(Activations active, int64_t windows) : known(std::move(active)) {
    std::vector<float> values;
    for (const auto& [w, value] : known) values.push_back(value);
    const auto silent = static_cast<double>(windows - static_cast<int64_t>(known.size()));
    deviation = Ranks(values);
    // A silent window's rank is (silent + 1)/2, the active ones follow.
    for (double& d : deviation) {
      d += silent - (silent + 1) / 2;
      total += d;
      square += d * d;
    }
    square -= windows > 0 ? total * total / static_cast<double>(windows) : 0;
  }
};

}  // namespace

std::vector<Variable> AutomaticVariables(const recordings::Recording& recording,
                                         const recordings::ViewData& view,
                                         const std::vector<int64_t>& starts,
                                         std::vector<std::string>& warnings) {
  std::vector<Variable> out;
  size_t left_out = 0;
  const auto add = [&](std::string name, const std::vector<double>& bins) {
    Variable v{std::move(name), {}};
    v.values.reserve(starts.size());
    for (int64_t start : starts) v.values.push_back(bins[start + view.window - 1]);
    if (!Varies(v.values)) return;
    if (out.size() < kMaxVariables) {
      out.push_back(std::move(v));
    } else {
      ++left_out;
    }
  };
  for (const recordings::Series& s : recording.series) {
    for (size_t c = 0; c < s.channels.size(); ++c) {
      add(s.channels.size() == 1 ? s.name : s.name + "." + s.channels[c], OnBins(s, c, view));
    }
  }
  for (const recordings::IntervalTable& t : recording.intervals) {
    for (const recordings::Column& column : t.table.columns) {
      const auto* numbers = std::get_if<recordings::Numbers>(&column.values);
      if (numbers == nullptr || IsTime(column.name)) continue;
      add(t.table.name + "." + column.name, ColumnOnBins(t, *numbers, view));
    }
  }
  if (left_out > 0) {
    warnings.push_back(fmt::format("{} continuous variables beyond the first {} were left out",
                                   left_out, kMaxVariables));
  }
  return out;
}

VariableSide::VariableSide(std::vector<double> values, const std::vector<double>& edges,
                           const std::vector<int64_t>& blocks)
    : known_(values.size(), -1), occupancy_(kTuningBins, 0) {
  std::vector<double> there;
  for (size_t w = 0; w < values.size(); ++w) {
    if (!std::isfinite(values[w])) continue;
    known_[w] = static_cast<int64_t>(there.size());
    there.push_back(values[w]);
  }
  rank_ = Ranks(there);
  const double mean = (static_cast<double>(there.size()) + 1) / 2;
  for (double& r : rank_) {
    r -= mean;
    rank_square_ += r * r;
  }
  if (!edges.empty()) {
    const double width = (edges.back() - edges.front()) / kTuningBins;
    for (double v : there) {
      const auto bin = static_cast<int32_t>(
          std::clamp(std::floor((v - edges.front()) / width), 0.0, kTuningBins - 1.0));
      bin_.push_back(bin);
      ++occupancy_[bin];
    }
  }
  // Blocks shrink to their windows with a value; empty ones go.
  for (size_t b = 0, w = 0; blocks.size() > kBlocksToDeal && b < blocks.size(); ++b) {
    int64_t before = blocks_.empty() ? 0 : blocks_.back();
    for (; w < static_cast<size_t>(blocks[b]); ++w) before += known_[w] >= 0;
    if (blocks_.empty() || before > blocks_.back()) blocks_.push_back(before);
  }
}

Activations VariableSide::Known(const Activations& activations) const {
  Activations out;
  for (const auto& [w, value] : activations) {
    if (known_[w] >= 0) out.emplace_back(known_[w], value);
  }
  return out;
}

std::optional<double> VariableSide::Spearman(const Activations& activations) const {
  const ActivationRanks ranks(Known(activations), windows());
  const double scale = ranks.square * rank_square_;
  if (!(scale > 0)) return std::nullopt;
  double sum = 0;
  for (size_t e = 0; e < ranks.known.size(); ++e) {
    sum += ranks.deviation[e] * rank_[ranks.known[e].first];
  }
  return sum / std::sqrt(scale);
}

std::optional<double> VariableSide::PValue(const Activations& activations, uint64_t stream) const {
  const int64_t n = windows();
  const ActivationRanks ranks(Known(activations), n);
  if (!(ranks.square * rank_square_ > 0) || n < 2) return std::nullopt;
  double seen = 0;
  for (size_t e = 0; e < ranks.known.size(); ++e) {
    seen += ranks.deviation[e] * rank_[ranks.known[e].first];
  }
  const double limit = std::abs(seen) * (1 - 1e-12);
  const sae::CounterRandom random(kVariableSeed, stream);
  const auto count = static_cast<int64_t>(blocks_.size()) - 1;
  const bool deal = count >= static_cast<int64_t>(kBlocksToDeal);
  std::vector<double> before;  // Σ ranks of windows before each, for the mean of a deal
  std::vector<int32_t> block(deal ? ranks.known.size() : 0);
  std::vector<int64_t> from(deal ? count : 0), turn(from.size());
  if (deal) {
    before.assign(n + 1, 0);
    std::partial_sum(rank_.begin(), rank_.end(), before.begin() + 1);
    for (size_t e = 0; e < block.size(); ++e) {
      block[e] = static_cast<int32_t>(
          std::upper_bound(blocks_.begin(), blocks_.end(), ranks.known[e].first) - blocks_.begin() -
          1);
    }
  }
  int exceedances = 0;
  for (int64_t draw = 0; draw < kVariableShifts; ++draw) {
    double sum = 0;
    if (!deal) {
      const int64_t shift = 1 + static_cast<int64_t>(random.Below(draw, n - 1));
      for (size_t e = 0; e < ranks.known.size(); ++e) {
        const int64_t at = ranks.known[e].first + shift;
        sum += ranks.deviation[e] * rank_[at < n ? at : at - n];
      }
    } else {
      std::iota(from.begin(), from.end(), int64_t{0});
      for (int64_t b = count - 1; b > 0; --b) {
        std::swap(from[b], from[random.Below((2 * draw) * count + b, b + 1)]);
      }
      const auto length = [&](int64_t b) { return blocks_[b + 1] - blocks_[b]; };
      double all = 0;
      for (int64_t b = 0; b < count; ++b) {
        const int64_t given = from[b], many = length(given);
        turn[b] = static_cast<int64_t>(random.Below((2 * draw + 1) * count + b, many));
        const auto part = [&](int64_t first, int64_t last) {
          return before[blocks_[given] + last] - before[blocks_[given] + first];
        };
        const int64_t end = turn[b] + length(b), rounds = end / many;
        all += static_cast<double>(rounds) * part(0, many) + part(0, end % many) - part(0, turn[b]);
      }
      for (size_t e = 0; e < ranks.known.size(); ++e) {
        const int64_t b = block[e], given = from[b];
        const int64_t offset = (ranks.known[e].first - blocks_[b] + turn[b]) % length(given);
        sum += ranks.deviation[e] * rank_[blocks_[given] + offset];
      }
      sum -= ranks.total * all / static_cast<double>(n);
    }
    exceedances += std::abs(sum) >= limit;
    if (exceedances == kEnoughExceedances && draw + 1 < kVariableShifts) {
      return static_cast<double>(exceedances) / static_cast<double>(draw + 1);
    }
  }
  return (1.0 + exceedances) / (1.0 + kVariableShifts);
}

std::optional<double> VariableSide::Information(const Activations& activations,
                                                const std::vector<float>& levels) const {
  if (bin_.empty()) return std::nullopt;
  std::array<std::array<double, kTuningBins>, kLevels> table{};
  for (int b = 0; b < kTuningBins; ++b) table[0][b] = static_cast<double>(occupancy_[b]);
  for (const auto& [w, value] : Known(activations)) {
    int level = 1;
    for (float limit : levels) level += value > limit;
    table[0][bin_[w]] -= 1;
    table[level][bin_[w]] += 1;
  }
  const auto n = static_cast<double>(bin_.size());
  std::array<double, kLevels> rows{};
  std::array<double, kTuningBins> columns{};
  double filled = 0;
  for (int l = 0; l < kLevels; ++l) {
    for (int b = 0; b < kTuningBins; ++b) {
      rows[l] += table[l][b];
      columns[b] += table[l][b];
      filled += table[l][b] > 0;
    }
  }
  double bits = 0;
  for (int l = 0; l < kLevels; ++l) {
    for (int b = 0; b < kTuningBins; ++b) {
      const double count = table[l][b];
      if (count > 0) bits += count / n * std::log2(count * n / (rows[l] * columns[b]));
    }
  }
  const auto more = [](double v) { return v > 0; };
  const auto used = static_cast<double>(std::count_if(rows.begin(), rows.end(), more) +
                                        std::count_if(columns.begin(), columns.end(), more));
  return bits + (used - filled - 1) / (2 * n * std::log(2.0));
}

std::vector<float> VariableSide::Tuning(const Activations& activations) const {
  std::vector<double> sum(kTuningBins, 0);
  if (!bin_.empty()) {
    for (const auto& [w, value] : Known(activations)) sum[bin_[w]] += static_cast<double>(value);
  }
  std::vector<float> out(kTuningBins);
  for (int b = 0; b < kTuningBins; ++b) {
    out[b] =
        static_cast<float>(occupancy_[b] > 0 ? sum[b] / static_cast<double>(occupancy_[b]) : kNan);
  }
  return out;
}

std::vector<double> TuningEdges(std::vector<double> values) {
  std::erase_if(values, [](double v) { return !std::isfinite(v); });
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) {
    return values[std::lround(share * static_cast<double>(values.size() - 1))];
  };
  const double low = at(0.005), high = at(0.995);
  if (!(high > low)) return {};
  std::vector<double> out;
  for (int b = 0; b <= kTuningBins; ++b) out.push_back(low + (high - low) * b / kTuningBins);
  return out;
}

std::vector<float> ActivationLevels(const Activations& activations) {
  if (activations.size() < kLevels - 1) return {};
  std::vector<float> values;
  for (const auto& [w, value] : activations) values.push_back(value);
  std::sort(values.begin(), values.end());
  return {values[values.size() / 3], values[2 * values.size() / 3]};
}

}  // namespace saed::features
