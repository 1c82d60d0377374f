// Selection: the k largest, and all above a bound. Part of body.h, which says how these files are
// compiled.
#pragma once

#include "server/sae/kernels/table.h"

namespace saed::sae {
namespace {

inline float FromBits(uint32_t bits) {
  float out;
  __builtin_memcpy(&out, &bits, sizeof out);
  return out;
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

}  // namespace
}  // namespace saed::sae
