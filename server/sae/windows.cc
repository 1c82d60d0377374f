#include "server/sae/windows.h"

#include <algorithm>

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

}  // namespace saed::sae
