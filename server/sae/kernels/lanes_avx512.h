// Sixteen float lanes in one AVX-512 register. Included by avx512.cc alone.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace saed::sae {
namespace {

struct V {
  __m512 a;
  static V Set(float x) { return {_mm512_set1_ps(x)}; }
};
struct I {
  __m512i a;
  static I Set(int32_t x) { return {_mm512_set1_epi32(x)}; }
};
struct Mask {
  __mmask16 m;
};
// Rows whose sums of floats fit the registers beside a weight.
constexpr int kFloatRows = 12;

inline V Load(const float* p) { return {_mm512_loadu_ps(p)}; }
inline void Store(float* p, V v) { _mm512_storeu_ps(p, v.a); }
// The first n lanes, 0 < n < 16; the others read as 0 and are not written.
inline V LoadPart(const float* p, int n) {
  return {_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), p)};
}
inline void StorePart(float* p, V v, int n) {
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1), v.a);
}
inline I LoadI(const int32_t* p) { return {_mm512_loadu_si512(p)}; }
inline void StoreI(int32_t* p, I v) { _mm512_storeu_si512(p, v.a); }
inline V LoadCounts(const uint8_t* p) {
  return {_mm512_cvtepi32_ps(
      _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))))};
}
inline V operator+(V x, V y) { return {_mm512_add_ps(x.a, y.a)}; }
inline V operator-(V x, V y) { return {_mm512_sub_ps(x.a, y.a)}; }
inline V operator*(V x, V y) { return {_mm512_mul_ps(x.a, y.a)}; }
inline V operator/(V x, V y) { return {_mm512_div_ps(x.a, y.a)}; }
inline V Fma(V x, V y, V z) { return {_mm512_fmadd_ps(x.a, y.a, z.a)}; }
inline V Max(V x, V y) { return {_mm512_max_ps(x.a, y.a)}; }
inline V Min(V x, V y) { return {_mm512_min_ps(x.a, y.a)}; }
inline V Sqrt(V x) { return {_mm512_sqrt_ps(x.a)}; }
inline Mask Less(V x, V y) { return {_mm512_cmp_ps_mask(x.a, y.a, _CMP_LT_OQ)}; }
inline V Blend(Mask m, V x, V y) { return {_mm512_mask_blend_ps(m.m, y.a, x.a)}; }
inline V Round(V x) {
  return {_mm512_roundscale_ps(x.a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
inline V Exponent(V n) {
  return {_mm512_castsi512_ps(
      _mm512_slli_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(n.a), _mm512_set1_epi32(127)), 23))};
}
inline void Split(V x, V& m, V& e) {
  const __m512i bits = _mm512_castps_si512(x.a);
  m.a = _mm512_castsi512_ps(_mm512_or_si512(_mm512_and_si512(bits, _mm512_set1_epi32(0x007fffff)),
                                            _mm512_set1_epi32(0x3f000000)));
  e.a = _mm512_cvtepi32_ps(_mm512_sub_epi32(_mm512_srli_epi32(bits, 23), _mm512_set1_epi32(126)));
}
inline float SumLanes(V v) {
  const __m256 high = _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(v.a), 1));
  const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(v.a), high);
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}
inline I Add(I x, I y) { return {_mm512_add_epi32(x.a, y.a)}; }
inline I Mul(I x, I y) { return {_mm512_mullo_epi32(x.a, y.a)}; }
inline V ToFloat(I x) { return {_mm512_cvtepi32_ps(x.a)}; }
inline I ToInt(V x) { return {_mm512_cvtps_epi32(x.a)}; }
inline uint32_t AtLeastBits(V x, V y) { return _mm512_cmp_ps_mask(x.a, y.a, _CMP_GE_OQ); }
inline int Compress(uint32_t bits, V v, int32_t first, int32_t* index, float* value) {
  const auto mask = static_cast<__mmask16>(bits);
  const __m512i lanes =
      _mm512_add_epi32(_mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
                       _mm512_set1_epi32(first));
  // Whole registers are stored: stores of a part of one are slow.
  _mm512_storeu_ps(value, _mm512_maskz_compress_ps(mask, v.a));
  _mm512_storeu_si512(index, _mm512_maskz_compress_epi32(mask, lanes));
  return __builtin_popcount(bits);
}

}  // namespace
}  // namespace saed::sae
