#include "server/sae/random_bits.h"

#include <immintrin.h>

#include "server/sae/random.h"

namespace saed::sae {
namespace {

constexpr size_t kLanes = 4, kGroups = 4;  // groups hide the latency of the multiplications

// Philox (random.h) of kGroups·kLanes indices from `first` on. Each word has 64 bits, of which the
// upper half is never looked at.
void Block(uint64_t seed, uint64_t stream, uint64_t first, uint64_t* out) {
  const __m256i m0 = _mm256_set1_epi64x(0xD2511F53), m1 = _mm256_set1_epi64x(0xCD9E8D57);
  __m256i c0[kGroups], c1[kGroups], c2[kGroups], c3[kGroups];
  for (size_t g = 0; g < kGroups; ++g) {
    const auto at = static_cast<int64_t>(first + g * kLanes);
    c0[g] = _mm256_add_epi64(_mm256_set1_epi64x(at), _mm256_set_epi64x(3, 2, 1, 0));
    c1[g] = _mm256_srli_epi64(c0[g], 32);
    c2[g] = _mm256_set1_epi64x(static_cast<int64_t>(stream));
    c3[g] = _mm256_srli_epi64(c2[g], 32);
  }
  auto k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const __m256i key0 = _mm256_set1_epi64x(k0), key1 = _mm256_set1_epi64x(k1);
    for (size_t g = 0; g < kGroups; ++g) {
      const __m256i p0 = _mm256_mul_epu32(m0, c0[g]), p1 = _mm256_mul_epu32(m1, c2[g]);
      c0[g] = _mm256_xor_si256(_mm256_srli_epi64(p1, 32), _mm256_xor_si256(c1[g], key0));
      c2[g] = _mm256_xor_si256(_mm256_srli_epi64(p0, 32), _mm256_xor_si256(c3[g], key1));
      c1[g] = p1;
      c3[g] = p0;
    }
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  for (size_t g = 0; g < kGroups; ++g) {
    const __m256i bits = _mm256_blend_epi32(c0[g], _mm256_slli_epi64(c1[g], 32), 0xAA);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + g * kLanes), bits);
  }
}

}  // namespace

void RandomBits(uint64_t seed, uint64_t stream, uint64_t first, std::span<uint64_t> out) {
  constexpr size_t kAtOnce = kGroups * kLanes;
  size_t i = 0;
  for (; i + kAtOnce <= out.size(); i += kAtOnce) Block(seed, stream, first + i, out.data() + i);
  const CounterRandom random(seed, stream);
  for (; i < out.size(); ++i) out[i] = random.Bits(first + i);
}

}  // namespace saed::sae
