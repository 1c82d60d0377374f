// Windows through the decoder: by themselves, or together where they share most of its rows. Both
// add a window's entries in the same order, so both have the same bits.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "server/sae/architectures/architecture.h"
#include "server/sae/kernels/dispatch.h"
#include "server/sae/parameters.h"

namespace saed::sae {

// Decoder rows that take about a quarter of the second cache.
inline int64_t HeldLatents(int64_t outputs) {
  return std::max<int64_t>(1, (int64_t{1} << 17) / outputs);
}

template <class T>
void DecodeRow(const Parameters<T>& p, const Pass<T>& pass, int64_t b, const T* bias, T* out) {
  const int64_t at = pass.begin[b];
  Kernels<T>().weighted_rows(bias, p.decoder.data(), p.outputs, pass.latent.data() + at,
                             pass.value.data() + at, static_cast<int>(pass.end[b] - at), p.outputs,
                             out);
}

// ∂L/∂f of entries [begin, end) of one window: dot products of the output slope with the used
// decoder rows.
template <class T>
void CodeSlopes(const Parameters<T>& p, int64_t b, int64_t begin, int64_t end, Pass<T>& pass) {
  Kernels<T>().dots(pass.output_slope.data() + b * p.outputs, p.decoder.data(), p.outputs,
                    pass.latent.data() + begin, static_cast<int>(end - begin), p.outputs,
                    pass.slope.data() + begin);
}
template <class T>
void CodeSlopes(const Parameters<T>& p, int64_t b, Pass<T>& pass) {
  CodeSlopes(p, b, pass.begin[b], pass.end[b], pass);
}

// Whether rows [first, last) had better go through the decoder together, a few of its rows at a
// time while they are in the second cache: where all of it does not fit and each row is used often,
// as in the first steps of architectures with a penalty.
template <class T>
bool SharesRows(const Parameters<T>& p, const Pass<T>& pass, int64_t first, int64_t last) {
  constexpr int64_t kOften = 4;
  int64_t entries = 0;
  for (int64_t b = first; b < last; ++b) entries += pass.end[b] - pass.begin[b];
  return p.features > HeldLatents(p.outputs) && entries > kOften * p.features;
}

// fn(b, begin, end) with the entries of rows [first, last) that belong to some latents, then with
// those of the next ones, so that each row's entries come in their order.
template <class T, class Fn>
void ForSharedRows(const Parameters<T>& p, const Pass<T>& pass, int64_t first, int64_t last,
                   const Fn& fn) {
  const int64_t held = HeldLatents(p.outputs);
  std::vector<int64_t> at(pass.begin.begin() + first, pass.begin.begin() + last);
  for (int64_t latent = held; latent < p.features + held; latent += held) {
    for (int64_t b = first; b < last; ++b) {
      const int64_t begin = at[b - first];
      const auto end =
          std::lower_bound(pass.latent.begin() + begin, pass.latent.begin() + pass.end[b], latent);
      at[b - first] = end - pass.latent.begin();
      if (at[b - first] > begin) fn(b, begin, at[b - first]);
    }
  }
}

template <class T>
void DecodeSharedRows(const Parameters<T>& p, const Pass<T>& pass, int64_t first, int64_t last,
                      T* out) {
  for (int64_t b = first; b < last; ++b) {
    std::copy(p.decoder_bias.begin(), p.decoder_bias.end(), out + b * p.outputs);
  }
  ForSharedRows(p, pass, first, last, [&](int64_t b, int64_t begin, int64_t end) {
    T* row = out + b * p.outputs;
    Kernels<T>().weighted_rows(row, p.decoder.data(), p.outputs, pass.latent.data() + begin,
                               pass.value.data() + begin, static_cast<int>(end - begin), p.outputs,
                               row);
  });
}

}  // namespace saed::sae
