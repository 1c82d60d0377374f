// The meaning of every kernel in plain loops: what the fast tables are tested against, and what a
// double-precision trainer runs for checks of gradients.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <type_traits>
#include <utility>
#include <vector>

#include "server/sae/kernels/elementary.h"
#include "server/sae/kernels/table.h"
#include "server/sae/losses.h"

namespace saed::sae::reference {

// One lane: the float arithmetic that elementary.h asks for.
struct Lane {
  float v;
  static Lane Set(float x) { return {x}; }
};
inline Lane operator+(Lane a, Lane b) { return {a.v + b.v}; }
inline Lane operator-(Lane a, Lane b) { return {a.v - b.v}; }
inline Lane operator*(Lane a, Lane b) { return {a.v * b.v}; }
inline Lane operator/(Lane a, Lane b) { return {a.v / b.v}; }
inline Lane Fma(Lane a, Lane b, Lane c) { return {std::fma(a.v, b.v, c.v)}; }
// As the processor's: the second operand where one of them is NaN.
inline Lane Max(Lane a, Lane b) { return {a.v > b.v ? a.v : b.v}; }
inline Lane Min(Lane a, Lane b) { return {a.v < b.v ? a.v : b.v}; }
inline bool Less(Lane a, Lane b) { return a.v < b.v; }
inline Lane Blend(bool mask, Lane a, Lane b) { return mask ? a : b; }
inline Lane Round(Lane a) { return {std::nearbyint(a.v)}; }
inline Lane Exponent(Lane n) {
  return {std::bit_cast<float>((static_cast<int32_t>(n.v) + 127) << 23)};
}
inline void Split(Lane x, Lane& m, Lane& e) {
  const auto bits = std::bit_cast<uint32_t>(x.v);
  m = {std::bit_cast<float>((bits & 0x007fffffu) | 0x3f000000u)};
  e = {static_cast<float>(static_cast<int32_t>(bits >> 23) - 126)};
}

// The fixed tree over 16 lanes: halves are added until one lane is left.
template <class T>
T SumLanes(T* lanes) {
  for (int half = kLanes / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  }
  return lanes[0];
}

template <class T>
T Dot(const T* a, const T* b, int64_t n) {
  T lanes[kLanes] = {};
  for (int64_t i = 0; i < n; ++i) lanes[i % kLanes] = std::fma(a[i], b[i], lanes[i % kLanes]);
  return SumLanes(lanes);
}

template <class T>
void AddScaled(T s, const T* x, int64_t n, T* y) {
  for (int64_t i = 0; i < n; ++i) y[i] = std::fma(s, x[i], y[i]);
}

template <class T>
void Scale(T s, int64_t n, T* y) {
  for (int64_t i = 0; i < n; ++i) y[i] *= s;
}

template <class T, class Row>
void Weighted(const T* start, const Row* rows, int64_t stride, const int32_t* index, const T* value,
              int count, int n, T* out) {
  for (int i = 0; i < n; ++i) {
    T sum = start == nullptr ? T(0) : start[i];
    for (int e = 0; e < count; ++e) {
      sum = std::fma(value[e], static_cast<T>(rows[index[e] * stride + i]), sum);
    }
    out[i] = sum;
  }
}

template <class T>
void Dots(const T* v, const T* rows, int64_t stride, const int32_t* index, int count, int n,
          T* out) {
  for (int e = 0; e < count; ++e) out[e] = Dot(v, rows + index[e] * stride, n);
}

template <class T>
double LossSlope(Loss loss, Output output, const T* y, T scale, int n, T* a, T* residual) {
  T lanes[kLanes] = {};
  for (int i = 0; i < n; ++i) {
    T prediction, value, slope;
    if constexpr (std::is_same_v<T, float>) {
      Lane p{}, g{}, l{}, s{};
      const auto losses = [&]<Output o>() {
        Activation<o>(Lane{a[i]}, p, g);
        if (loss == Loss::kMse) LossAndSlope<Loss::kMse>(p, Lane{y[i]}, l, s);
        if (loss == Loss::kMsle) LossAndSlope<Loss::kMsle>(p, Lane{y[i]}, l, s);
        if (loss == Loss::kPoisson) LossAndSlope<Loss::kPoisson>(p, Lane{y[i]}, l, s);
      };
      if (output == Output::kIdentity) losses.template operator()<Output::kIdentity>();
      if (output == Output::kRelu) losses.template operator()<Output::kRelu>();
      if (output == Output::kSoftplus) losses.template operator()<Output::kSoftplus>();
      prediction = p.v;
      value = l.v;
      slope = scale * (s.v * g.v);
    } else {
      prediction = Activate(output, a[i]);
      const LossValue<T> l = Evaluate(loss, prediction, y[i]);
      value = l.value;
      slope = scale * (l.slope * ActivateSlope(output, a[i]));
    }
    lanes[i % kLanes] += value;
    if (residual != nullptr) residual[i] = y[i] - prediction;
    a[i] = slope;
  }
  return static_cast<double>(SumLanes(lanes));
}

template <class T>
ScoreValue<T> ScoreOf(Loss loss, Output output, T a, T y) {
  if constexpr (std::is_same_v<T, float>) {
    Lane score{}, information{};
    WithLossAndOutput(loss, output, [&]<Loss l, Output o>() {
      ScoreAndInformation<l, o>(Lane{a}, Lane{y}, score, information);
    });
    return {score.v, information.v};
  } else {
    return EvaluateScore(loss, output, a, y);
  }
}

template <class T>
void Scores(Loss loss, Output output, const T* a, const T* y, int n, T* score, T* information) {
  for (int i = 0; i < n; ++i) {
    const ScoreValue<T> one = ScoreOf(loss, output, a[i], y[i]);
    score[i] = one.score;
    if (information != nullptr) information[i] = one.information;
  }
}

template <class T>
T ScoreWithout(Loss loss, Output output, const T* a, const T* y, const T* row, T value, int n,
               T* information) {
  T sums[kLanes] = {}, squares[kLanes] = {};
  for (int i = 0; i < n; ++i) {
    const ScoreValue<T> one = ScoreOf(loss, output, std::fma(-value, row[i], a[i]), y[i]);
    sums[i % kLanes] = std::fma(row[i], one.score, sums[i % kLanes]);
    squares[i % kLanes] = std::fma(row[i] * row[i], one.information, squares[i % kLanes]);
  }
  *information = SumLanes(squares);
  return SumLanes(sums);
}

template <class T>
void Adam(const UpdateConstants<T>& c, const T* gradient, int64_t n, T* m, T* v, T* p) {
  for (int64_t i = 0; i < n; ++i) {
    const T g = c.gradient * gradient[i];
    m[i] = std::fma(c.beta1, m[i], (1 - c.beta1) * g);
    v[i] = std::fma(c.beta2, v[i], (1 - c.beta2) * (g * g));
    const T weight = p[i] - c.decay * p[i];
    p[i] = weight - c.step_size * m[i] / std::fma(std::sqrt(v[i]), c.root_correction, c.epsilon);
  }
}

template <class T>
void Momentum(const UpdateConstants<T>& c, const T* gradient, int64_t n, T* m, T* p) {
  for (int64_t i = 0; i < n; ++i) {
    m[i] = std::fma(c.beta1, m[i], c.gradient * gradient[i]);
    const T weight = p[i] - c.decay * p[i];
    p[i] = std::fma(-c.learning_rate, m[i], weight);
  }
}

template <class T>
int TopK(const T* z, int width, int k, T* /*scratch*/, int32_t* index, T* value) {
  std::vector<std::pair<T, int32_t>> positive;
  for (int j = 0; j < width; ++j) {
    if (z[j] > T(0)) positive.emplace_back(z[j], j);
  }
  std::sort(positive.begin(), positive.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : a.second < b.second;
  });
  if (static_cast<int>(positive.size()) > k) positive.resize(k);
  std::sort(positive.begin(), positive.end(),
            [](const auto& a, const auto& b) { return a.second < b.second; });
  for (size_t e = 0; e < positive.size(); ++e) {
    index[e] = positive[e].second;
    value[e] = positive[e].first;
  }
  return static_cast<int>(positive.size());
}

