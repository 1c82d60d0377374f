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
  // Four vectors are skipped or taken together: for one, the branch is guessed wrong too often.
  for (; i + 4 * kLanes <= width; i += 4 * kLanes) {
    uint32_t bits[4], any = 0;
    for (int v = 0; v < 4; ++v) {
      bits[v] = AtLeastBits(Load(z + i + v * kLanes), least);
      any |= bits[v];
    }
    if (any == 0) continue;
    for (int v = 0; v < 4; ++v) {
      const int at = i + v * kLanes;
      count += Compress(bits[v], Load(z + at), at, index + count, value + count);
    }
  }
  for (; i + kLanes <= width; i += kLanes) {
    const V v = Load(z + i);
    count += Compress(AtLeastBits(v, least), v, i, index + count, value + count);
  }
  if (i < width) {
    const V v = LoadPart(z + i, width - i);
    const uint32_t bits = AtLeastBits(v, least) & ((1u << (width - i)) - 1);
    count += Compress(bits, v, i, index + count, value + count);
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

inline uint32_t ToBits(float value) {
  uint32_t out;
  __builtin_memcpy(&out, &value, sizeof out);
  return out;
}

// Bits, whose order is the values' own, of floats ≥ 0: at least k of `vectors`·16 values reach
// FromBits(low), fewer than k reach FromBits(high).
struct Between {
  uint32_t low, high;
  int reach_low;
};
// Halves the interval until it is `width` wide or exactly k values reach its lower end.
inline Between Halve(const float* values, int vectors, int k, Between at, uint32_t width) {
  while (at.high - at.low > width && at.reach_low != k) {
    const uint32_t middle = at.low + (at.high - at.low) / 2;
    const int n = CountAtLeast(values, vectors, FromBits(middle));
    // Without a branch, which would be guessed wrong half of the time.
    const bool enough = n >= k;
    at.low = enough ? middle : at.low;
    at.reach_low = enough ? n : at.reach_low;
    at.high = enough ? at.high : middle;
  }
  return at;
}

// The maxima of `groups`·16 disjoint groups of z; NaN leaves a maximum as it is. `fixed` is the
// number of vectors where it is known, so that they stay in registers.
template <int fixed>
inline void GroupMaxima(const float* z, int width, int groups, float* maxima) {
  if constexpr (fixed > 0) {
    V m[fixed];
    for (int g = 0; g < fixed; ++g) m[g] = V::Set(0);
    for (int i = 0; i + fixed * kLanes <= width; i += fixed * kLanes) {
      for (int g = 0; g < fixed; ++g) m[g] = Max(Load(z + i + g * kLanes), m[g]);
    }
    for (int g = 0; g < fixed; ++g) Store(maxima + g * kLanes, m[g]);
  } else {
    int cleared = 0;
    do Store(maxima + cleared * kLanes, V::Set(0));
    while (++cleared < groups);
    for (int i = 0; i + groups * kLanes <= width; i += groups * kLanes) {
      for (int g = 0; g < groups; ++g) {
        float* m = maxima + g * kLanes;
        Store(m, Max(Load(z + i + g * kLanes), Load(m)));
      }
    }
  }
}

// The smallest and the largest of `vectors`·16 values.
inline void Extremes(const float* values, int vectors, float& least, float& most) {
  V low = Load(values), high = low;
  for (int v = 1; v < vectors; ++v) {
    low = Min(Load(values + v * kLanes), low);
    high = Max(Load(values + v * kLanes), high);
  }
  alignas(64) float lanes[2 * kLanes];
  Store(lanes, low);
  Store(lanes + kLanes, high);
  least = lanes[0];
  most = lanes[kLanes];
  for (int l = 1; l < kLanes; ++l) {
    least = lanes[l] < least ? lanes[l] : least;
    most = lanes[kLanes + l] > most ? lanes[kLanes + l] : most;
  }
}

// A value that at least k entries reach, not far below the k-th largest: the k-th largest of the
// maxima of 2k or more disjoint groups, to 1/128. 0 where that does not pay or fewer than k groups
// have a positive entry.
inline float LowerBound(const float* z, int width, int k) {
  constexpr int kMost = 64;
  const int groups = (2 * k + kLanes - 1) / kLanes;
  if (groups > kMost || width < 4 * groups * kLanes) return 0;
  alignas(64) float maxima[kMost * kLanes];
  switch (groups) {
    case 1:
      GroupMaxima<1>(z, width, 1, maxima);
      break;
    case 2:
      GroupMaxima<2>(z, width, 2, maxima);
      break;
    case 3:
      GroupMaxima<3>(z, width, 3, maxima);
      break;
    case 4:
      GroupMaxima<4>(z, width, 4, maxima);
      break;
    default:
      GroupMaxima<0>(z, width, groups, maxima);
  }
  float least, most;
  Extremes(maxima, groups, least, most);
  // Above -0, infinity's bits are the largest.
  const Between all{ToBits(least), ToBits(most) + 1, groups * kLanes};
  return FromBits(Halve(maxima, groups, k, all, 1u << 16).low);
}

int TopK(const float* z, int width, int k, float* scratch, int32_t* index, float* value) {
  float* candidate = scratch;
  auto* name = reinterpret_cast<int32_t*>(scratch + width + kLanes);
  int count = AtLeast(z, width, LowerBound(z, width, k), name, candidate);
  if (count > k) {
    const int vectors = (count + kLanes - 1) / kLanes;
    for (int i = count; i < vectors * kLanes; ++i) candidate[i] = 0;
    float zero, most;
    Extremes(candidate, vectors, zero, most);
    const Between all{ToBits(zero), ToBits(most) + 1, count};
    const Between at = Halve(candidate, vectors, k, all, 1);
    // Kept: those above `least`, and the first `equal` of those that equal it.
    const float least = FromBits(at.low);
    int equal = at.reach_low == k ? k : k - CountAtLeast(candidate, vectors, FromBits(at.high));
    int out = 0;
    for (int i = 0; i < count; ++i) {
      const float x = candidate[i];
      const int same = x == least ? 1 : 0;
      candidate[out] = x;
      name[out] = name[i];
      out += (x > least ? 1 : 0) | (same & (equal > 0 ? 1 : 0));
      equal -= same;
    }
    count = out;
  }
  __builtin_memcpy(index, name, count * sizeof *index);
  __builtin_memcpy(value, candidate, count * sizeof *value);
  return count;
}

}  // namespace
}  // namespace saed::sae
