// Adam, AdamW and SGD with momentum over an SAE's parameters, with PyTorch's meaning and order.
#pragma once

#include <cmath>
#include <cstdint>

#include "server/sae/kernels/dispatch.h"
#include "server/sae/parameters.h"

namespace saed::sae {

// Adam: p −= step · m / (√v / √(1 − β₂ᵗ) + ε) with step = η/(1 − β₁ᵗ); t counts from 1.
template <class T>
UpdateConstants<T> ConstantsOf(const Optimiser& o, double learning_rate, int64_t t) {
  UpdateConstants<T> c;
  c.learning_rate = static_cast<T>(learning_rate);
  c.beta1 = static_cast<T>(o.beta1);
  c.beta2 = static_cast<T>(o.beta2);
  c.step_size = static_cast<T>(learning_rate / (1 - std::pow(o.beta1, static_cast<double>(t))));
  c.root_correction = static_cast<T>(1 / std::sqrt(1 - std::pow(o.beta2, static_cast<double>(t))));
  c.epsilon = static_cast<T>(o.epsilon);
  return c;
}

// First and second moments, shaped like the parameters; the second stays empty with momentum.
template <class T>
struct Moments {
  Parameters<T> first, second;
};

template <class T>
class Updater {
 public:
  Updater(const Optimiser& o, double learning_rate, int64_t t)
      : kind_(o.kind),
        plain_(ConstantsOf<T>(o, learning_rate, t)),
        decayed_(plain_),
        kernels_(Kernels<T>()) {
    if (o.kind != OptimiserKind::kAdam) {
      decayed_.decay = static_cast<T>(learning_rate * o.weight_decay);
    }
  }

  void set_gradient_factor(T factor) { plain_.gradient = decayed_.gradient = factor; }

  // A row of one of the two matrices.
  void Matrix(const T* gradient, int64_t n, T* m, T* v, T* p) const {
    Update(decayed_, gradient, n, m, v, p);
  }
  // Biases and the architecture's own parameters: never decayed.
  void Vector(const T* gradient, int64_t n, T* m, T* v, T* p) const {
    Update(plain_, gradient, n, m, v, p);
  }

 private:
  void Update(const UpdateConstants<T>& c, const T* gradient, int64_t n, T* m, T* v, T* p) const {
    if (kind_ == OptimiserKind::kMomentum) {
      kernels_.momentum(c, gradient, n, m, p);
    } else {
      kernels_.adam(c, gradient, n, m, v, p);
    }
  }

  OptimiserKind kind_;
  UpdateConstants<T> plain_, decayed_;
  const KernelTable<T>& kernels_;
};

}  // namespace saed::sae
