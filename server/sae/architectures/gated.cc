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

constexpr int kMain = 0, kGain = 0, kMagnitudeBias = 1;

template <class T>
class Gated final : public Architecture<T> {
 public:
  explicit Gated(const ModelSpec& spec) : weight_(spec.levels.back().weight) {}

  std::vector<Pass<T>> Passes() const override {
    std::vector<Pass<T>> out(2);
    out[0].weight = out[1].weight = weight_;
    out[0].trains_bias = false;
    out[0].extra_slope.resize(2);
    out[1].trains_decoder = false;
    return out;
  }

  void Begin(int64_t rows, std::vector<Pass<T>>& /*passes*/) override { gathered_.Begin(rows); }

  bool needs_batch() const override { return true; }

  void SelectRows(const Batch<T>& batch, int64_t first, int64_t last,
                  std::vector<Pass<T>>& /*passes*/) override {
    const int width = batch.parameters.features;
    gathered_.Gather(first, last, width, [&](int64_t b, int32_t* index, T* value) {
      return Kernels<T>().at_least(batch.row(b), width, T(0), index, value);
    });
  }

  void SelectBatch(const Batch<T>& batch, std::vector<Pass<T>>& passes) override {
    gathered_.Write(batch.rows, passes[1]);
    Pass<T>& main = passes[0];
    main.begin = passes[1].begin;
    main.end = passes[1].end;
    main.latent = passes[1].latent;
    main.value.resize(passes[1].value.size());
    for (auto& extra : main.extra_slope) extra.resize(main.value.size());
    for (size_t e = 0; e < main.value.size(); ++e) {
      main.value[e] = std::max(Magnitude(batch, main.latent[e], passes[1].value[e]), T(0));
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
      const T gain = std::exp(batch.parameters.extra[kGain][j]);
      const T u = batch.row(b)[j] - batch.parameters.encoder_bias[j];
      pass.extra_slope[kGain][e] = slope * gain * u;
      pass.extra_slope[kMagnitudeBias][e] = slope;
      pass.slope[e] = slope * gain;
    }
    return penalty;
  }

 private:
  static T Magnitude(const Batch<T>& batch, int32_t j, T pi) {
    const auto& p = batch.parameters;
    return std::exp(p.extra[kGain][j]) * (pi - p.encoder_bias[j]) + p.extra[kMagnitudeBias][j];
  }

  double weight_;
  GatheredRows<T> gathered_;
};

int Code(const CodeInput& in, const float* z, float* /*scratch*/, int32_t* index, float* value) {
  const auto& p = in.parameters;
  int n = 0;
  for (int j = 0; j < in.spec.features(); ++j) {
    if (!(z[j] > 0)) continue;
    const float m =
        std::exp(p.extra[kGain][j]) * (z[j] - p.encoder_bias[j]) + p.extra[kMagnitudeBias][j];
    if (!(m > 0)) continue;
    index[n] = j;
    value[n++] = m;
  }
  return n;
}

}  // namespace

ArchitectureEntry GatedEntry() {
  return {Selection::kGated,
          [](const ModelSpec&) {
            return std::vector<LatentParameter>{{"log_gain", 0.0}, {"magnitude_bias", 0.0}};
          },
          [](const ModelSpec& s) -> std::unique_ptr<Architecture<float>> {
            return std::make_unique<Gated<float>>(s);
          },
          [](const ModelSpec& s) -> std::unique_ptr<Architecture<double>> {
            return std::make_unique<Gated<double>>(s);
          },
          Code};
}

}  // namespace saed::sae
