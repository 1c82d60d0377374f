// Output functions g and reconstruction losses, element by element, with their derivatives.
#pragma once

#include <algorithm>
#include <cmath>

#include "server/sae/spec.h"

namespace saed::sae {

inline constexpr double kPoissonEpsilon = 1e-8;

template <class T>
T Softplus(T a) {
  return std::max(a, T(0)) + std::log1p(std::exp(-std::abs(a)));
}

// ŷ = g(a).
template <class T>
T Activate(Output output, T a) {
  switch (output) {
    case Output::kIdentity:
      return a;
    case Output::kRelu:
      return std::max(a, T(0));
    case Output::kSoftplus:
      return Softplus(a);
  }
  return a;
}

// The a with g(a) = ŷ, for the start of the decoder bias. ReLU and softplus cannot reach ŷ ≤ 0:
// there softplus' inverse of a rate of 1e-3 is given, and 0.
template <class T>
T ActivateInverse(Output output, T prediction) {
  switch (output) {
    case Output::kIdentity:
      return prediction;
    case Output::kRelu:
      return std::max(prediction, T(0));
    case Output::kSoftplus: {
      const T rate = std::max(prediction, T(1e-3));
      return rate + std::log(-std::expm1(-rate));
    }
  }
  return prediction;
}

// g'(a).
template <class T>
T ActivateSlope(Output output, T a) {
  switch (output) {
    case Output::kIdentity:
      return T(1);
    case Output::kRelu:
      return a > T(0) ? T(1) : T(0);
    case Output::kSoftplus:
      return T(1) / (T(1) + std::exp(-a));
  }
  return T(1);
}

// loss(ŷ, y) and ∂loss/∂ŷ of one element.
template <class T>
struct LossValue {
  T value, slope;
};

template <class T>
LossValue<T> Evaluate(Loss loss, T prediction, T target) {
  switch (loss) {
    case Loss::kMse: {
      const T e = prediction - target;
      return {e * e, 2 * e};
    }
    case Loss::kMsle: {
      const T e = std::log1p(prediction) - std::log1p(target);
      return {e * e, 2 * e / (1 + prediction)};
    }
    case Loss::kPoisson: {
      const T rate = prediction + static_cast<T>(kPoissonEpsilon);
      return {prediction - target * std::log(rate), 1 - target / rate};
    }
  }
  return {T(0), T(0)};
}

// The score −∂ℓ/∂a of one output's negative log-likelihood ℓ and its information: see
// ScoreAndInformation of kernels/elementary.h.
template <class T>
struct ScoreValue {
  T score, information;
};

template <class T>
ScoreValue<T> EvaluateScore(Loss loss, Output output, T a, T target) {
  const T prediction = Activate(output, a), derivative = ActivateSlope(output, a);
  const T slope = Evaluate(loss, prediction, target).slope * derivative;
  switch (loss) {
    case Loss::kMse:
      return {-slope / 2, derivative * derivative};
    case Loss::kMsle: {
      const T s = derivative / (1 + prediction);
      return {-slope / 2, s * s};
    }
    case Loss::kPoisson:
      return {-slope, derivative * derivative / (prediction + static_cast<T>(kPoissonEpsilon))};
  }
  return {T(0), T(0)};
}

}  // namespace saed::sae
