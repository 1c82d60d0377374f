#include "server/sae/windows.h"

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

}  // namespace saed::sae
