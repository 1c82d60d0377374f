// JumpReLU (Rajamanoharan et al. 2024, arXiv 2407.14435): f = z·1[z > θ_j] with learned
// θ_j = exp(log θ_j), and the loss gains λ·mean_B Σ_j 1[z_j > θ_j]. Both steps are differentiated
// by straight-through estimators with a rectangular window K of width ε around θ_j:
//   ∂f/∂θ_j = −(θ_j/ε)·K((z_j − θ_j)/ε),   ∂1[z_j > θ_j]/∂θ_j = −(1/ε)·K((z_j − θ_j)/ε),
// and ∂/∂log θ_j = θ_j·∂/∂θ_j. Entries inside the window but below θ_j take part with f = 0.
#include <cmath>

#include "server/sae/architectures/rows.h"

namespace saed::sae {
namespace {

template <class T>
class JumpRelu final : public GatheringArchitecture<T> {
 public:
  explicit JumpRelu(const ModelSpec& spec)
      : GatheringArchitecture<T>(spec), bandwidth_(static_cast<T>(spec.penalty.bandwidth)) {}

  std::vector<Pass<T>> Passes() const override {
    auto out = GatheringArchitecture<T>::Passes();
    out[0].extra_slope.resize(1);
    return out;
  }

  void Begin(const Batch<T>& batch, std::vector<Pass<T>>& passes) override {
    GatheringArchitecture<T>::Begin(batch, passes);
    theta_ = Exponentials(batch.parameters);
  }

  void SelectRows(const Batch<T>& batch, int64_t first, int64_t last,
                  std::vector<Pass<T>>& /*passes*/) override {
    const int width = batch.parameters.features;
    this->gathered_.Gather(first, last, width, [&](int64_t b, int32_t* index, T* value) {
      const T* z = batch.row(b);
      int n = 0;
      for (int j = 0; j < width; ++j) {
        // Every z is written, the next one over it unless it counts.
        index[n] = j;
        value[n] = z[j] > theta_[j] ? z[j] : T(0);
        n += z[j] > theta_[j] - bandwidth_ / 2;
      }
      return n;
    });
  }

  double FinishRow(const Batch<T>& batch, int64_t b, size_t /*pass*/,
                   Pass<T>& pass) const override {
    const T lambda = static_cast<T>(batch.coefficients.lambda / static_cast<double>(batch.rows));
    const T* z = batch.row(b);
    double penalty = 0;
    for (int64_t e = pass.begin[b]; e < pass.end[b]; ++e) {
      const int32_t j = pass.latent[e];
      const T theta = theta_[j];
      const bool open = z[j] > theta;
      const bool window = std::abs(z[j] - theta) < bandwidth_ / 2;
      pass.extra_slope[0][e] =
          window ? -theta * (theta * pass.slope[e] + lambda) / bandwidth_ : T(0);
      if (open) penalty += static_cast<double>(lambda);
      if (!open) pass.slope[e] = T(0);
    }
    return penalty;
  }

 private:
  T bandwidth_;
  std::vector<T> theta_;  // of the minibatch's parameters
};

int Code(const CodeInput& in, const float* z, float* /*scratch*/, int32_t* index, float* value) {
  int n = 0;
  for (int j = 0; j < in.spec.features(); ++j) {
    // Every z is written, the next one over it unless it counts.
    index[n] = j;
    value[n] = z[j];
    n += z[j] > in.exponentials[j];
  }
  return n;
}

}  // namespace

ArchitectureEntry JumpReluEntry() {
  return EntryOf<JumpRelu>(Selection::kJumpRelu, Code, [](const ModelSpec& s) {
    return std::vector<LatentParameter>{{"log_threshold", std::log(s.penalty.threshold)}};
  });
}

}  // namespace saed::sae
