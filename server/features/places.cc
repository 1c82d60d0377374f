#include "server/features/places.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

#include "server/features/expression.h"
#include "server/features/movement.h"

namespace saed::features {
namespace {

constexpr float kNone = std::numeric_limits<float>::quiet_NaN();

std::vector<double> Edges(std::vector<double> values, int bins) {
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) {
    return values[std::lround(share * static_cast<double>(values.size() - 1))];
  };
  const double low = at(0.005), high = at(0.995);
  // Neither from numbers that are no measurements, nor where their difference overflows.
  if (!(high > low) || !std::isfinite(high - low)) return {};
  std::vector<double> out;
  for (int b = 0; b <= bins; ++b) out.push_back(low + (high - low) * b / bins);
  return out;
}

int64_t BinOf(const std::vector<double>& edges, double value) {
  const auto bins = static_cast<double>(edges.size()) - 1;
  const double width = (edges.back() - edges.front()) / bins;
  return static_cast<int64_t>(
      std::clamp(std::floor((value - edges.front()) / width), 0.0, bins - 1));
}

// Values of a channel in the last bins of the windows `starts`.
std::vector<double> InWindows(const recordings::Series& series, size_t channel,
                              const recordings::ViewData& view,
                              const std::vector<int64_t>& starts) {
  const std::vector<double> bins = OnBins(series, channel, view);
  std::vector<double> out;
  out.reserve(starts.size());
  for (const int64_t start : starts) out.push_back(bins[start + view.window - 1]);
  return out;
}

}  // namespace

PlaceMaps::PlaceMaps(const recordings::Recording& recording, const recordings::ViewData& view,
                     const std::vector<int64_t>& starts, int64_t train, bool in_sample) {
  const auto windows = static_cast<int64_t>(starts.size());
  for (const recordings::Series& s : recording.series) {
    if (s.channels.size() != 2 || !IsPosition(s) || size() == kMaxPlaces) continue;
    const auto x = InWindows(s, 0, view, starts), y = InWindows(s, 1, view, starts);
    const auto there = [&](int64_t w) { return std::isfinite(x[w]) && std::isfinite(y[w]); };
    std::vector<double> train_x, train_y;
    for (int64_t w = 0; w < train; ++w) {
      if (!there(w)) continue;
      train_x.push_back(x[w]);
      train_y.push_back(y[w]);
    }
    const auto bins =
        static_cast<int>(std::min(std::sqrt(static_cast<double>(train_x.size()) / kWindowsPerPlace),
                                  static_cast<double>(kMostPlaceBins)));
    if (bins < kFewestPlaceBins) continue;
    PlaceSummary summary{s.name, Edges(train_x, bins), Edges(train_y, bins), {}, {}};
    if (summary.x_edges.empty() || summary.y_edges.empty()) continue;
    const auto side = [&](int64_t begin, int64_t end) {
      Side out;
      out.occupancy.assign(static_cast<size_t>(bins) * bins, 0);
      for (int64_t w = begin; w < end; ++w) {
        const int64_t at =
            there(w) ? BinOf(summary.y_edges, y[w]) * bins + BinOf(summary.x_edges, x[w]) : -1;
        out.bin.push_back(static_cast<int32_t>(at));
        if (at >= 0) ++out.occupancy[at];
      }
      return out;
    };
    train_.push_back(side(0, train));
    test_.push_back(in_sample ? train_.back() : side(train, windows));
    summary.train_occupancy = train_.back().occupancy;
    summary.test_occupancy = test_.back().occupancy;
    for (Side* both : {&train_.back(), &test_.back()}) {
      for (int32_t& bin : both->bin) {
        if (bin >= 0 && both->occupancy[bin] < kLeastInPlace) bin = -1;
        both->windows += bin >= 0;
      }
      for (int64_t& n : both->occupancy) n = n < kLeastInPlace ? 0 : n;
    }
    summaries_.push_back(std::move(summary));
  }
}

