// The kernels over sixteen lanes, compiled once per instruction set: avx2.cc and avx512.cc include
// their lanes, then this. Everything has internal linkage, so that no function of one set can be
// linked into another; for the same reason nothing of the standard library is used here.
#pragma once

#include "server/sae/kernels/elementary.h"
#include "server/sae/kernels/table.h"

namespace saed::sae {
namespace {

constexpr int kChunk = 4 * kLanes;  // floats that stay in registers

inline float FromBits(uint32_t bits) {
  float out;
  __builtin_memcpy(&out, &bits, sizeof out);
  return out;
}

float Dot(const float* a, const float* b, int64_t n) {
  V sum = V::Set(0);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) sum = Fma(Load(a + i), Load(b + i), sum);
  if (i < n) {
    const int rest = static_cast<int>(n - i);
    sum = Fma(LoadPart(a + i, rest), LoadPart(b + i, rest), sum);
  }
  return SumLanes(sum);
}

void AddScaled(float s, const float* x, int64_t n, float* y) {
  const V scale = V::Set(s);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) Store(y + i, Fma(scale, Load(x + i), Load(y + i)));
  if (i < n) {
    const int rest = static_cast<int>(n - i);
    StorePart(y + i, Fma(scale, LoadPart(x + i, rest), LoadPart(y + i, rest)), rest);
  }
}

void Scale(float s, int64_t n, float* y) {
  const V scale = V::Set(s);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) Store(y + i, scale * Load(y + i));
  if (i < n) {
    const int rest = static_cast<int>(n - i);
    StorePart(y + i, scale * LoadPart(y + i, rest), rest);
  }
}

inline V LoadRow(const float* p) { return Load(p); }
inline V LoadRow(const uint8_t* p) { return LoadCounts(p); }
inline V LoadRowPart(const float* p, int n) { return LoadPart(p, n); }
inline V LoadRowPart(const uint8_t* p, int /*n*/) { return LoadCounts(p); }

template <class Row>
void Weighted(const float* start, const Row* rows, int64_t stride, const int32_t* index,
              const float* value, int count, int n, float* out) {
  int i = 0;
  for (; i + kChunk <= n; i += kChunk) {
    V sum[4];
    for (int v = 0; v < 4; ++v) {
      sum[v] = start == nullptr ? V::Set(0) : Load(start + i + v * kLanes);
    }
    for (int e = 0; e < count; ++e) {
      const Row* row = rows + index[e] * stride + i;
      const V s = V::Set(value[e]);
      for (int v = 0; v < 4; ++v) sum[v] = Fma(s, LoadRow(row + v * kLanes), sum[v]);
    }
    for (int v = 0; v < 4; ++v) Store(out + i + v * kLanes, sum[v]);
  }
  for (; i < n; i += kLanes) {
    const int rest = n - i;
    if (rest >= kLanes) {
      V sum = start == nullptr ? V::Set(0) : Load(start + i);
      for (int e = 0; e < count; ++e) {
        sum = Fma(V::Set(value[e]), LoadRow(rows + index[e] * stride + i), sum);
      }
      Store(out + i, sum);
    } else {
      V sum = start == nullptr ? V::Set(0) : LoadPart(start + i, rest);
      for (int e = 0; e < count; ++e) {
        sum = Fma(V::Set(value[e]), LoadRowPart(rows + index[e] * stride + i, rest), sum);
      }
      StorePart(out + i, sum, rest);
    }
  }
}

template <int entries>
inline void DotsOf(const float* v, const float* rows, int64_t stride, const int32_t* index, int n,
                   float* out) {
  V sum[entries];
  const float* row[entries];
  for (int e = 0; e < entries; ++e) {
    sum[e] = V::Set(0);
    row[e] = rows + index[e] * stride;
  }
  int i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const V x = Load(v + i);
    for (int e = 0; e < entries; ++e) sum[e] = Fma(x, Load(row[e] + i), sum[e]);
  }
  if (i < n) {
    const V x = LoadPart(v + i, n - i);
    for (int e = 0; e < entries; ++e) sum[e] = Fma(x, LoadPart(row[e] + i, n - i), sum[e]);
  }
  for (int e = 0; e < entries; ++e) out[e] = SumLanes(sum[e]);
}

void Dots(const float* v, const float* rows, int64_t stride, const int32_t* index, int count, int n,
          float* out) {
  int e = 0;
  for (; e + 4 <= count; e += 4) DotsOf<4>(v, rows, stride, index + e, n, out + e);
  for (; e < count; ++e) DotsOf<1>(v, rows, stride, index + e, n, out + e);
}

