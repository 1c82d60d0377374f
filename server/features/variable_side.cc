#include "server/features/variable_side.h"

#include <Eigen/Core>
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

#include "server/features/certainty.h"
#include "server/sae/random.h"
#include "server/sae/random_bits.h"

namespace saed::features {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr uint64_t kVariableSeed = 0x5641;

// Calls use(begin, end) for every run of equal values in `order`.
template <class Value, class Use>
void ForTies(size_t size, const Value& value, const Use& use) {
  for (size_t i = 0; i < size;) {
    size_t end = i;
    while (end < size && value(end) == value(i)) ++end;
    use(i, end);
    i = end;
  }
}

// Average ranks from 1, ties alike.
template <class T>
std::vector<double> Ranks(const std::vector<T>& values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> out(values.size());
  ForTies(
      order.size(), [&](size_t i) { return values[order[i]]; },
      [&](size_t begin, size_t end) {
        for (size_t i = begin; i < end; ++i) {
          out[order[i]] = (static_cast<double>(begin + end) + 1) / 2;
        }
      });
  return out;
}

double Dot(const double* a, const double* b, int64_t count) {
  using Array = Eigen::Map<const Eigen::VectorXd>;
  return Array(a, count).dot(Array(b, count));
}

double Square(const std::vector<double>& values) {
  return Dot(values.data(), values.data(), static_cast<int64_t>(values.size()));
}

void Centre(std::vector<double>& values) {
  double mean = 0;
  for (const double v : values) mean += v;
  mean /= static_cast<double>(std::max<size_t>(1, values.size()));
  for (double& v : values) v -= mean;
}

// Orthonormal combinations of cosine and sine, both less their means; fewer where they go together.
std::vector<std::vector<double>> CircularParts(const std::vector<double>& angles) {
  constexpr double kLeast = 1e-9;  // of the windows
  std::vector<std::vector<double>> out;
  for (const double turn : {0.0, std::numbers::pi / 2}) {
    std::vector<double> part(angles.size());
    for (size_t i = 0; i < part.size(); ++i) part[i] = std::cos(angles[i] - turn);
    Centre(part);
    for (const auto& other : out) {
      const double common = Dot(part.data(), other.data(), static_cast<int64_t>(part.size()));
      for (size_t i = 0; i < part.size(); ++i) part[i] -= common * other[i];
    }
    const double square = Square(part);
    if (!(square > kLeast * static_cast<double>(part.size()))) continue;
    for (double& v : part) v /= std::sqrt(square);
    out.push_back(std::move(part));
  }
  return out;
}

// Twice each, where all are halves that fit.
std::vector<int16_t> Doubled(const std::vector<double>& halves) {
  std::vector<int16_t> out(halves.size());
  for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<int16_t>(2 * halves[i]);
  return out;
}

int64_t Dot(const int16_t* a, const int16_t* b, int64_t count) {
  int64_t sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += int32_t{a[i]} * int32_t{b[i]};
  return sum;
}

}  // namespace

Graded::Graded(const Ordered& every)
    : value(every.entries().size()), order(every.entries().size()) {
  for (size_t i = 0; i < order.size(); ++i) {
    const auto& [w, v] = every.entries()[i];
    order[i] = w;
    value[w] = v;
  }
}

// Which window's value each window gets: pieces that cover all windows, in order.
class VariableSide::Rearranged {
 public:
  struct Piece {
    int64_t to, from, length;
  };

  Rearranged(const VariableSide& side, uint64_t stream)
      : windows_(side.windows()),
        blocks_(side.blocks_),
        random_(kVariableSeed, stream),
        stream_(stream),
        given_(blocks_.size() > kBlocksToDeal ? blocks_.size() - 1 : 0),
        bits_(given_.size()) {}

  const std::vector<Piece>& Draw(int64_t draw) {
    pieces_.clear();
    if (given_.empty()) {
      const int64_t shift = 1 + static_cast<int64_t>(random_.Below(draw, windows_ - 1));
      pieces_ = {{0, shift, windows_ - shift}, {windows_ - shift, 0, shift}};
    } else {
      Deal(draw);
    }
    return pieces_;
  }

