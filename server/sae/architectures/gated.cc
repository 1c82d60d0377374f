// Gated (Rajamanoharan et al. 2024, arXiv 2404.16014): with u = W_g·x', π = u + b_g and
// m = e^r ⊙ u + b_m the code is f = 1[π > 0]·max(m, 0). The loss gains λ·mean_B ‖max(π, 0)‖₁ and
// the reconstruction loss of max(π, 0) with the decoder held constant. Only these two reach b_g;
// W_g also hears the main loss through m. Stored: encoder W_g, encoder_bias b_g, log_gain r,
// magnitude_bias b_m.
#include <cmath>

#include "server/sae/architectures/rows.h"
#include "server/sae/kernels/dispatch.h"

namespace saed::sae {
namespace {

constexpr size_t kMain = 0, kGate = 1;           // passes
constexpr size_t kGain = 0, kMagnitudeBias = 1;  // extra parameters

template <class T>
class Gated final : public GatheringArchitecture<T> {
 public:
  using GatheringArchitecture<T>::GatheringArchitecture;

  std::vector<Pass<T>> Passes() const override {
    auto out = GatheringArchitecture<T>::Passes();
    out.push_back(out[kMain]);
    out[kMain].trains_bias = false;
    out[kMain].extra_slope.resize(2);
    out[kGate].trains_decoder = false;
    return out;
  }

  void Begin(const Batch<T>& batch, std::vector<Pass<T>>& passes) override {
    GatheringArchitecture<T>::Begin(batch, passes);
    gain_ = Exponentials(batch.parameters);
  }

  void SelectBatch(const Batch<T>& batch, std::vector<Pass<T>>& passes) override {
    this->gathered_.Write(batch.rows, passes[kGate]);
    const Pass<T>& gate = passes[kGate];
    Pass<T>& main = passes[kMain];
    main.begin = gate.begin;
    main.end = gate.end;
    main.latent = gate.latent;
    main.value.resize(gate.value.size());
    for (size_t e = 0; e < main.value.size(); ++e) {
      main.value[e] = std::max(Magnitude(batch, main.latent[e], gate.value[e]), T(0));
    }
  }

  double FinishRow(const Batch<T>& batch, int64_t b, size_t index, Pass<T>& pass) const override {
    const T lambda = static_cast<T>(batch.coefficients.lambda / static_cast<double>(batch.rows));
    double penalty = 0;
    for (int64_t e = pass.begin[b]; e < pass.end[b]; ++e) {
      if (index != kMain) {
        penalty += static_cast<double>(lambda * pass.value[e]);
        pass.slope[e] += lambda;
        continue;
      }
      const int32_t j = pass.latent[e];
      const T slope = pass.value[e] > T(0) ? pass.slope[e] : T(0);
      const T gain = gain_[j];
      const T u = batch.row(b)[j] - batch.parameters.encoder_bias[j];
      pass.extra_slope[kGain][e] = slope * gain * u;
      pass.extra_slope[kMagnitudeBias][e] = slope;
      pass.slope[e] = slope * gain;
    }
    return penalty;
  }

 private:
  T Magnitude(const Batch<T>& batch, int32_t j, T pi) const {
    const auto& p = batch.parameters;
    return gain_[j] * (pi - p.encoder_bias[j]) + p.extra[kMagnitudeBias][j];
  }

  std::vector<T> gain_;  // e^r of the minibatch's parameters
};

int Code(const CodeInput& in, const float* z, float* /*scratch*/, int32_t* index, float* value) {
  const auto& p = in.parameters;
  const int open = Kernels<float>().at_least(z, in.spec.features(), 0, index, value);
  int n = 0;
  for (int e = 0; e < open; ++e) {
    const int32_t j = index[e];
    const float m =
        in.exponentials[j] * (value[e] - p.encoder_bias[j]) + p.extra[kMagnitudeBias][j];
    index[n] = j;
    value[n] = m;
    n += m > 0;
  }
  return n;
}

}  // namespace

ArchitectureEntry GatedEntry() {
  return EntryOf<Gated>(Selection::kGated, Code, [](const ModelSpec&) {
    return std::vector<LatentParameter>{{"log_gain", 0.0}, {"magnitude_bias", 0.0}};
  });
}

}  // namespace saed::sae