template <Loss loss, Output output>
double Slopes(const float* y, float scale, int n, float* a, float* residual) {
  const V factor = V::Set(scale);
  V sum = V::Set(0);
  const auto one = [&](V act, V target, V& slope, V& rest) {
    V prediction, derivative, value, loss_slope;
    Activation<output>(act, prediction, derivative);
    LossAndSlope<loss>(prediction, target, value, loss_slope);
    slope = factor * (loss_slope * derivative);
    rest = target - prediction;
    return value;
  };
  int i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    V slope, rest;
    sum = sum + one(Load(a + i), Load(y + i), slope, rest);
    Store(a + i, slope);
    if (residual != nullptr) Store(residual + i, rest);
  }
  if (i < n) {
    const int part = n - i;
    float lanes[kLanes] = {};
    V slope, rest;
    const V value = one(LoadPart(a + i, part), LoadPart(y + i, part), slope, rest);
    StorePart(lanes, value, part);
    sum = sum + Load(lanes);
    StorePart(a + i, slope, part);
    if (residual != nullptr) StorePart(residual + i, rest, part);
  }
  return static_cast<double>(SumLanes(sum));
}

double LossSlope(Loss loss, Output output, const float* y, float scale, int n, float* a,
                 float* residual) {
  using Function = double (*)(const float*, float, int, float*, float*);
  static constexpr Function kFunctions[3][3] = {
      {Slopes<Loss::kMse, Output::kIdentity>, Slopes<Loss::kMse, Output::kRelu>,
       Slopes<Loss::kMse, Output::kSoftplus>},
      {Slopes<Loss::kMsle, Output::kIdentity>, Slopes<Loss::kMsle, Output::kRelu>,
       Slopes<Loss::kMsle, Output::kSoftplus>},
      {Slopes<Loss::kPoisson, Output::kIdentity>, Slopes<Loss::kPoisson, Output::kRelu>,
       Slopes<Loss::kPoisson, Output::kSoftplus>}};
  return kFunctions[static_cast<int>(loss)][static_cast<int>(output)](y, scale, n, a, residual);
}

inline void AdamLanes(const UpdateConstants<float>& c, V g, V& m, V& v, V& p) {
  g = V::Set(c.gradient) * g;
  m = Fma(V::Set(c.beta1), m, V::Set(1 - c.beta1) * g);
  v = Fma(V::Set(c.beta2), v, V::Set(1 - c.beta2) * (g * g));
  p = p - V::Set(c.decay) * p;
  p = p - V::Set(c.step_size) * m / Fma(Sqrt(v), V::Set(c.root_correction), V::Set(c.epsilon));
}

void Adam(const UpdateConstants<float>& c, const float* gradient, int64_t n, float* m, float* v,
          float* p) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    V first = Load(m + i), second = Load(v + i), weight = Load(p + i);
    AdamLanes(c, Load(gradient + i), first, second, weight);
    Store(m + i, first);
    Store(v + i, second);
    Store(p + i, weight);
  }
  if (i < n) {
    const int rest = static_cast<int>(n - i);
    V first = LoadPart(m + i, rest), second = LoadPart(v + i, rest), weight = LoadPart(p + i, rest);
    AdamLanes(c, LoadPart(gradient + i, rest), first, second, weight);
    StorePart(m + i, first, rest);
    StorePart(v + i, second, rest);
    StorePart(p + i, weight, rest);
  }
}

void Momentum(const UpdateConstants<float>& c, const float* gradient, int64_t n, float* m,
              float* p) {
  const V beta = V::Set(c.beta1), factor = V::Set(c.gradient), decay = V::Set(c.decay);
  const V rate = V::Set(-c.learning_rate);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const V first = Fma(beta, Load(m + i), factor * Load(gradient + i)), weight = Load(p + i);
    Store(m + i, first);
    Store(p + i, Fma(rate, first, weight - decay * weight));
  }
  if (i < n) {
    const int rest = static_cast<int>(n - i);
    const V first = Fma(beta, LoadPart(m + i, rest), factor * LoadPart(gradient + i, rest));
    const V weight = LoadPart(p + i, rest);
    StorePart(m + i, first, rest);
    StorePart(p + i, Fma(rate, first, weight - decay * weight), rest);
  }
}

int AtLeast(const float* z, int width, float bound, int32_t* index, float* value) {
  constexpr float kLeast = 1.4012984643e-45f;  // the smallest float above 0
  const V least = V::Set(bound > kLeast ? bound : kLeast);
  int count = 0, i = 0;
  for (; i + kLanes <= width; i += kLanes) {
    const V v = Load(z + i);
    const uint32_t bits = AtLeastBits(v, least);
    if (bits != 0) count += Compress(bits, v, i, index + count, value + count);
  }
  if (i < width) {
    const V v = LoadPart(z + i, width - i);
    const uint32_t bits = AtLeastBits(v, least) & ((1u << (width - i)) - 1);
    if (bits != 0) count += Compress(bits, v, i, index + count, value + count);
  }
  return count;
}

