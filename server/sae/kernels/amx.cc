// The dense encode of counts with AMX's 8-bit tiles. Like the other instruction sets' files: plain
// functions on raw pointers, nothing but the table leaves.
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

#include "server/sae/kernels/digits.h"
#include "server/sae/kernels/tables.h"

namespace saed::sae {
namespace {

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
  const Panel panel(scale, bias, width);
  for (int r = 0; r < rows; ++r) {
    panel.Finish(_mm512_load_si512(sums + r * kTile), _mm512_load_si512(sums + (kTile + r) * kTile),
                 _mm512_load_si512(sums + (2 * kTile + r) * kTile), totals[r], z + r * stride);
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

void PackDense(const float* rows, int64_t stride, int n, int count, const float* factor,
               uint8_t* out) {
  PackDigits(rows, stride, n, count, factor, /*flipped=*/0, out);
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
