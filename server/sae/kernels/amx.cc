// The dense encode of counts with AMX's 8-bit tiles. Like the other instruction sets' files: plain
// functions on raw pointers, nothing but the table leaves.
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>

#include "server/sae/kernels/tables.h"

namespace saed::sae {
namespace {

constexpr int kTile = 16;         // rows of a tile; latents of a tile of weights
constexpr int kTileBytes = 1024;  // 16 rows of 64 bytes
constexpr int kFit = 255;         // sums of counts whose products with weights fit 32 bits
constexpr int kRequestTiles = 0x1023, kTileData = 18;  // arch_prctl

struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};

// Tiles 0-2 and 3-5 hold the sums of two blocks of rows by digit, 6 counts, 7 weights.
void Configure(int rows) {
  TileConfig c;
  for (int t = 0; t < 8; ++t) {
    c.row_bytes[t] = 64;
    c.rows[t] = static_cast<uint8_t>(t == 7 ? kTile : rows);
  }
  // GCC 12 believes that only the first 8 bytes are read and drops the others.
  asm volatile("" ::"r"(&c) : "memory");
  _tile_loadconfig(&c);
}

// z of 16 latents for `rows` windows from their sums by digit, [3][16][16].
void Finish(const int32_t* sums, int rows, const int32_t* totals, const float* scale,
            const float* bias, int width, int64_t stride, float* z) {
  const auto mask = static_cast<__mmask16>(width >= kTile ? 0xffff : (1u << width) - 1);
  const __m512 s = _mm512_loadu_ps(scale), b = _mm512_loadu_ps(bias);
  for (int r = 0; r < rows; ++r) {
    const __m512i low = _mm512_load_si512(sums + r * kTile);
    const __m512i mid = _mm512_load_si512(sums + (kTile + r) * kTile);
    const __m512i high = _mm512_load_si512(sums + (2 * kTile + r) * kTile);
    __m512 sum;
    if (totals[r] <= kFit) {
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
    _mm512_mask_storeu_ps(z + r * stride, mask, _mm512_fmadd_ps(sum, s, b));
  }
}

void EncodeDense(const uint8_t* digits, int blocks, const uint8_t* counts, int64_t inputs, int rows,
                 const int32_t* totals, const float* scale, const float* bias, int width,
                 int64_t stride, float* z) {
  alignas(64) int32_t sums[6 * kTile * kTile];
  Configure(kTile);
  for (int j = 0; j < width; j += kTile) {
    const uint8_t* weights = digits + int64_t{j / kTile} * blocks * 3 * kTileBytes;
    int r = 0;
    for (; r + 2 * kTile <= rows; r += 2 * kTile) {
      _tile_zero(0);
      _tile_zero(1);
      _tile_zero(2);
      _tile_zero(3);
      _tile_zero(4);
      _tile_zero(5);
      const uint8_t* x = counts + r * inputs;
      const uint8_t* w = weights;
      for (int i = 0; i < blocks; ++i, x += 64, w += 3 * kTileBytes) {
        _tile_loadd(6, x, inputs);
        _tile_loadd(7, w, 64);
        _tile_dpbuud(0, 6, 7);
        _tile_loadd(7, w + kTileBytes, 64);
        _tile_dpbuud(1, 6, 7);
        _tile_loadd(7, w + 2 * kTileBytes, 64);
        _tile_dpbusd(2, 6, 7);
        _tile_loadd(6, x + kTile * inputs, inputs);
        _tile_dpbusd(5, 6, 7);
        _tile_loadd(7, w, 64);
        _tile_dpbuud(3, 6, 7);
        _tile_loadd(7, w + kTileBytes, 64);
        _tile_dpbuud(4, 6, 7);
      }
      _tile_stored(0, sums, 64);
      _tile_stored(1, sums + kTile * kTile, 64);
      _tile_stored(2, sums + 2 * kTile * kTile, 64);
      _tile_stored(3, sums + 3 * kTile * kTile, 64);
      _tile_stored(4, sums + 4 * kTile * kTile, 64);
      _tile_stored(5, sums + 5 * kTile * kTile, 64);
      for (int half = 0; half < 2; ++half) {
        const int at = r + half * kTile;
        Finish(sums + half * 3 * kTile * kTile, kTile, totals + at, scale + j, bias + j, width - j,
               stride, z + at * stride + j);
      }
    }
    for (; r < rows; r += kTile) {
      const int n = rows - r < kTile ? rows - r : kTile;
      if (n < kTile) Configure(n);
      _tile_zero(0);
      _tile_zero(1);
      _tile_zero(2);
      const uint8_t* x = counts + r * inputs;
      const uint8_t* w = weights;
      for (int i = 0; i < blocks; ++i, x += 64, w += 3 * kTileBytes) {
        _tile_loadd(6, x, inputs);
        _tile_loadd(7, w, 64);
        _tile_dpbuud(0, 6, 7);
        _tile_loadd(7, w + kTileBytes, 64);
        _tile_dpbuud(1, 6, 7);
        _tile_loadd(7, w + 2 * kTileBytes, 64);
        _tile_dpbusd(2, 6, 7);
      }
      _tile_stored(0, sums, 64);
      _tile_stored(1, sums + kTile * kTile, 64);
      _tile_stored(2, sums + 2 * kTile * kTile, 64);
      Finish(sums, n, totals + r, scale + j, bias + j, width - j, stride, z + r * stride + j);
      if (n < kTile) Configure(kTile);
    }
  }
  _tile_release();
}

// Of 16 inputs, the digit as bytes.
inline __m128i Digit(__m512i weights, int digit) {
  return _mm512_cvtepi32_epi8(_mm512_srl_epi32(weights, _mm_cvtsi32_si128(8 * digit)));
}

void PackDense(const float* rows, int64_t stride, int n, int count, const float* factor,
               uint8_t* out) {
  const int blocks = (n + 63) / 64;
  alignas(64) uint8_t bytes[3][kTile][64];
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
            _mm_store_si128(reinterpret_cast<__m128i*>(bytes[d][j - j0] + q * 16), Digit(w, d));
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

bool Available() {
  // Leaf 7 says what the processor has; not every compiler knows AMX by name.
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned kInt8Tiles = 1u << 25;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & kInt8Tiles) != 0 &&
         syscall(SYS_arch_prctl, kRequestTiles, kTileData) == 0;
}

}  // namespace

extern constinit const DenseTable kAmxTable = {Available, EncodeDense, PackDense};

}  // namespace saed::sae
