// What the dense encodes of counts share: weights as three bytes each, and z from sums by byte.
// Included by amx.cc and vnni.cc; like body.h all of it has internal linkage.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "server/sae/kernels/table.h"

namespace saed::sae {
namespace {

constexpr int kTile = 16;         // latents that lie together, and rows of a tile
constexpr int kTileBytes = 1024;  // 16 rows of 64 bytes
constexpr int kFit = 255;         // sums of counts whose products with weights fit 32 bits

// z of up to 16 latents from their sums by digit.
class Panel {
 public:
  Panel(const float* scale, const float* bias, int width)
      : mask_(static_cast<__mmask16>(width >= kTile ? 0xffff : (1u << width) - 1)),
        scale_(_mm512_loadu_ps(scale)),
        bias_(_mm512_loadu_ps(bias)) {}

  // low and mid: sums of digits from 0 to 255, which may take all 32 bits.
  void Finish(__m512i low, __m512i mid, __m512i high, int32_t total, float* z) const {
    __m512 sum;
    if (total <= kFit) {
      // Modulo 2³², and the true sum fits.
      sum = _mm512_cvtepi32_ps(_mm512_add_epi32(
          low, _mm512_add_epi32(_mm512_slli_epi32(mid, 8), _mm512_slli_epi32(high, 16))));
    } else {
      // Exact in double; one rounding.
      const auto half = [](__m256i l, __m256i m, __m256i h) {
        const __m512d part =
            _mm512_fmadd_pd(_mm512_cvtepu32_pd(m), _mm512_set1_pd(256), _mm512_cvtepu32_pd(l));
        return _mm512_cvtpd_ps(_mm512_fmadd_pd(_mm512_cvtepi32_pd(h), _mm512_set1_pd(65536), part));
      };
      const __m256 first = half(_mm512_castsi512_si256(low), _mm512_castsi512_si256(mid),
                                _mm512_castsi512_si256(high));
      const __m256 second =
          half(_mm512_extracti64x4_epi64(low, 1), _mm512_extracti64x4_epi64(mid, 1),
               _mm512_extracti64x4_epi64(high, 1));
      sum = _mm512_insertf32x8(_mm512_castps256_ps512(first), second, 1);
    }
    _mm512_mask_storeu_ps(z, mask_, _mm512_fmadd_ps(sum, scale_, bias_));
  }

 private:
  __mmask16 mask_;
  __m512 scale_, bias_;
};

// Of the first inputs of 16, the digit as bytes.
inline __m128i Digit(__m512i weights, int digit) {
  return _mm512_cvtepi32_epi8(_mm512_srl_epi32(weights, _mm_cvtsi32_si128(8 * digit)));
}

// See KernelTable::pack_dense. `flipped` is added to the two lower digits of every input that is
// there, modulo 256; what is beyond is 0.
void PackDigits(const float* rows, int64_t stride, int n, int count, const float* factor,
                uint8_t flipped, uint8_t* out) {
  const int blocks = (n + 63) / 64;
  alignas(64) uint8_t bytes[3][kTile][64];
  const __m128i flip = _mm_set1_epi8(static_cast<char>(flipped));
  const __m512i latents =
      _mm512_mullo_epi32(_mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
                         _mm512_set1_epi32(64));
  for (int j0 = 0; j0 < count; j0 += kTile) {
    for (int block = 0; block < blocks; ++block) {
      std::memset(bytes, 0, sizeof bytes);
      for (int j = j0; j < count && j < j0 + kTile; ++j) {
        const float* row = rows + j * stride + block * 64;
        const __m512 f = _mm512_set1_ps(factor[j]);
        for (int q = 0; q < 4; ++q) {
          const int left = n - block * 64 - q * 16;
          if (left <= 0) break;
          const auto mask = static_cast<__mmask16>(left >= 16 ? 0xffff : (1u << left) - 1);
          const __m512i w = _mm512_min_epi32(
              _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_maskz_loadu_ps(mask, row + q * 16), f)),
              _mm512_set1_epi32(kLargestWeight));
          for (int d = 0; d < 3; ++d) {
            const __m128i digit = Digit(w, d);
            _mm_store_si128(reinterpret_cast<__m128i*>(bytes[d][j - j0] + q * 16),
                            d == 2 ? digit : _mm_maskz_mov_epi8(mask, _mm_add_epi8(digit, flip)));
          }
        }
      }
      uint8_t* to = out + (int64_t{j0 / kTile} * blocks + block) * 3 * kTileBytes;
      for (int d = 0; d < 3; ++d) {
        for (int q = 0; q < kTile; ++q) {
          // Four inputs of every latent side by side.
          _mm512_storeu_si512(to + d * kTileBytes + q * 64,
                              _mm512_i32gather_epi32(latents, bytes[d][0] + q * 4, 1));
        }
      }
    }
  }
}

}  // namespace
}  // namespace saed::sae