 private:
  void Deal(int64_t draw) {
    const auto count = static_cast<int64_t>(given_.size());
    std::iota(given_.begin(), given_.end(), int64_t{0});
    sae::RandomBits(kVariableSeed, stream_, (2 * draw) * count, bits_);
    for (int64_t b = count - 1; b > 0; --b) {
      std::swap(given_[b], given_[sae::BelowOf(bits_[b], b + 1)]);
    }
    sae::RandomBits(kVariableSeed, stream_, (2 * draw + 1) * count, bits_);
    for (int64_t b = 0; b < count; ++b) {
      const int64_t first = blocks_[given_[b]], many = blocks_[given_[b] + 1] - first;
      auto at = static_cast<int64_t>(sae::BelowOf(bits_[b], many));
      for (int64_t to = blocks_[b]; to < blocks_[b + 1];) {
        const int64_t length = std::min(many - at, blocks_[b + 1] - to);
        pieces_.push_back({to, first + at, length});
        to += length;
        at = 0;
      }
    }
  }

  int64_t windows_;
  const std::vector<int64_t>& blocks_;
  sae::CounterRandom random_;
  uint64_t stream_;
  std::vector<int64_t> given_;
  std::vector<uint64_t> bits_;
  std::vector<Piece> pieces_;
};

