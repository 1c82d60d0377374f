#include "server/sae/evaluate.h"

#include <gtest/gtest.h>

#include <cmath>

namespace saed::sae {
namespace {

// A dictionary of one latent per unit that copies its input: z_n = 2x_n − 1, decoder row e_n.
Model Copier(Output output) {
  Model model;
  model.spec.levels = {{3, 3}};
  model.spec.output = output;
  model.units = 3;
  model.S = 1;
  auto& p = model.parameters;
  p.features = p.inputs = p.outputs = 3;
  p.encoder.assign(9, 0);
  p.decoder.assign(9, 0);
  for (int n = 0; n < 3; ++n) p.encoder[n * 3 + n] = p.decoder[n * 3 + n] = 1;
  p.encoder_bias.assign(3, 0);
  p.decoder_bias.assign(3, 0);
  model.thresholds = {0};
  return model;
}

const auto kGoOn = [] { return true; };

TEST(Evaluate, PerfectCopyScoresOneAndConstantUnitIsMissing) {
  const Model model = Copier(Output::kRelu);
  const std::vector<uint8_t> counts = {0, 1, 2, 3, 1, 2, 0, 1, 2, 1, 1, 2};  // unit 1, 2 constant
  const CountView view{counts.data(), DType::kU8, 4, 3};
  const std::vector<int64_t> starts = {0, 1, 2, 3};
  const Encoder encoder(model);
  const auto training = MeanTarget(view, {}, starts, 1);
  EXPECT_DOUBLE_EQ(training[0], 1.0);
  const auto e = EvaluateModel(encoder, view, view, starts, training, kGoOn);
  ASSERT_TRUE(e.ok());
  EXPECT_DOUBLE_EQ(*e->r2, 1);
  EXPECT_DOUBLE_EQ(e->mse, 0);
  EXPECT_DOUBLE_EQ(e->cosine, 1);
  EXPECT_TRUE(e->unit_r2[0].has_value());
  EXPECT_FALSE(e->unit_r2[1].has_value());
  EXPECT_DOUBLE_EQ(e->l0, 2.5);
  EXPECT_EQ(e->l0_histogram, (std::vector<int64_t>{0, 0, 2, 2}));
  EXPECT_DOUBLE_EQ(e->density[0], 0.5);
  EXPECT_DOUBLE_EQ(e->dense_fraction, 2.0 / 3);
  // Σ over windows of log-likelihood against the mean rate, by hand: only unit 0 varies.
  const double eps = 1e-8;
  const auto ll = [&](double y, double r) { return y * std::log(r + eps) - r; };
  double gain = 0;
  for (double y : {0.0, 3.0, 0.0, 1.0}) gain += ll(y, y) - ll(y, 1);
  EXPECT_NEAR(*e->bits_per_spike, gain / (16 * std::log(2)), 1e-9);
}

// Against a rate of 0 a single spike would count without bound.
TEST(Evaluate, BitsPerSpikeLeaveOutWhatWasSilentInTraining) {
  const Model model = Copier(Output::kRelu);
  const std::vector<uint8_t> counts = {0, 1, 2, 3, 1, 0}, other = {0, 1, 9, 3, 1, 7};
  std::vector<double> bits;
  for (const auto& held_out : {counts, other}) {
    const CountView view{held_out.data(), DType::kU8, 2, 3};
    const auto e =
        EvaluateModel(Encoder(model), view, view, std::vector<int64_t>{0, 1}, {1.5, 1, 0}, kGoOn);
    bits.push_back(e->bits_per_spike.value());
  }
  EXPECT_DOUBLE_EQ(bits[0], bits[1]);
}

TEST(Evaluate, BitsPerSpikeNeedNonNegativeRates) {
  const Model model = Copier(Output::kIdentity);
  const std::vector<uint8_t> counts = {0, 1, 2, 3, 1, 0};
  const CountView view{counts.data(), DType::kU8, 2, 3};
  const std::vector<int64_t> starts = {0, 1};
  const auto e =
      EvaluateModel(Encoder(model), view, view, starts, MeanTarget(view, {}, starts, 1), kGoOn);
  EXPECT_FALSE(e->bits_per_spike.has_value());
}

TEST(Evaluate, NormalisedMseUsesTheTrainingMean) {
  Model model = Copier(Output::kIdentity);
  model.thresholds = {100};  // nothing is ever active: predicts 0
  const std::vector<uint8_t> counts = {2, 0, 0, 4, 0, 0};
  const CountView view{counts.data(), DType::kU8, 2, 3};
  const std::vector<int64_t> starts = {0, 1};
  const auto e = EvaluateModel(Encoder(model), view, view, starts, {1, 0, 0}, kGoOn);
  EXPECT_DOUBLE_EQ(*e->normalised_mse, (4.0 + 16.0) / (1.0 + 9.0));
  EXPECT_DOUBLE_EQ(*e->r2, 1 - 20.0 / 2.0);
  EXPECT_DOUBLE_EQ(*e->explained_variance, 0);
  EXPECT_DOUBLE_EQ(e->dead_fraction, 1);
}

}  // namespace
}  // namespace saed::sae