// How many of `vectors`·16 values reach t.
inline int CountAtLeast(const float* values, int vectors, float t) {
  const V bound = V::Set(t);
  int count = 0;
  for (int v = 0; v < vectors; ++v) {
    count += __builtin_popcount(AtLeastBits(Load(values + v * kLanes), bound));
  }
  return count;
}

// A value that at least k entries reach, not far below the k-th largest: the k-th largest of the
// maxima of 2k or more disjoint groups, found on the upper bits of its representation. 0 where
// that does not pay or fewer than k groups have a positive entry.
inline float LowerBound(const float* z, int width, int k) {
  constexpr int kMost = 64;
  const int groups = (2 * k + kLanes - 1) / kLanes;
  if (groups > kMost || width < 4 * groups * kLanes) return 0;
  alignas(64) float maxima[kMost * kLanes];
  for (int g = 0; g < groups; ++g) Store(maxima + g * kLanes, V::Set(0));
  for (int i = 0; i + groups * kLanes <= width; i += groups * kLanes) {
    for (int g = 0; g < groups; ++g) {
      float* m = maxima + g * kLanes;
      Store(m, Max(Load(z + i + g * kLanes), Load(m)));  // NaN leaves the maximum as it is
    }
  }
  uint32_t bits = 0;
  for (int bit = 30; bit >= 14; --bit) {
    const uint32_t trial = bits | 1u << bit;
    if (CountAtLeast(maxima, groups, FromBits(trial)) >= k) bits = trial;
  }
  return FromBits(bits);
}

int TopK(const float* z, int width, int k, float* scratch, int32_t* index, float* value) {
  float* candidate = scratch;
  auto* name = reinterpret_cast<int32_t*>(scratch + width + kLanes);
  int count = AtLeast(z, width, LowerBound(z, width, k), name, candidate);
  float least = 0;  // kept: value > least, and the first `equal` of those that equal it
  int equal = count;
  if (count > k) {
    const int vectors = (count + kLanes - 1) / kLanes;
    for (int i = count; i < vectors * kLanes; ++i) candidate[i] = 0;
    uint32_t bits = 0;
    int reached = 0;
    for (int bit = 30; bit >= 0 && reached != k; --bit) {
      const uint32_t trial = bits | 1u << bit;
      const int n = CountAtLeast(candidate, vectors, FromBits(trial));
      if (n < k) continue;
      bits = trial;
      reached = n;
    }
    least = FromBits(bits);
    equal = reached == k ? k : k - CountAtLeast(candidate, vectors, FromBits(bits + 1));
  }
  int out = 0;
  for (int i = 0; i < count; ++i) {
    if (candidate[i] < least || (candidate[i] == least && equal-- <= 0)) continue;
    index[out] = name[i];
    value[out++] = candidate[i];
  }
  return out;
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
  for (int e = span.multiplied; e < span.end; ++e) Spill(Multiplied(zero, weights, rows, e), total);
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
    const int32_t* w = weights + int64_t{block} * kBlockRows * kPanel;
    for (int r = 0; r < rows.count; ++r) {
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

void EncodeFloats(const float* weights, const float* bias, const float* x, int rows, int inputs,
                  int width, int64_t stride, float* z) {
  int r = 0;
  for (; r + 6 <= rows; r += 6) {
    for (int j = 0; j < width; j += kLanes) {
      EncodeRows<6>(weights + j, bias + j, x + int64_t{r} * inputs, inputs, width - j, stride,
                    z + r * stride + j);
    }
  }
  for (; r < rows; ++r) {
    for (int j = 0; j < width; j += kLanes) {
      EncodeRows<1>(weights + j, bias + j, x + int64_t{r} * inputs, inputs, width - j, stride,
                    z + r * stride + j);
    }
  }
}

void PackCounts(const float* rows, int64_t stride, int n, int count, const float* factor,
                int32_t* out) {
  const auto one = [&](int i, int j) {
    out[i * kPanel + j] = _mm_cvtss_si32(_mm_set_ss(rows[j * stride + i] * factor[j]));
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
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + (i + l) * kPanel + j),
                            _mm256_cvtps_epi32(r[l]));
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

constexpr KernelTable<float> Table(const char* name) {
  return {name,      Dot,  AddScaled, Scale, Weighted<float>, Weighted<uint8_t>, Dots,
          LossSlope, Adam, Momentum,  TopK,  AtLeast,         EncodeCounts,      EncodeFloats,
          PackCounts};
}

}  // namespace
}  // namespace saed::sae
