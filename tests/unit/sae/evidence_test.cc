// Evidence against the definition: finite differences of the likelihood, plain sums in double, and
// the moments of a Poisson count.
#include "server/sae/evidence.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <tuple>

#include "server/sae/losses.h"
#include "server/sae/random.h"

namespace saed::sae {
namespace {

// Half the squared error for MSE and MSLE, Poisson's own: what the scores are derivatives of.
double NegativeLogLikelihood(Loss loss, Output output, double a, double y) {
  const double value = Evaluate(loss, Activate(output, a), y).value;
  return loss == Loss::kPoisson ? value : value / 2;
}

struct World {
  Model model;
  std::vector<uint8_t> counts;
  CountView view;
  std::vector<int64_t> starts;
  Codes<float> codes;

  World(Loss loss, Output output, int features = 37, int units = 9, int S = 3) {
    model.spec.levels = {{features, 4}};
    model.spec.loss = loss;
    model.spec.output = output;
    model.units = units;
    model.S = S;
    const int D = units * S;
    auto& p = model.parameters;
    p.features = features;
    p.inputs = p.outputs = D;
    const CounterRandom random(5, 1);
    int64_t at = 0;
    const auto fill = [&](std::vector<float>& v, size_t n, double scale) {
      v.resize(n);
      for (float& x : v) x = static_cast<float>(scale * random.Normal(at++));
    };
    fill(p.encoder, size_t(features) * D, 0.5);
    fill(p.encoder_bias, features, 0.1);
    fill(p.decoder, size_t(features) * D, 1);
    fill(p.decoder_bias, D, 0.5);
    for (int j = 0; j < features; ++j) NormaliseRow(p.decoder.data() + int64_t{j} * D, D);
    if (output == Output::kRelu) {  // away from the corner, where finite differences mean nothing
      for (float& b : p.decoder_bias) b = 20;
    }
    model.thresholds = {0.8f};
    const int bins = 120;
    counts.resize(bins * units);
    for (size_t i = 0; i < counts.size(); ++i) {
      counts[i] = static_cast<uint8_t>(random.Below(100000 + i, i % 9 == 4 ? 1 : 4));
    }
    view = {counts.data(), DType::kU8, bins, units};
    starts.resize(bins - S + 1);
    std::iota(starts.begin(), starts.end(), 0);
    model.training = MeasureTarget(view, model.normaliser, starts, S);
    Encoder(model).Encode(view, starts, CodeRule::kThreshold, codes);
  }