VariableSide::VariableSide(const Variable& variable, const std::vector<double>& edges,
                           const std::vector<int64_t>& blocks)
    : known_(variable.values.size(), -1), circular_(variable.circular), occupancy_(kTuningBins, 0) {
  std::vector<double> there;
  for (size_t w = 0; w < known_.size(); ++w) {
    if (!std::isfinite(variable.values[w])) continue;
    known_[w] = static_cast<int64_t>(there.size());
    there.push_back(variable.values[w]);
  }
  windows_ = static_cast<int64_t>(there.size());
  if (variable.circular) {
    parts_ = CircularParts(there);
    part_square_ = 1;
  } else {
    parts_ = {Ranks(there)};
    for (double& r : parts_[0]) {
      r -= (static_cast<double>(windows_) + 1) / 2;
      part_square_ += r * r;
    }
    if (windows_ <= INT16_MAX) doubled_ = Doubled(parts_[0]);
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

RankedCode VariableSide::Rank(const Activations& code) const {
  RankedCode out;
  std::vector<float> values;
  for (const auto& [w, value] : code) {
    if (known_[w] < 0) continue;
    out.known.emplace_back(known_[w], value);
    values.push_back(value);
  }
  const auto silent = static_cast<double>(windows_ - std::ssize(out.known));
  out.deviation = Ranks(values);
  // A silent window's rank is (silent + 1)/2, the active ones follow.
  for (double& d : out.deviation) {
    d += silent - (silent + 1) / 2;
    out.total += d;
    out.square += d * d;
  }
  out.square -= windows_ > 0 ? out.total * out.total / static_cast<double>(windows_) : 0;
  return out;
}

double RankedCode::SumWith(const std::vector<double>& part) const {
  double sum = 0;
  for (size_t e = 0; e < known.size(); ++e) sum += deviation[e] * part[known[e].first];
  return sum;
}

Ranked VariableSide::Rank(const Graded& scores) const {
  Ranked out;
  out.value.resize(windows_);
  out.deviation.resize(windows_);
  std::vector<int64_t> order;
  order.reserve(windows_);
  for (const int32_t w : scores.order) {
    if (known_[w] < 0) continue;
    order.push_back(known_[w]);
    out.value[known_[w]] = scores.value[w];
  }
  const double mean = (static_cast<double>(windows_) + 1) / 2;
  ForTies(
      order.size(), [&](size_t i) { return out.value[order[i]]; },
      [&](size_t begin, size_t end) {
        const double rank = (static_cast<double>(begin + end) + 1) / 2 - mean;
        for (size_t i = begin; i < end; ++i) out.deviation[order[i]] = rank;
      });
  out.square = Square(out.deviation);
  for (int64_t q = 1; q < kLevels && windows_ >= kLevels; ++q) {
    out.quartiles.push_back(out.value[order[q * windows_ / kLevels]]);
  }
  return out;
}

std::optional<double> VariableSide::Correlation(const std::vector<double>& sums,
                                                double square) const {
  const double scale = square * part_square_;
  if (!(scale > 0) || sums.empty()) return std::nullopt;
  if (!circular_) return sums[0] / std::sqrt(scale);
  double size = 0;
  for (const double s : sums) size += s * s;
  return std::sqrt(size / scale);
}

std::optional<double> VariableSide::Spearman(const RankedCode& code) const {
  std::vector<double> sums;
  for (const auto& part : parts_) sums.push_back(code.SumWith(part));
  return Correlation(sums, code.square);
}

std::optional<double> VariableSide::Spearman(const Ranked& score) const {
  std::vector<double> sums;
  for (const auto& part : parts_) {
    sums.push_back(Dot(score.deviation.data(), part.data(), windows_));
  }
  return Correlation(sums, score.square);
}

// sums(pieces, part): of deviation times what the pieces give of the part.
template <class Sums>
std::optional<double> VariableSide::Exceeding(double seen, uint64_t stream, int draws,
                                              const Sums& sums) const {
  const double limit = seen * seen * (1 - 1e-12);
  Rearranged rearranged(*this, stream);
  int exceedances = 0;
  for (int64_t draw = 0; draw < draws; ++draw) {
    const auto& pieces = rearranged.Draw(draw);
    double size = 0;
    for (size_t p = 0; p < parts_.size(); ++p) {
      const double sum = sums(pieces, p);
      size += sum * sum;
    }
    exceedances += size >= limit;
    if (exceedances == kEnoughExceedances && draw + 1 < draws) {
      return static_cast<double>(exceedances) / static_cast<double>(draw + 1);
    }
  }
  return (1.0 + exceedances) / (1.0 + draws);
}

std::optional<double> VariableSide::PValue(const RankedCode& code, uint64_t stream,
                                           int draws) const {
  if (!(code.square * part_square_ > 0) || parts_.empty() || windows() < 2) return std::nullopt;
  double seen = 0;
  std::vector<std::vector<double>> before;  // Σ of windows before each, for the mean of a deal
  for (const auto& part : parts_) {
    seen = std::hypot(seen, code.SumWith(part));
    before.emplace_back(part.size() + 1, 0);
    std::partial_sum(part.begin(), part.end(), before.back().begin() + 1);
  }
  return Exceeding(seen, stream, draws, [&](const auto& pieces, size_t p) {
    double sum = 0, all = 0;
    size_t e = 0;
    for (const auto& piece : pieces) {
      all += before[p][piece.from + piece.length] - before[p][piece.from];
      for (; e < code.known.size() && code.known[e].first < piece.to + piece.length; ++e) {
        sum += code.deviation[e] * parts_[p][piece.from + code.known[e].first - piece.to];
      }
    }
    return sum - code.total * all / static_cast<double>(windows());
  });
}

std::optional<double> VariableSide::PValue(const Ranked& score, uint64_t stream, int draws) const {
  if (!(score.square * part_square_ > 0) || parts_.empty() || windows() < 2) return std::nullopt;
  double seen = 0;
  for (const auto& part : parts_) {
    seen = std::hypot(seen, Dot(score.deviation.data(), part.data(), windows_));
  }
  if (!doubled_.empty()) {
    const std::vector<int16_t> deviation = Doubled(score.deviation);
    return Exceeding(seen, stream, draws, [&](const auto& pieces, size_t) {
      int64_t sum = 0;
      for (const auto& piece : pieces) {
        sum += Dot(deviation.data() + piece.to, doubled_.data() + piece.from, piece.length);
      }
      return static_cast<double>(sum) / 4;
    });
  }
  return Exceeding(seen, stream, draws, [&](const auto& pieces, size_t p) {
    double sum = 0;
    for (const auto& piece : pieces) {
      sum += Dot(score.deviation.data() + piece.to, parts_[p].data() + piece.from, piece.length);
    }
    return sum;
  });
}

std::optional<double> VariableSide::Information(const RankedCode& code,
                                                const std::vector<float>& limits) const {
  if (bin_.empty()) return std::nullopt;
  std::vector<double> table(size_t{kLevels} * kTuningBins, 0);
  for (int b = 0; b < kTuningBins; ++b) table[b] = static_cast<double>(occupancy_[b]);
  for (const auto& [w, value] : code.known) {
    int level = 1;
    for (float limit : limits) level += value > limit;
    table[bin_[w]] -= 1;
    table[level * kTuningBins + bin_[w]] += 1;
  }
  return TableInformation(table, kLevels);
}

std::optional<double> VariableSide::Information(const Ranked& score,
                                                const std::vector<float>& quartiles) const {
  if (bin_.empty() || quartiles.empty()) return std::nullopt;
  std::vector<double> table(size_t{kLevels} * kTuningBins, 0);
  for (int64_t w = 0; w < windows_; ++w) {
    int level = 0;
    for (float limit : quartiles) level += score.value[w] >= limit;
    table[level * kTuningBins + bin_[w]] += 1;
  }
  return TableInformation(table, kLevels);
}

std::vector<float> VariableSide::Tuning(const RankedCode& code) const {
  std::vector<double> sum(kTuningBins, 0);
  if (!bin_.empty()) {
    for (const auto& [w, value] : code.known) sum[bin_[w]] += static_cast<double>(value);
  }
  std::vector<float> out(kTuningBins);
  for (int b = 0; b < kTuningBins; ++b) {
    out[b] =
        static_cast<float>(occupancy_[b] > 0 ? sum[b] / static_cast<double>(occupancy_[b]) : kNan);
  }
  return out;
}

std::vector<float> VariableSide::Tuning(const Ranked& score) const {
  std::vector<double> sum(kTuningBins, 0);
  for (size_t w = 0; w < bin_.size(); ++w) sum[bin_[w]] += static_cast<double>(score.value[w]);
  std::vector<float> out(kTuningBins);
  for (int b = 0; b < kTuningBins; ++b) {
    out[b] =
        static_cast<float>(occupancy_[b] > 0 ? sum[b] / static_cast<double>(occupancy_[b]) : kNan);
  }
  return out;
}

std::vector<double> TuningEdges(const Variable& variable) {
  double low = -std::numbers::pi, high = std::numbers::pi;
  std::vector<double> values = variable.values;
  std::erase_if(values, [](double v) { return !std::isfinite(v); });
  if (values.empty()) return {};
  if (!variable.circular) {
    std::sort(values.begin(), values.end());
    const auto at = [&](double share) {
      return values[std::lround(share * static_cast<double>(values.size() - 1))];
    };
    low = at(0.005);
    high = at(0.995);
  }
  // Neither from numbers that are no measurements, nor where their difference overflows.
  if (!(high > low) || !std::isfinite(high - low)) return {};
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

double TableInformation(const std::vector<double>& table, int levels) {
  const size_t bins = table.size() / levels;
  std::vector<double> rows(levels, 0), columns(bins, 0);
  double n = 0, filled = 0, bits = 0;
  for (size_t i = 0; i < table.size(); ++i) {
    rows[i / bins] += table[i];
    columns[i % bins] += table[i];
    n += table[i];
    filled += table[i] > 0;
  }
  if (n == 0) return 0;
  for (size_t i = 0; i < table.size(); ++i) {
    if (table[i] == 0) continue;
    bits += table[i] / n * std::log2(table[i] * n / (rows[i / bins] * columns[i % bins]));
  }
  const auto more = [](double v) { return v > 0; };
  const auto used = static_cast<double>(std::count_if(rows.begin(), rows.end(), more) +
                                        std::count_if(columns.begin(), columns.end(), more));
  return bits + (used - filled - 1) / (2 * n * std::log(2.0));
}

}  // namespace saed::features
