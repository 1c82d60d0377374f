#include "server/sae/windows.h"

#include <algorithm>
#include <cmath>

#include "server/sae/parallel.h"

namespace saed::sae {
namespace {

template <class In, class T>
void Read(const In* in, const Normaliser& norm, int S, int units, T* out) {
  if (norm.identity()) {
    for (int64_t i = 0; i < int64_t{S} * units; ++i) out[i] = static_cast<T>(in[i]);
    return;
  }
  for (int s = 0; s < S; ++s) {
    for (int n = 0; n < units; ++n) {
      const int64_t i = int64_t{s} * units + n;
      out[i] =
          (static_cast<T>(in[i]) - static_cast<T>(norm.offset[n])) / static_cast<T>(norm.scale[n]);
    }
  }
}

}  // namespace

template <class T>
void ReadWindow(const CountView& counts, const Normaliser& norm, int64_t start, int S, T* out) {
  const int64_t at = start * counts.units;
  switch (counts.dtype) {
    case DType::kU8:
      return Read(static_cast<const uint8_t*>(counts.data) + at, norm, S, counts.units, out);
    case DType::kU16:
      return Read(static_cast<const uint16_t*>(counts.data) + at, norm, S, counts.units, out);
    case DType::kF32:
      return Read(static_cast<const float*>(counts.data) + at, norm, S, counts.units, out);
  }
}

template void ReadWindow<float>(const CountView&, const Normaliser&, int64_t, int, float*);
template void ReadWindow<double>(const CountView&, const Normaliser&, int64_t, int, double*);

std::vector<double> MeanTarget(const CountView& counts, const Normaliser& normaliser, Starts starts,
                               int S) {
  constexpr int64_t kBlock = 4096;
  const int64_t d = int64_t{S} * counts.units, n = static_cast<int64_t>(starts.size());
  std::vector<std::vector<double>> sums(BlockCount(n, kBlock), std::vector<double>(d, 0.0));
  ForBlocks(n, kBlock, [&](int64_t block, int64_t begin, int64_t end) {
    std::vector<float> x(d);
    for (int64_t i = begin; i < end; ++i) {
      ReadWindow(counts, normaliser, starts[i], S, x.data());
      for (int64_t j = 0; j < d; ++j) sums[block][j] += static_cast<double>(x[j]);
    }
  });
  std::vector<double> mean(d, 0.0);
  for (const auto& s : sums) {
    for (int64_t j = 0; j < d; ++j) mean[j] += s[j];
  }
  for (double& m : mean) m /= static_cast<double>(std::max<int64_t>(1, n));
  return mean;
}

std::vector<double> GeometricMedian(const CountView& counts, const Normaliser& normaliser,
                                    Starts starts, int S) {
  constexpr int64_t kMost = 8192, kBlock = 256;
  constexpr int kRounds = 100;
  const int64_t d = int64_t{S} * counts.units, all = static_cast<int64_t>(starts.size());
  const int64_t n = std::min(kMost, all);
  std::vector<int64_t> sample(n);
  for (int64_t i = 0; i < n; ++i) sample[i] = starts[i * all / n];
  std::vector<double> median = MeanTarget(counts, normaliser, sample, S);
  for (int round = 0; round < kRounds; ++round) {
    struct Part {
      std::vector<double> sum;
      double weight = 0;
    };
    std::vector<Part> parts(BlockCount(n, kBlock));
    ForBlocks(n, kBlock, [&](int64_t block, int64_t begin, int64_t end) {
      Part& part = parts[block];
      part.sum.assign(d, 0.0);
      std::vector<float> x(d);
      for (int64_t i = begin; i < end; ++i) {
        ReadWindow(counts, normaliser, sample[i], S, x.data());
        double square = 0;
        for (int64_t j = 0; j < d; ++j) square += (x[j] - median[j]) * (x[j] - median[j]);
        // A window on the median itself has no direction to pull in.
        const double weight = 1 / std::max(std::sqrt(square), 1e-12);
        part.weight += weight;
        for (int64_t j = 0; j < d; ++j) part.sum[j] += weight * static_cast<double>(x[j]);
      }
    });
    std::vector<double> next(d, 0.0);
    double weight = 0, change = 0, size = 0;
    for (const Part& part : parts) {
      weight += part.weight;
      for (int64_t j = 0; j < d; ++j) next[j] += part.sum[j];
    }
    for (int64_t j = 0; j < d; ++j) {
      next[j] /= weight;
      change += (next[j] - median[j]) * (next[j] - median[j]);
      size += next[j] * next[j];
    }
    median = std::move(next);
    if (change <= 1e-10 * (size + 1e-30)) break;
  }
  return median;
}

}  // namespace saed::sae
