// exp, log and the functions made of them, written once over a lane type so that a scalar and a
// vector of lanes give the same bits. V needs + − · / , Fma, Max, Min, Set, Blend (mask ? a : b),
// Less, Exponent (2^n from an integral n), Mantissa and Log2Floor.
#pragma once

#include "server/sae/kinds.h"

namespace saed::sae {

// e^x to 2 ulp on [−87, 87]; clamped outside. Cody-Waite reduction and a Taylor polynomial of
// degree 6 on |r| ≤ ln2/2 (remainder below 2^-26).
template <class V>
V Exp(V x) {
  x = Min(Max(x, V::Set(-87.0f)), V::Set(87.0f));
  const V n = Round(x * V::Set(1.44269504f));
  V r = Fma(n, V::Set(-0.693359375f), x);
  r = Fma(n, V::Set(2.12194440e-4f), r);
  V p = V::Set(1.0f / 5040);
  p = Fma(p, r, V::Set(1.0f / 720));
  p = Fma(p, r, V::Set(1.0f / 120));
  p = Fma(p, r, V::Set(1.0f / 24));
  p = Fma(p, r, V::Set(1.0f / 6));
  p = Fma(p, r, V::Set(0.5f));
  p = Fma(p, r, V::Set(1.0f));
  p = Fma(p, r, V::Set(1.0f));
  return p * Exponent(n);
}

// ln x for normal x > 0, to 2 ulp: x = m·2^e with m in [√½, √2), ln m = 2·atanh(s), s =
// (m−1)/(m+1).
template <class V>
V Log(V x) {
  V m = x, e = x;
  Split(x, m, e);  // m in [0.5, 1)
  const auto low = Less(m, V::Set(0.707106781f));
  m = Blend(low, m + m, m);
  e = Blend(low, e - V::Set(1.0f), e);
  const V s = (m - V::Set(1.0f)) / (m + V::Set(1.0f));
  const V q = s * s;
  V p = V::Set(2.0f / 11);
  p = Fma(p, q, V::Set(2.0f / 9));
  p = Fma(p, q, V::Set(2.0f / 7));
  p = Fma(p, q, V::Set(2.0f / 5));
  p = Fma(p, q, V::Set(2.0f / 3));
  p = Fma(p * q, s, s + s);
  return Fma(e, V::Set(0.693359375f), Fma(e, V::Set(-2.12194440e-4f), p));
}

// ln(1 + t) for t ≥ 0, exact for tiny t too: t·ln(u)/(u − 1) with u = 1 + t (Kahan).
template <class V>
V Log1p(V t) {
  const V one = V::Set(1.0f);
  const V u = t + one, d = u - one;
  const auto tiny = Less(d, V::Set(1e-30f));
  return Blend(tiny, t, t * (Log(u) / Blend(tiny, one, d)));
}

// One lane vector of outputs: ŷ = g(a), and g'(a).
template <Output output, class V>
void Activation(V a, V& prediction, V& slope) {
  const V one = V::Set(1.0f), zero = V::Set(0.0f);
  if constexpr (output == Output::kIdentity) {
    prediction = a;
    slope = one;
  } else if constexpr (output == Output::kRelu) {
    prediction = Max(a, zero);
    slope = Blend(Less(zero, a), one, zero);
  } else {
    const V t = Exp(Min(a, zero - a));  // e^−|a|
    prediction = Max(a, zero) + Log1p(t);
    slope = Blend(Less(a, zero), t, one) / (one + t);
  }
}

// Loss and ∂loss/∂ŷ.
template <Loss loss, class V>
void LossAndSlope(V prediction, V y, V& value, V& slope) {
  const V one = V::Set(1.0f);
  if constexpr (loss == Loss::kMse) {
    const V e = prediction - y;
    value = e * e;
    slope = e + e;
  } else if constexpr (loss == Loss::kMsle) {
    const V e = Log1p(prediction) - Log1p(y);
    value = e * e;
    slope = (e + e) / (one + prediction);
  } else {
    const V rate = prediction + V::Set(1e-8f);
    value = prediction - y * Log(rate);
    slope = one - y / rate;
  }
}

// Calls use<loss, output>().
template <class Use>
void WithLossAndOutput(Loss loss, Output output, const Use& use) {
  const auto with_loss = [&]<Loss l>() {
    switch (output) {
      case Output::kIdentity:
        return use.template operator()<l, Output::kIdentity>();
      case Output::kRelu:
        return use.template operator()<l, Output::kRelu>();
      case Output::kSoftplus:
        return use.template operator()<l, Output::kSoftplus>();
    }
  };
  switch (loss) {
    case Loss::kMse:
      return with_loss.template operator()<Loss::kMse>();
    case Loss::kMsle:
      return with_loss.template operator()<Loss::kMsle>();
    case Loss::kPoisson:
      return with_loss.template operator()<Loss::kPoisson>();
  }
}

// What the count y says about the pre-activation a of its output: the score −∂ℓ/∂a and its
// information, the mean of the score's square where the model is right. ℓ is the negative
// log-likelihood that the loss stands for: Poisson's, or half the squared error of a normal
// distribution of variance 1 (MSLE: of log(1 + y)). Poisson: g'·(y/λ − 1) and g'²/λ.
template <Loss loss, Output output, class V>
void ScoreAndInformation(V a, V y, V& score, V& information) {
  const V one = V::Set(1.0f);
  V prediction, derivative;
  Activation<output>(a, prediction, derivative);
  if constexpr (loss == Loss::kMse) {
    score = derivative * (y - prediction);
    information = derivative * derivative;
  } else if constexpr (loss == Loss::kMsle) {
    const V slope = derivative / (one + prediction);
    score = slope * (Log1p(y) - Log1p(prediction));
    information = slope * slope;
  } else {
    const V slope = derivative / (prediction + V::Set(1e-8f));
    score = Fma(slope, y, V::Set(0.0f) - derivative);
    information = slope * derivative;
  }
}

}  // namespace saed::sae
