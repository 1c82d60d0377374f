// The dense encode of counts with AVX-512's products of bytes (VNNI). They take counts without and
// weights with a sign, so that the two lower digits are stored less 128, and 128 times the window's
// counts are added in the end. Plain functions, like the other instruction sets' files.
#include <immintrin.h>

#include <cstdint>

#include "server/sae/kernels/digits.h"
#include "server/sae/kernels/tables.h"

namespace saed::sae {
namespace {

// `count` windows and 16 latents.
template <int count>
inline void Rows(const uint8_t* weights, int quads, const uint8_t* x, int64_t inputs,
                 const int32_t* totals, const Panel& panel, int64_t stride, float* z) {
  __m512i low[count], mid[count], high[count];
  // Unrolled, so that the sums stay in registers.
#pragma GCC unroll 8
  for (int r = 0; r < count; ++r) {
    // What the stored digits lack.
    low[r] = mid[r] = _mm512_set1_epi32(static_cast<int32_t>(128u * totals[r]));
    high[r] = _mm512_setzero_si512();
  }
  for (int q = 0; q < quads; ++q) {
    const uint8_t* w = weights + int64_t{q / kTile} * 3 * kTileBytes + q % kTile * 64;
    const __m512i w_low = _mm512_loadu_si512(w);
    const __m512i w_mid = _mm512_loadu_si512(w + kTileBytes);
    const __m512i w_high = _mm512_loadu_si512(w + 2 * kTileBytes);
#pragma GCC unroll 8
    for (int r = 0; r < count; ++r) {
      // From memory, without the way through a general register that takes the products' port.
      const __m512i c = _mm512_broadcastd_epi32(_mm_loadu_si32(x + r * inputs + 4 * q));
      low[r] = _mm512_dpbusd_epi32(low[r], c, w_low);
      mid[r] = _mm512_dpbusd_epi32(mid[r], c, w_mid);
      high[r] = _mm512_dpbusd_epi32(high[r], c, w_high);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < count; ++r) {
    panel.Finish(low[r], mid[r], high[r], totals[r], z + r * stride);
  }
}

void EncodeDense(const uint8_t* digits, int blocks, const uint8_t* counts, int64_t inputs, int rows,
                 const int32_t* totals, const float* scale, const float* bias, int width,
                 int64_t stride, float* z) {
  const int quads = static_cast<int>((inputs + 3) / 4);
  for (int j = 0; j < width; j += kTile) {
    const uint8_t* weights = digits + int64_t{j / kTile} * blocks * 3 * kTileBytes;
    const Panel panel(scale + j, bias + j, width - j);
    int r = 0;
    for (; r + 8 <= rows; r += 8) {
      Rows<8>(weights, quads, counts + r * inputs, inputs, totals + r, panel, stride,
              z + r * stride + j);
    }
    for (; r < rows; ++r) {
      Rows<1>(weights, quads, counts + r * inputs, inputs, totals + r, panel, stride,
              z + r * stride + j);
    }
  }
}

void PackDense(const float* rows, int64_t stride, int n, int count, const float* factor,
               uint8_t* out) {
  PackDigits(rows, stride, n, count, factor, /*flipped=*/128, out);
}

bool Available() { return __builtin_cpu_supports("avx512vnni") != 0; }

}  // namespace

extern constinit const DenseTable kVnniTable = {Available, EncodeDense, PackDense};

}  // namespace saed::sae
