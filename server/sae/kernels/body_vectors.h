// Sums over sixteen lanes, sparse decode and its gradients, losses, optimisers. Part of body.h,
// which says how these files are compiled.
#pragma once

#include "server/sae/kernels/elementary.h"
#include "server/sae/kernels/table.h"

namespace saed::sae {
namespace {

constexpr int kChunk = 4 * kLanes;  // floats that stay in registers

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

template <Loss loss, Output output>
void ScoresOf(const float* a, const float* y, int n, float* score, float* information) {
  int i = 0;
  V s, info;
  for (; i + kLanes <= n; i += kLanes) {
    ScoreAndInformation<loss, output>(Load(a + i), Load(y + i), s, info);
    Store(score + i, s);
    if (information != nullptr) Store(information + i, info);
  }
  if (i < n) {
    const int rest = n - i;
    ScoreAndInformation<loss, output>(LoadPart(a + i, rest), LoadPart(y + i, rest), s, info);
    StorePart(score + i, s, rest);
    if (information != nullptr) StorePart(information + i, info, rest);
  }
}

void Scores(Loss loss, Output output, const float* a, const float* y, int n, float* score,
            float* information) {
  WithLossAndOutput(loss, output,
                    [&]<Loss l, Output o>() { ScoresOf<l, o>(a, y, n, score, information); });
}

template <Loss loss, Output output>
float ScoreWithoutOf(const float* a, const float* y, const float* row, float value, int n,
                     float* information) {
  const V taken = V::Set(-value);
  V sum = V::Set(0), squares = V::Set(0), s, info;
  const auto add = [&](V act, V target, V weight) {
    ScoreAndInformation<loss, output>(Fma(taken, weight, act), target, s, info);
    sum = Fma(weight, s, sum);
    squares = Fma(weight * weight, info, squares);
  };
  int i = 0;
  for (; i + kLanes <= n; i += kLanes) add(Load(a + i), Load(y + i), Load(row + i));
  // Lanes behind the end have no weight, and what is finite at 0 adds nothing.
  if (i < n) add(LoadPart(a + i, n - i), LoadPart(y + i, n - i), LoadPart(row + i, n - i));
  *information = SumLanes(squares);
  return SumLanes(sum);
}

float ScoreWithout(Loss loss, Output output, const float* a, const float* y, const float* row,
                   float value, int n, float* information) {
  float out = 0;
  WithLossAndOutput(loss, output, [&]<Loss l, Output o>() {
    out = ScoreWithoutOf<l, o>(a, y, row, value, n, information);
  });
  return out;
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

}  // namespace
}  // namespace saed::sae