template <class T>
int AtLeast(const T* z, int width, T bound, int32_t* index, T* value) {
  int count = 0;
  for (int j = 0; j < width; ++j) {
    if (!(z[j] > T(0) && z[j] >= bound)) continue;
    index[count] = j;
    value[count++] = z[j];
  }
  return count;
}

inline void EncodeCounts(const int32_t* weights, const CountRows& rows, const float* scale,
                         const float* bias, int width, int64_t stride, float* z) {
  for (int r = 0; r < rows.count; ++r) {
    for (int j = 0; j < width; ++j) {
      int64_t sum = 0;
      for (int block = 0; block < rows.blocks; ++block) {
        const CountSpan& span = rows.spans[r * rows.blocks + block];
        const int32_t* w = weights + int64_t{block} * rows.block_rows * kPanel + j;
        for (int e = span.added; e < span.multiplied; ++e) sum += w[rows.offsets[e]];
        for (int e = span.multiplied; e < span.end; ++e) {
          sum += int64_t{rows.counts[e]} * w[rows.offsets[e]];
        }
      }
      z[r * stride + j] = std::fma(static_cast<float>(sum), scale[j], bias[j]);
    }
  }
}

template <class T>
void EncodeFloats(const T* weights, const T* bias, const T* x, int rows, int inputs, int width,
                  int64_t stride, T* z) {
  for (int r = 0; r < rows; ++r) {
    for (int j = 0; j < width; ++j) {
      T sum = bias[j];
      for (int i = 0; i < inputs; ++i) {
        sum = std::fma(x[int64_t{r} * inputs + i], weights[int64_t{i} * kPanel + j], sum);
      }
      z[r * stride + j] = sum;
    }
  }
}

inline void PackCounts(const float* rows, int64_t stride, int n, int count, const float* factor,
                       int32_t* out) {
  for (int j = 0; j < count; ++j) {
    for (int i = 0; i < n; ++i) {
      out[i * kPanel + j] = std::min(
          static_cast<int32_t>(std::nearbyint(rows[j * stride + i] * factor[j])), kLargestWeight);
    }
  }
}

template <class T>
KernelTable<T> Table() {
  return {"reference",     Dot<T>,         AddScaled<T>,
          Scale<T>,        Weighted<T, T>, Weighted<T, uint8_t>,
          Dots<T>,         LossSlope<T>,   Scores<T>,
          ScoreWithout<T>, Adam<T>,        Momentum<T>,
          TopK<T>,         AtLeast<T>,     EncodeCounts,
          EncodeFloats<T>, PackCounts};
}

}  // namespace saed::sae::reference
