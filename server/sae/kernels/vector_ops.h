// The few vector loops of a training step, on explicit 256-bit vectors.
//
// Every result is a function of the values and the length alone. A library that peels a loop until
// its pointer is aligned adds up in another order at another address, and with it training would
// depend on where memory was allocated.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

namespace saed::sae {

template <class T>
struct Vec;
template <>
struct Vec<float> {
  typedef float type __attribute__((vector_size(32), aligned(4), may_alias));
};
template <>
struct Vec<double> {
  typedef double type __attribute__((vector_size(32), aligned(8), may_alias));
};
template <class T>
inline constexpr int kLanes = 32 / sizeof(T);

template <class T>
typename Vec<T>::type Load(const T* p) {
  return *reinterpret_cast<const typename Vec<T>::type*>(p);
}
template <class T>
void Store(T* p, typename Vec<T>::type v) {
  *reinterpret_cast<typename Vec<T>::type*>(p) = v;
}

// Σ a_i·b_i: four running vectors, then lanes in ascending order.
template <class T>
T Dot(const T* a, const T* b, int64_t n) {
  using V = typename Vec<T>::type;
  V sum[4] = {};
  int64_t i = 0;
  for (; i + 4 * kLanes<T> <= n; i += 4 * kLanes<T>) {
    for (int v = 0; v < 4; ++v) {
      sum[v] += Load(a + i + v * kLanes<T>) * Load(b + i + v * kLanes<T>);
    }
  }
  for (; i + kLanes<T> <= n; i += kLanes<T>) sum[0] += Load(a + i) * Load(b + i);
  const V all = (sum[0] + sum[1]) + (sum[2] + sum[3]);
  T total = T(0);
  for (int lane = 0; lane < kLanes<T>; ++lane) total += all[lane];
  for (; i < n; ++i) total += a[i] * b[i];
  return total;
}

// y += s·x.
template <class T>
void AddScaled(T s, const T* x, int64_t n, T* y) {
  using V = typename Vec<T>::type;
  const V scale = s - V{};
  int64_t i = 0;
  for (; i + kLanes<T> <= n; i += kLanes<T>) Store(y + i, Load(y + i) + scale * Load(x + i));
  for (; i < n; ++i) y[i] += s * x[i];
}

// y *= s.
template <class T>
void Scale(T s, int64_t n, T* y) {
  using V = typename Vec<T>::type;
  const V scale = s - V{};
  int64_t i = 0;
  for (; i + kLanes<T> <= n; i += kLanes<T>) Store(y + i, scale * Load(y + i));
  for (; i < n; ++i) y[i] *= s;
}

// Applies a function of corresponding elements of four arrays, vector by vector and, for the last
// elements, once more on a padded vector: the same arithmetic for every element.
template <class T, class Fn>
void ForVectors(int64_t n, T* a, T* b, T* c, const T* d, const Fn& fn) {
  using V = typename Vec<T>::type;
  int64_t i = 0;
  for (; i + kLanes<T> <= n; i += kLanes<T>) {
    V va = Load(a + i), vb = Load(b + i), vc = Load(c + i);
    fn(va, vb, vc, Load(d + i));
    Store(a + i, va);
    Store(b + i, vb);
    Store(c + i, vc);
  }
  if (i == n) return;
  const size_t bytes = static_cast<size_t>(n - i) * sizeof(T);
  V va{}, vb{}, vc{}, vd{};
  std::memcpy(&va, a + i, bytes);
  std::memcpy(&vb, b + i, bytes);
  std::memcpy(&vc, c + i, bytes);
  std::memcpy(&vd, d + i, bytes);
  fn(va, vb, vc, vd);
  std::memcpy(a + i, &va, bytes);
  std::memcpy(b + i, &vb, bytes);
  std::memcpy(c + i, &vc, bytes);
}

// √v of every lane.
template <class V>
V Sqrt(V v) {
  for (size_t lane = 0; lane < sizeof(V) / sizeof(v[0]); ++lane) v[lane] = std::sqrt(v[lane]);
  return v;
}

}  // namespace saed::sae
