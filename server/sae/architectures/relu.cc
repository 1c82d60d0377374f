// ReLU with an L1 penalty (Bricken et al. 2023): f = max(z, 0), and the loss gains
// λ · mean_B Σ_j f_j·‖W_d[:,j]‖₂, where the columns have unit norm. p-anneal (Karvonen et al. 2024)
// replaces f by (f + ε)^p − ε^p with p falling from 1; ε = 0.01 bounds the slope at 0.
#include <cmath>

#include "server/sae/architectures/rows.h"
#include "server/sae/kernels/dispatch.h"

namespace saed::sae {
namespace {

constexpr double kSoft = 0.01;

template <class T>
class Relu final : public GatheringArchitecture<T> {
 public:
  using GatheringArchitecture<T>::GatheringArchitecture;

  double FinishRow(const Batch<T>& batch, int64_t b, size_t /*pass*/,
                   Pass<T>& pass) const override {
    const auto& c = batch.coefficients;
    const double lambda = c.lambda / static_cast<double>(batch.rows);
    double penalty = 0;
    for (int64_t e = pass.begin[b]; e < pass.end[b]; ++e) {
      const auto f = static_cast<double>(pass.value[e]);
      if (c.p == 1) {
        penalty += lambda * f;
        pass.slope[e] += static_cast<T>(lambda);
      } else {
        penalty += lambda * (std::pow(f + kSoft, c.p) - std::pow(kSoft, c.p));
        pass.slope[e] += static_cast<T>(lambda * c.p * std::pow(f + kSoft, c.p - 1));
      }
    }
    return penalty;
  }
};

int Code(const CodeInput& in, const float* z, float* scratch, int32_t* index, float* value) {
  if (in.top_k) {
    return Kernels<float>().top_k(z, in.spec.features(), in.spec.k(), scratch, index, value);
  }
  return Kernels<float>().at_least(z, in.spec.features(), 0, index, value);
}

}  // namespace

ArchitectureEntry ReluEntry() { return EntryOf<Relu>(Selection::kRelu, Code); }

}  // namespace saed::sae
