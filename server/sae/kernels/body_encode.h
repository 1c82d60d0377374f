// The encoders and the packing of their weights. Part of body.h, which says how these files are
// compiled.
#pragma once

#include "server/sae/kernels/table.h"

namespace saed::sae {
namespace {

// Eight rows of eight floats, transposed.
inline void Transpose8(__m256* r) {
  __m256 t[8], s[8];
  for (int i = 0; i < 8; i += 2) {
    t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
  }
  for (int i = 0; i < 8; i += 4) {
    s[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
    s[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xEE);
    s[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
    s[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xEE);
  }
  for (int i = 0; i < 4; ++i) {
    r[i] = _mm256_permute2f128_ps(s[i], s[i + 4], 0x20);
    r[i + 4] = _mm256_permute2f128_ps(s[i], s[i + 4], 0x31);
  }
}

struct PanelSum {
  I a, b;
};
inline PanelSum Added(PanelSum sum, const int32_t* weights, const uint16_t* offsets, int begin,
                      int end) {
  for (int e = begin; e < end; e += 4) {
    for (int u = 0; u < 4; ++u) {
      const int32_t* w = weights + offsets[e + u];
      sum.a = Add(sum.a, LoadI(w));
      sum.b = Add(sum.b, LoadI(w + kLanes));
    }
  }
  return sum;
}
inline PanelSum Multiplied(PanelSum sum, const int32_t* weights, const CountRows& rows, int e) {
  const int32_t* w = weights + rows.offsets[e];
  const I count = I::Set(rows.counts[e]);
  return {Add(sum.a, Mul(count, LoadI(w))), Add(sum.b, Mul(count, LoadI(w + kLanes)))};
}

// Sums of counts and weights of up to 2²³ fit 32 bits while the counts are at most 255 in all.
constexpr int kFit = 255;

// total += sum, in double, which holds every sum of kMaxInputs such products exactly.
inline void Spill(PanelSum sum, double* total) {
  alignas(64) int32_t part[kPanel];
  StoreI(part, sum.a);
  StoreI(part + kLanes, sum.b);
  for (int j = 0; j < kPanel; ++j) total[j] += part[j];
}

// A span that does not fit by itself, piece by piece.
inline void AddWide(const int32_t* weights, const CountRows& rows, const CountSpan& span,
                    double* total) {
  const PanelSum zero = {I::Set(0), I::Set(0)};
  constexpr int kPiece = kFit / 4 * 4;
  for (int e = span.added; e < span.multiplied; e += kPiece) {
    const int end = e + kPiece < span.multiplied ? e + kPiece : span.multiplied;
    Spill(Added(zero, weights, rows.offsets, e, end), total);
  }
  for (int e = span.multiplied; e < span.end;) {
    PanelSum sum = zero;
    for (int held = 0; e < span.end && held + rows.counts[e] <= kFit; ++e) {
      sum = Multiplied(sum, weights, rows, e);
      held += rows.counts[e];
    }
    Spill(sum, total);
  }
}

// Block of inputs by block, so that the panel's weights stay in the first cache while all windows
// pass. A window of more than kFit counts spills its sum to double when the next block might not
// fit.
void EncodeCounts(const int32_t* weights, const CountRows& rows, const float* scale,
                  const float* bias, int width, int64_t stride, float* z) {
  alignas(64) int32_t sums[kCountRows * kPanel];
  alignas(64) double totals[kCountRows * kPanel];
  int held[kCountRows];
  for (int r = 0; r < rows.count; ++r) {
    held[r] = 0;
    StoreI(sums + r * kPanel, I::Set(0));
    StoreI(sums + r * kPanel + kLanes, I::Set(0));
    if (rows.totals[r] <= kFit) continue;
    for (int j = 0; j < kPanel; ++j) totals[r * kPanel + j] = 0;
  }
  for (int block = 0; block < rows.blocks; ++block) {
    const int32_t* w = weights + int64_t{block} * rows.block_rows * kPanel;
    // The next block, of this panel or the next, a part beside each window: from the third cache
    // or memory it comes slower than a few windows are added.
    const char* next = reinterpret_cast<const char*>(w + int64_t{rows.block_rows} * kPanel);
    const int lines = (2 * rows.block_rows + rows.count - 1) / rows.count;
    for (int r = 0; r < rows.count; ++r) {
      for (int l = 0; l < lines; ++l, next += 64) _mm_prefetch(next, _MM_HINT_T1);
      const CountSpan span = rows.spans[r * rows.blocks + block];
      int32_t* at = sums + r * kPanel;
      PanelSum sum = {LoadI(at), LoadI(at + kLanes)};
      held[r] += span.total;
      if (held[r] > kFit) {
        Spill(sum, totals + r * kPanel);
        sum = {I::Set(0), I::Set(0)};
        held[r] = span.total;
        if (span.total > kFit) {
          AddWide(w, rows, span, totals + r * kPanel);
          held[r] = 0;
          StoreI(at, sum.a);
          StoreI(at + kLanes, sum.b);
          continue;
        }
      }
      sum = Added(sum, w, rows.offsets, span.added, span.multiplied);
      for (int e = span.multiplied; e < span.end; ++e) sum = Multiplied(sum, w, rows, e);
      StoreI(at, sum.a);
      StoreI(at + kLanes, sum.b);
    }
  }
  for (int r = 0; r < rows.count; ++r) {
    alignas(64) float rounded[kPanel];
    const PanelSum sum = {LoadI(sums + r * kPanel), LoadI(sums + r * kPanel + kLanes)};
    if (rows.totals[r] > kFit) {
      double* total = totals + r * kPanel;
      Spill(sum, total);
      for (int j = 0; j < kPanel; ++j) rounded[j] = static_cast<float>(total[j]);
    } else {
      Store(rounded, ToFloat(sum.a));
      Store(rounded + kLanes, ToFloat(sum.b));
    }
    for (int j = 0; j < width; j += kLanes) {
      const V out = Fma(Load(rounded + j), Load(scale + j), Load(bias + j));
      if (width - j >= kLanes) {
        Store(z + r * stride + j, out);
      } else {
        StorePart(z + r * stride + j, out, width - j);
      }
    }
  }
}

template <int count>
inline void EncodeRows(const float* weights, const float* bias, const float* x, int inputs,
                       int width, int64_t stride, float* z) {
  V sum[count];
  for (int r = 0; r < count; ++r) sum[r] = Load(bias);
  for (int i = 0; i < inputs; ++i) {
    const V w = Load(weights + int64_t{i} * kPanel);
    for (int r = 0; r < count; ++r) {
      sum[r] = Fma(V::Set(x[int64_t{r} * inputs + i]), w, sum[r]);
    }
  }
  for (int r = 0; r < count; ++r) {
    if (width >= kLanes) {
      Store(z + r * stride, sum[r]);
    } else {
      StorePart(z + r * stride, sum[r], width);
    }
  }
}

// As many times `count` rows as there are from row r on; returns the first that is left.
template <int count>
inline int EncodeGroups(const float* weights, const float* bias, const float* x, int r, int rows,
                        int inputs, int width, int64_t stride, float* z) {
  for (; r + count <= rows; r += count) {
    for (int j = 0; j < width; j += kLanes) {
      EncodeRows<count>(weights + j, bias + j, x + int64_t{r} * inputs, inputs, width - j, stride,
                        z + r * stride + j);
    }
  }
  return r;
}

void EncodeFloats(const float* weights, const float* bias, const float* x, int rows, int inputs,
                  int width, int64_t stride, float* z) {
  int r = EncodeGroups<kFloatRows>(weights, bias, x, 0, rows, inputs, width, stride, z);
  r = EncodeGroups<4>(weights, bias, x, r, rows, inputs, width, stride, z);
  EncodeGroups<1>(weights, bias, x, r, rows, inputs, width, stride, z);
}

void PackCounts(const float* rows, int64_t stride, int n, int count, const float* factor,
                int32_t* out) {
  const auto one = [&](int i, int j) {
    const int32_t w = _mm_cvtss_si32(_mm_set_ss(rows[j * stride + i] * factor[j]));
    out[i * kPanel + j] = w < kLargestWeight ? w : kLargestWeight;
  };
  int j = 0;
  for (; j + 8 <= count; j += 8) {
    int i = 0;
    for (; i + 8 <= n; i += 8) {
      __m256 r[8];
      for (int l = 0; l < 8; ++l) {
        r[l] = _mm256_mul_ps(_mm256_loadu_ps(rows + (j + l) * stride + i),
                             _mm256_set1_ps(factor[j + l]));
      }
      Transpose8(r);
      for (int l = 0; l < 8; ++l) {
        _mm256_storeu_si256(
            reinterpret_cast<__m256i*>(out + (i + l) * kPanel + j),
            _mm256_min_epi32(_mm256_cvtps_epi32(r[l]), _mm256_set1_epi32(kLargestWeight)));
      }
    }
    for (; i < n; ++i) {
      for (int l = 0; l < 8; ++l) one(i, j + l);
    }
  }
  for (; j < count; ++j) {
    for (int i = 0; i < n; ++i) one(i, j);
  }
}

}  // namespace
}  // namespace saed::sae