  // Σ_i NLL of window b with latent j's value replaced.
  double Likelihood(int64_t b, int j, double value) const {
    const auto& p = model.parameters;
    double sum = 0;
    for (int i = 0; i < p.outputs; ++i) {
      double a =
          static_cast<double>(p.decoder_bias[i]) + value * static_cast<double>(p.decoder_row(j)[i]);
      for (int64_t e = codes.row_begin[b]; e < codes.row_begin[b + 1]; ++e) {
        if (codes.latent[e] == j) continue;
        a += static_cast<double>(codes.value[e]) *
             static_cast<double>(p.decoder_row(codes.latent[e])[i]);
      }
      const double y = counts[starts[b] * model.units + i];
      sum += NegativeLogLikelihood(model.spec.loss, model.spec.output, a, y);
    }
    return sum;
  }
};

std::vector<int32_t> All(const Model& model) {
  std::vector<int32_t> out(model.spec.features());
  std::iota(out.begin(), out.end(), 0);
  return out;
}

class EvidenceOf : public testing::TestWithParam<std::tuple<Loss, Output>> {};

TEST_P(EvidenceOf, GivenTheOthersIsTheDerivativeOfTheLikelihood) {
  const World w(std::get<0>(GetParam()), std::get<1>(GetParam()));
  const auto latents = All(w.model);
  const EvidenceScorer scorer(w.model, EvidenceKind::kGivenOthers, latents);
  std::vector<float> s(w.starts.size() * latents.size());
  scorer.Score(w.view, w.starts, w.codes, s.data());
  ASSERT_GT(w.codes.latent.size(), w.starts.size());  // some latents are on in most windows
  const double h = 1e-4;
  for (int64_t b = 0; b < static_cast<int64_t>(w.starts.size()); b += 7) {
    for (const int32_t j : latents) {
      const double slope = (w.Likelihood(b, j, -h) - w.Likelihood(b, j, h)) / (2 * h);
      ASSERT_NEAR(s[b * latents.size() + j], slope, 2e-4 * (1 + std::abs(slope)))
          << "window " << b << ", latent " << j;
    }
  }
}

TEST_P(EvidenceOf, FiltersAreTheScoresSlopeInTheTarget) {
  const World w(std::get<0>(GetParam()), std::get<1>(GetParam()));
  const Loss loss = w.model.spec.loss;
  const Output output = w.model.spec.output;
  const auto weights = FilterWeights(w.model, EvidenceKind::kMarginal, {3});
  for (int i = 0; i < w.model.outputs(); ++i) {
    const double mean = w.model.training.mean[i];
    if (mean == 0) continue;
    const double a = output == Output::kSoftplus ? std::log(std::expm1(mean)) : mean;
    const double h = 1e-4;
    const double slope = (EvaluateScore(loss, output, a, mean + h).score -
                          EvaluateScore(loss, output, a, mean - h).score) /
                         (2 * h);
    const double row = w.model.parameters.decoder_row(3)[i];
    EXPECT_NEAR(weights[i], row * slope, 1e-5 * (1 + std::abs(row * slope))) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Losses, EvidenceOf,
                         testing::Values(std::tuple{Loss::kMse, Output::kIdentity},
                                         std::tuple{Loss::kMse, Output::kRelu},
                                         std::tuple{Loss::kMsle, Output::kSoftplus},
                                         std::tuple{Loss::kPoisson, Output::kRelu},
                                         std::tuple{Loss::kPoisson, Output::kSoftplus}));

TEST(Evidence, InformationIsTheMeanSquareOfThePoissonScore) {
  for (const double a : {-3.0, -0.5, 0.0, 1.0, 3.0}) {
    const double rate = Activate(Output::kSoftplus, a);
    double mean = 0, square = 0, p = std::exp(-rate);
    for (int y = 0; y < 80; ++y) {
      const double s = EvaluateScore(Loss::kPoisson, Output::kSoftplus, a, double(y)).score;
      mean += p * s;
      square += p * s * s;
      p *= rate / (y + 1);
    }
    EXPECT_NEAR(mean, 0, 1e-6);
    EXPECT_NEAR(square, EvaluateScore(Loss::kPoisson, Output::kSoftplus, a, 1.0).information, 1e-6);
  }
}

TEST(Evidence, TheZFormIsTheScoreOverTheRootOfItsInformation) {
  const World w(Loss::kPoisson, Output::kSoftplus);
  const std::vector<int32_t> latents = {36, 0, 5};
  const EvidenceScorer scorer(w.model, EvidenceKind::kGivenOthersZ, latents);
  std::vector<float> z(w.starts.size() * latents.size());
  scorer.Score(w.view, w.starts, w.codes, z.data());
  const auto& p = w.model.parameters;
  for (size_t b = 0; b < w.starts.size(); ++b) {
    for (size_t l = 0; l < latents.size(); ++l) {
      double score = 0, information = 0;
      for (int i = 0; i < p.outputs; ++i) {
        double a = p.decoder_bias[i];
        for (int64_t e = w.codes.row_begin[b]; e < w.codes.row_begin[b + 1]; ++e) {
          const int32_t k = w.codes.latent[e];
          if (k != latents[l]) a += double(w.codes.value[e]) * double(p.decoder_row(k)[i]);
        }
        const double y = w.counts[w.starts[b] * w.model.units + i],
                     d = p.decoder_row(latents[l])[i];
        const auto one = EvaluateScore(Loss::kPoisson, Output::kSoftplus, a, y);
        score += d * one.score;
        information += d * d * one.information;
      }
      ASSERT_NEAR(z[b * latents.size() + l], score / std::sqrt(information), 1e-4);
    }
  }
}

TEST(Evidence, RateAndCoresCountWhatEachUnitFired) {
  const World w(Loss::kPoisson, Output::kSoftplus);
  const int units = w.model.units, S = w.model.S;
  for (const EvidenceKind kind : {EvidenceKind::kRate, EvidenceKind::kCore3, EvidenceKind::kCore30,
                                  EvidenceKind::kQuasiRate, EvidenceKind::kQuasiCore3}) {
    const bool quasi = kind == EvidenceKind::kQuasiRate || kind == EvidenceKind::kQuasiCore3;
    const bool core3 = kind == EvidenceKind::kCore3 || kind == EvidenceKind::kQuasiCore3;
    const int32_t j = 11;
    const EvidenceScorer scorer(w.model, kind, {j});
    std::vector<float> s(w.starts.size());
    scorer.Score(w.view, w.starts, w.codes, s.data());
    std::vector<double> weight(units), size(units);
    for (int n = 0; n < units; ++n) {
      double row = 0, mean = 0, sum = 0, square = 0;
      for (int b = 0; b < S; ++b) {
        row += w.model.parameters.decoder_row(j)[b * units + n] / double(S);
        mean += w.model.training.mean[b * units + n] / double(S);
      }
      for (const int64_t start : w.starts) {
        double count = 0;
        for (int b = 0; b < S; ++b) count += w.counts[(start + b) * units + n];
        sum += count / double(w.starts.size());
        square += count * count / double(w.starts.size());
      }
      weight[n] = mean > 0 ? row * -std::expm1(-mean) / mean : row;
      const double variance = square - sum * sum;
      if (quasi && variance > 0) weight[n] /= std::max(0.3, variance / sum);
      size[n] = std::abs(weight[n]) * std::sqrt(std::max(0.0, square - sum * sum));
    }
    std::vector<double> ordered = size;
    std::sort(ordered.rbegin(), ordered.rend());
    for (size_t b = 0; b < w.starts.size(); ++b) {
      double want = 0;
      for (int n = 0; n < units; ++n) {
        if (core3 && size[n] < ordered[2]) continue;
        for (int bin = 0; bin < S; ++bin) {
          want += weight[n] * w.counts[(w.starts[b] + bin) * units + n];
        }
      }
      ASSERT_NEAR(s[b], want, 1e-5 * (1 + std::abs(want))) << Name(kind);
    }
  }
}

TEST(Evidence, AWindowsEvidenceHangsOnNoOther) {
  const World w(Loss::kPoisson, Output::kSoftplus);
  const auto latents = All(w.model);
  for (const EvidenceKind kind : kEvidenceKinds) {
    const EvidenceScorer scorer(w.model, kind, latents);
    std::vector<float> all(w.starts.size() * latents.size()), one(latents.size());
    scorer.Score(w.view, w.starts, w.codes, all.data());
    for (size_t b = 0; b < w.starts.size(); b += 11) {
      Codes<float> codes;
      Encoder(w.model).Encode(w.view, Starts(w.starts).subspan(b, 1), CodeRule::kThreshold, codes);
      scorer.Score(w.view, Starts(w.starts).subspan(b, 1), codes, one.data());
      for (size_t l = 0; l < latents.size(); ++l) {
        ASSERT_EQ(one[l], all[b * latents.size() + l]) << Name(kind);
      }
    }
  }
}

}  // namespace
}  // namespace saed::sae