std::vector<float> PlaceMaps::Map(const Side& side, const Activations& scores) {
  std::vector<double> sum(side.occupancy.size(), 0);
  for (const auto& [w, value] : scores) {
    if (side.bin[w] >= 0) sum[side.bin[w]] += static_cast<double>(value);
  }
  std::vector<float> out;
  for (size_t b = 0; b < sum.size(); ++b) {
    const auto n = static_cast<double>(side.occupancy[b]);
    out.push_back(n > 0 ? static_cast<float>(sum[b] / n) : kNone);
  }
  return out;
}

std::optional<double> PlaceMaps::Spatial(const Side& side, const Activations& code) {
  std::vector<double> sum(side.occupancy.size(), 0);
  double total = 0;
  for (const auto& [w, value] : code) {
    if (side.bin[w] < 0) continue;
    sum[side.bin[w]] += static_cast<double>(value);
    total += static_cast<double>(value);
  }
  if (!(total > 0)) return std::nullopt;
  const auto n = static_cast<double>(side.windows);
  double bits = 0;
  for (size_t b = 0; b < sum.size(); ++b) {
    if (!(sum[b] > 0)) continue;
    // p_i·λ_i/λ = sum ÷ total; λ_i/λ is that over p_i.
    const double share = sum[b] / total;
    bits += share * std::log2(share * n / static_cast<double>(side.occupancy[b]));
  }
  return std::max(0.0, bits);
}

std::optional<double> PlaceMaps::Information(const Side& side, const Activations& scores,
                                             const std::vector<float>& limits, bool graded) {
  if (side.windows == 0 || (graded && limits.empty())) return std::nullopt;
  const size_t places = side.occupancy.size();
  std::vector<double> table(places * kLevels, 0);
  for (size_t b = 0; b < places && !graded; ++b) table[b] = static_cast<double>(side.occupancy[b]);
  for (const auto& [w, value] : scores) {
    if (side.bin[w] < 0) continue;
    size_t level = graded ? 0 : 1;
    for (const float limit : limits) level += graded ? value >= limit : value > limit;
    if (!graded) table[side.bin[w]] -= 1;
    table[level * places + side.bin[w]] += 1;
  }
  return TableInformation(table, kLevels);
}

std::vector<float> PlaceMaps::Quartiles(const Side& side, const Activations& every) {
  std::vector<float> values;
  for (const auto& [w, value] : every) {
    if (side.bin[w] >= 0) values.push_back(value);
  }
  std::vector<float> out;
  const size_t n = values.size();
  for (size_t q = 1; q < kLevels && n >= kLevels; ++q) {
    const auto at = values.begin() + static_cast<int64_t>(q * n / kLevels);
    std::nth_element(values.begin(), at, values.end());
    out.push_back(*at);
  }
  return out;
}

std::vector<PlaceScores> PlaceMaps::ByCode(const Activations& train,
                                           const Activations& test) const {
  std::vector<PlaceScores> out(size());
  const std::vector<float> levels = ActivationLevels(train);
  for (size_t m = 0; m < size(); ++m) {
    PlaceScores& s = out[m];
    s.train_information = Information(train_[m], train, levels, false);
    s.test_information = Information(test_[m], test, levels, false);
    s.code_train_spatial = Spatial(train_[m], train);
    s.code_test_spatial = Spatial(test_[m], test);
    s.train_map = Map(train_[m], train);
    s.test_map = Map(test_[m], test);
  }
  return out;
}

void PlaceMaps::Judge(sae::EvidenceKind kind, const Activations& train,
                      std::vector<PlaceScores>& out) const {
  for (size_t m = 0; m < size(); ++m) {
    PlaceScores& s = out[m];
    std::vector<float> quartiles = Quartiles(train_[m], train);
    const auto bits = Information(train_[m], train, quartiles, true);
    if (!bits || (s.train_information && *bits <= *s.train_information)) continue;
    s.kind = kind;
    s.train_information = bits;
    s.train_map = Map(train_[m], train);
    s.quartiles = std::move(quartiles);
  }
}

void PlaceMaps::Certify(sae::EvidenceKind kind, const Activations& test,
                        std::vector<PlaceScores>& out) const {
  for (size_t m = 0; m < size(); ++m) {
    PlaceScores& s = out[m];
    if (s.kind != kind) continue;
    s.test_information = Information(test_[m], test, s.quartiles, true);
    s.test_map = Map(test_[m], test);
  }
}

}  // namespace saed::features
