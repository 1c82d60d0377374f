// Adam (Kingma & Ba 2015) with PyTorch's order of operations.
#pragma once

#include <Eigen/Core>
#include <cmath>
#include <cstdint>

#include "server/sae/kernels/vector_ops.h"
#include "server/sae/spec.h"

namespace saed::sae {

// Constants of one update; t counts from 1.
template <class T>
struct AdamConstants {
  T beta1, beta2, step_size, root_correction, epsilon;

  AdamConstants(const Optimiser& o, double learning_rate, int64_t t)
      : beta1(static_cast<T>(o.beta1)),
        beta2(static_cast<T>(o.beta2)),
        step_size(static_cast<T>(learning_rate / (1 - std::pow(o.beta1, static_cast<double>(t))))),
        root_correction(
            static_cast<T>(1 / std::sqrt(1 - std::pow(o.beta2, static_cast<double>(t))))),
        epsilon(static_cast<T>(o.epsilon)) {}
};

// parameter −= step · m / (√v / √(1 − β₂ᵗ) + ε), with m and v updated by `gradient` first.
template <class T>
void AdamUpdate(const AdamConstants<T>& c, const T* gradient, int64_t n, T* m, T* v, T* parameter) {
  using V = typename Vec<T>::type;
  ForVectors(n, m, v, parameter, gradient, [&c](V& first, V& second, V& p, V g) {
    first = c.beta1 * first + (1 - c.beta1) * g;
    second = c.beta2 * second + (1 - c.beta2) * (g * g);
    p -= c.step_size * first / (Sqrt(second) * c.root_correction + c.epsilon);
  });
}

}  // namespace saed::sae
