#include "server/sae/spectrum.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>
#include <unsupported/Eigen/FFT>

#include "server/sae/parallel.h"
#include "server/sae/windows.h"

namespace saed::sae {
namespace {

constexpr int kShortest = 4;  // bins
constexpr int64_t kGroup = 32;

using Power = std::vector<std::vector<double>>;  // [units][frequencies]

// Positions of the windows that begin a segment.
std::vector<int64_t> Segments(Starts starts, int n) {
  std::vector<int64_t> out;
  const int hop = n - n / 2;
  const auto windows = static_cast<int64_t>(starts.size());
  for (int64_t begin = 0; begin < windows;) {
    int64_t end = begin + 1;
    while (end < windows && starts[end] == starts[end - 1] + 1) ++end;
    for (int64_t w = begin; w + n <= end; w += hop) out.push_back(w);
    begin = end;
  }
  if (static_cast<int64_t>(out.size()) > kMostSegments) {
    std::vector<int64_t> some;
    const auto all = static_cast<int64_t>(out.size());
    for (int64_t i = 0; i < kMostSegments; ++i) some.push_back(out[i * all / kMostSegments]);
    out = std::move(some);
  }
  return out;
}

}  // namespace

std::vector<double> SegmentPower(const std::vector<double>& x, double rate) {
  const size_t n = x.size();
  double mean = 0, weight = 0;
  for (double v : x) mean += v / static_cast<double>(n);
  std::vector<std::complex<double>> in(n), out;
  for (size_t i = 0; i < n; ++i) {
    const double hann = 0.5 - 0.5 * std::cos(2 * std::numbers::pi * static_cast<double>(i) /
                                             static_cast<double>(n));
    in[i] = (x[i] - mean) * hann;
    weight += hann * hann;
  }
  Eigen::FFT<double> fft;
  fft.fwd(out, in);
  std::vector<double> power(n / 2 + 1);
  for (size_t f = 0; f < power.size(); ++f) {
    const bool twice = f > 0 && !(n % 2 == 0 && f == n / 2);
    power[f] = (twice ? 2 : 1) * std::norm(out[f]) / (rate * weight);
  }
  return power;
}

absl::StatusOr<Spectra> SpectralFidelity(const Encoder& encoder, const CountView& counts,
                                         const CountView& target, Starts starts, double bin_width,
                                         const std::function<bool()>& keep_going) {
  const Model& model = encoder.model();
  const int units = model.output_units(), d = model.outputs(), lag0 = d - units;
  Spectra out;
  out.bin_width = bin_width;
  out.segment_bins =
      std::max(kShortest, static_cast<int>(std::lround(kSegmentSeconds / bin_width)));
  const int n = out.segment_bins, frequencies = n / 2 + 1;
  const std::vector<int64_t> segments = Segments(starts, n);
  out.segments = static_cast<int64_t>(segments.size());
  Power sum_target(units, std::vector<double>(frequencies, 0)), sum_output = sum_target;
  for (int64_t g = 0; g < out.segments; g += kGroup) {
    if (!keep_going()) return absl::CancelledError("stopped while comparing spectra");
    const int64_t group = std::min(kGroup, out.segments - g);
    std::vector<std::pair<Power, Power>> parts(group);
    ForBlocks(group, 1, [&](int64_t i, int64_t, int64_t) {
      const Starts run = starts.subspan(segments[g + i], n);
      Codes<float> codes;
      encoder.Encode(counts, run, DefaultRule(model.spec), codes);
      std::vector<float> prediction(static_cast<size_t>(n) * d), y(d);
      encoder.Decode(codes, prediction.data());
      std::vector<std::vector<double>> was(units, std::vector<double>(n)), is = was;
      for (int t = 0; t < n; ++t) {
        ReadWindow(target, model.output_normaliser(), run[t], model.S, y.data());
        for (int u = 0; u < units; ++u) {
          was[u][t] = static_cast<double>(y[lag0 + u]);
          is[u][t] = static_cast<double>(prediction[static_cast<size_t>(t) * d + lag0 + u]);
        }
      }
      for (int u = 0; u < units; ++u) {
        parts[i].first.push_back(SegmentPower(was[u], 1 / bin_width));
        parts[i].second.push_back(SegmentPower(is[u], 1 / bin_width));
      }
    });
    for (const auto& [was, is] : parts) {
      for (int u = 0; u < units; ++u) {
        for (int f = 0; f < frequencies; ++f) {
          sum_target[u][f] += was[u][f];
          sum_output[u][f] += is[u][f];
        }
      }
    }
  }
  out.target.assign(frequencies, 0);
  out.output.assign(frequencies, 0);
  const double scale = 1 / (static_cast<double>(std::max<int64_t>(out.segments, 1)) * units);
  for (int u = 0; u < units; ++u) {
    double error = 0, whole = 0;
    for (int f = 0; f < frequencies; ++f) {
      error += std::abs(sum_output[u][f] - sum_target[u][f]);
      whole += sum_target[u][f];
      out.target[f] += sum_target[u][f] * scale;
      out.output[f] += sum_output[u][f] * scale;
    }
    out.relative_error.push_back(whole > 0 ? std::optional(error / whole) : std::nullopt);
  }
  return out;
}

}  // namespace saed::sae
