// Analytic gradients of the training step against central differences, in double precision, for
// every selection × loss × output that Validate allows, with Matryoshka levels and AuxK.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "server/sae/random.h"
#include "server/sae/step.h"

namespace saed::sae {
namespace {

struct Case {
  Selection selection;
  Loss loss;
  Output output;
  bool aux;
};

class Gradient : public testing::TestWithParam<Case> {};

TEST_P(Gradient, MatchesCentralDifferences) {
  const Case c = GetParam();
  const int S = 2, units = 5, inputs = S * units, features = 14;
  ModelSpec spec;
  spec.selection = c.selection;
  spec.levels = {{6, 2, 1.5}, {features, 3, 0.75}};
  spec.loss = c.loss;
  spec.output = c.output;
  spec.aux.weight = c.aux ? 0.5 : 0;
  spec.aux.k = 2;
  const std::vector<int32_t> dead = c.aux ? std::vector<int32_t>{3, 8, 11} : std::vector<int32_t>{};

  std::vector<uint8_t> counts(60 * units);
  const CounterRandom random(11, 5);
  for (size_t i = 0; i < counts.size(); ++i) {
    counts[i] = static_cast<uint8_t>(random.Below(i, 4));
  }
  const CountView view{counts.data(), DType::kU8, 60, units};
  std::vector<int64_t> starts(20);
  std::iota(starts.begin(), starts.end(), 3);
  auto p = InitialParameters<double>(features, inputs, DecoderStart::kIndependent, 9);
  for (size_t i = 0; i < p.decoder_bias.size(); ++i)
    p.decoder_bias[i] = 0.1 * random.Normal(900 + i);
  for (size_t i = 0; i < p.encoder_bias.size(); ++i)
    p.encoder_bias[i] = 0.1 * random.Normal(950 + i);

  // The auxiliary target e = y − ŷ and var(e) are constants of the step, so the auxiliary loss is
  // recomputed here with those of the unperturbed parameters.
  const auto forward = [&](const Parameters<double>& q, Step<double>& step) {
    PackedEncoder<double> packed(features, inputs);
    packed.Pack(q.encoder.data(), q.encoder_bias.data());
    step.Load(view, {}, starts, S);
    step.Encode(packed);
    step.Select();
    return step.Loss(q, dead);
  };
  Step<double> base(spec, inputs);
  forward(p, base);
  Parameters<double> gradient = p;
  base.Backward(p, [&](const LatentGradient<double>& g) {
    std::copy_n(g.encoder, inputs, gradient.encoder_row(g.latent));
    std::copy_n(g.decoder, inputs, gradient.decoder_row(g.latent));
    gradient.encoder_bias[g.latent] = g.encoder_bias;
  });
  gradient.decoder_bias = base.decoder_bias_gradient();
  if (c.aux) {
    ASSERT_GT(base.aux().codes.value.size(), 5u);
  }

  // Loss of perturbed parameters with the frozen residual: levels directly, aux by hand.
  std::vector<double> residual(starts.size() * inputs), frozen_variance(1);
  {
    ModelSpec plain = spec;
    Step<double> again(plain, inputs);
    forward(p, again);
    // Recover e from the last level's reconstruction.
    const auto& codes = again.levels().back().codes;
    std::vector<double> mean(inputs), square(inputs);
    for (size_t b = 0; b < starts.size(); ++b) {
      for (int i = 0; i < inputs; ++i) {
        double a = p.decoder_bias[i];
        for (int64_t e = codes.row_begin[b]; e < codes.row_begin[b + 1]; ++e) {
          a += codes.value[e] * p.decoder_row(codes.latent[e])[i];
        }
        const double y_hat = c.output == Output::kIdentity ? a
                             : c.output == Output::kRelu   ? std::max(a, 0.0)
                                                           : std::log1p(std::exp(a));
        residual[b * inputs + i] = counts[starts[b] * units + i] - y_hat;
        mean[i] += residual[b * inputs + i] / starts.size();
        square[i] += residual[b * inputs + i] * residual[b * inputs + i] / starts.size();
      }
    }
    for (int i = 0; i < inputs; ++i) frozen_variance[0] += (square[i] - mean[i] * mean[i]) / inputs;
  }
  const auto total = [&](const Parameters<double>& q) {
    Step<double> step(spec, inputs);
    forward(q, step);
    double sum = 0;
    for (const auto& level : step.levels()) sum += level.loss;
    if (!c.aux) return sum;
    const auto& codes = step.aux().codes;
    double aux = 0;
    for (size_t b = 0; b < starts.size(); ++b) {
      for (int i = 0; i < inputs; ++i) {
        double a = 0;
        for (int64_t e = codes.row_begin[b]; e < codes.row_begin[b + 1]; ++e) {
          a += codes.value[e] * q.decoder_row(codes.latent[e])[i];
        }
        aux += std::pow(a - residual[b * inputs + i], 2);
      }
    }
    return sum + spec.aux.weight * aux / (frozen_variance[0] * starts.size() * inputs);
  };
  const auto check = [&](std::vector<double> Parameters<double>::*tensor, const char* name) {
    double error = 0, norm = 0;
    for (size_t i = 0; i < (p.*tensor).size(); ++i) {
      const double h = 1e-6;
      Parameters<double> up = p, down = p;
      (up.*tensor)[i] += h;
      (down.*tensor)[i] -= h;
      const double numeric = (total(up) - total(down)) / (2 * h);
      error += std::pow(numeric - (gradient.*tensor)[i], 2);
      norm += numeric * numeric;
    }
    ASSERT_GT(norm, 1e-12) << name;
    EXPECT_LE(std::sqrt(error / norm), 1e-5) << name;
  };
  check(&Parameters<double>::encoder, "encoder");
  check(&Parameters<double>::encoder_bias, "encoder_bias");
  check(&Parameters<double>::decoder, "decoder");
  check(&Parameters<double>::decoder_bias, "decoder_bias");
}

std::vector<Case> Cases() {
  std::vector<Case> out;
  for (Selection s : {Selection::kTopK, Selection::kBatchTopK}) {
    for (bool aux : {false, true}) {
      for (Output o : {Output::kIdentity, Output::kRelu, Output::kSoftplus}) {
        out.push_back({s, Loss::kMse, o, aux});
        if (o != Output::kIdentity) out.push_back({s, Loss::kMsle, o, aux});
        if (o == Output::kSoftplus) out.push_back({s, Loss::kPoisson, o, aux});
      }
    }
  }
  return out;
}

INSTANTIATE_TEST_SUITE_P(Sae, Gradient, testing::ValuesIn(Cases()), [](const auto& info) {
  return std::string(Name(info.param.selection)) + "_" + std::string(Name(info.param.loss)) + "_" +
         std::string(Name(info.param.output)) + (info.param.aux ? "_aux" : "");
});

}  // namespace
}  // namespace saed::sae
