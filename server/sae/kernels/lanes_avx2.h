// Sixteen float lanes in two AVX2 registers. Included by avx2.cc alone.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace saed::sae {
namespace {

struct V {
  __m256 a, b;
  static V Set(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
};
struct Mask {
  __m256 a, b;
};
// Rows whose sums of floats fit the registers beside a weight.
constexpr int kFloatRows = 6;
struct I {
  __m256i a, b;
  static I Set(int32_t x) { return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }
};

inline V Load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
inline void Store(float* p, V v) {
  _mm256_storeu_ps(p, v.a);
  _mm256_storeu_ps(p + 8, v.b);
}
// The first n lanes, 0 < n < 16; the others read as 0 and are not written.
alignas(32) constexpr int32_t kMaskSource[48] = {-1, -1, -1, -1, -1, -1, -1, -1,
                                                 -1, -1, -1, -1, -1, -1, -1, -1};
inline __m256i PartMask(int n, int first) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kMaskSource + 16 - n + first));
}
inline V LoadPart(const float* p, int n) {
  return {_mm256_maskload_ps(p, PartMask(n, 0)), _mm256_maskload_ps(p + 8, PartMask(n, 8))};
}
inline void StorePart(float* p, V v, int n) {
  _mm256_maskstore_ps(p, PartMask(n, 0), v.a);
  if (n > 8) _mm256_maskstore_ps(p + 8, PartMask(n, 8), v.b);
}
inline I LoadI(const int32_t* p) {
  return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)),
          _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 8))};
}
inline void StoreI(int32_t* p, I v) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v.a);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 8), v.b);
}
inline V LoadCounts(const uint8_t* p) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return {_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)),
          _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8)))};
}
inline V operator+(V x, V y) { return {_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)}; }
inline V operator-(V x, V y) { return {_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)}; }
inline V operator*(V x, V y) { return {_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)}; }
inline V operator/(V x, V y) { return {_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)}; }
inline V Fma(V x, V y, V z) {
  return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)};
}
inline V Max(V x, V y) { return {_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)}; }
inline V Min(V x, V y) { return {_mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b)}; }
inline V Sqrt(V x) { return {_mm256_sqrt_ps(x.a), _mm256_sqrt_ps(x.b)}; }
inline Mask Less(V x, V y) {
  return {_mm256_cmp_ps(x.a, y.a, _CMP_LT_OQ), _mm256_cmp_ps(x.b, y.b, _CMP_LT_OQ)};
}
inline V Blend(Mask m, V x, V y) {
  return {_mm256_blendv_ps(y.a, x.a, m.a), _mm256_blendv_ps(y.b, x.b, m.b)};
}
inline V Round(V x) {
  constexpr int kNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  return {_mm256_round_ps(x.a, kNearest), _mm256_round_ps(x.b, kNearest)};
}
inline __m256 Exponent8(__m256 n) {
  return _mm256_castsi256_ps(
      _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23));
}
inline V Exponent(V n) { return {Exponent8(n.a), Exponent8(n.b)}; }
inline void Split8(__m256 x, __m256& m, __m256& e) {
  const __m256i bits = _mm256_castps_si256(x);
  m = _mm256_castsi256_ps(_mm256_or_si256(_mm256_and_si256(bits, _mm256_set1_epi32(0x007fffff)),
                                          _mm256_set1_epi32(0x3f000000)));
  e = _mm256_cvtepi32_ps(_mm256_sub_epi32(_mm256_srli_epi32(bits, 23), _mm256_set1_epi32(126)));
}
inline void Split(V x, V& m, V& e) {
  Split8(x.a, m.a, e.a);
  Split8(x.b, m.b, e.b);
}
inline float SumLanes(V v) {
  const __m256 eight = _mm256_add_ps(v.a, v.b);
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}
inline I Add(I x, I y) { return {_mm256_add_epi32(x.a, y.a), _mm256_add_epi32(x.b, y.b)}; }
inline I Mul(I x, I y) { return {_mm256_mullo_epi32(x.a, y.a), _mm256_mullo_epi32(x.b, y.b)}; }
inline V ToFloat(I x) { return {_mm256_cvtepi32_ps(x.a), _mm256_cvtepi32_ps(x.b)}; }
inline I ToInt(V x) { return {_mm256_cvtps_epi32(x.a), _mm256_cvtps_epi32(x.b)}; }
// Bit i: lane i of x ≥ lane i of y (false for NaN).
inline uint32_t AtLeastBits(V x, V y) {
  return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(x.a, y.a, _CMP_GE_OQ))) |
         static_cast<uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(x.b, y.b, _CMP_GE_OQ))) << 8;
}

// For each byte of mask bits, the lanes that are set, in order.
struct CompressTable {
  alignas(32) int32_t lane[256][8];
};
constexpr CompressTable MakeCompressTable() {
  CompressTable t{};
  for (int bits = 0; bits < 256; ++bits) {
    int n = 0;
    for (int lane = 0; lane < 8; ++lane) {
      if (bits >> lane & 1) t.lane[bits][n++] = lane;
    }
  }
  return t;
}
constexpr CompressTable kCompress = MakeCompressTable();

inline int Compress8(uint32_t bits, __m256 v, int32_t first, int32_t* index, float* value) {
  const __m256i order = _mm256_load_si256(reinterpret_cast<const __m256i*>(kCompress.lane[bits]));
  _mm256_storeu_ps(value, _mm256_permutevar8x32_ps(v, order));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(index),
                      _mm256_add_epi32(order, _mm256_set1_epi32(first)));
  return __builtin_popcount(bits);
}
// Appends the lanes in `bits` and their indices first, first+1, …; may write 16 elements.
inline int Compress(uint32_t bits, V v, int32_t first, int32_t* index, float* value) {
  const int low = Compress8(bits & 255, v.a, first, index, value);
  return low + Compress8(bits >> 8, v.b, first + 8, index + low, value + low);
}

}  // namespace
}  // namespace saed::sae
