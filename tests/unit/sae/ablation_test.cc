#include "server/sae/ablation.h"

#include <gtest/gtest.h>

namespace saed::sae {
namespace {

// Two units, a latent for each; the third is never active.
TEST(Ablation, IsWhatTheErrorGrowsBy) {
  Model model;
  model.spec.levels = {{3, 3}};
  model.units = 2;
  auto& p = model.parameters;
  p.features = 3;
  p.inputs = p.outputs = 2;
  p.encoder = {1, 0, 0, 1, -1, -1};
  p.decoder = {1, 0, 0, 0.5F, 1, 0};
  p.encoder_bias = {0, 0, 0};
  p.decoder_bias = {0, 0};
  model.thresholds = {0};
  const std::vector<uint8_t> counts = {2, 0, 0, 4, 1, 2, 0, 0};
  const CountView view{counts.data(), DType::kU8, 4, 2};
  const std::vector<int64_t> starts = {0, 1, 2, 3};
  const Encoder encoder(model);
  const auto importance = AblationImportance(encoder, view, view, starts, [] { return true; });
  ASSERT_TRUE(importance.ok());
  // SST: unit 0 has 2, 0, 1, 0 around 0.75; unit 1 has 0, 4, 2, 0 around 1.5.
  const double sst = 2.75 + 11;
  EXPECT_NEAR((*importance)[0], (4 + 1) / sst, 1e-6);
  // Reconstructed at half: errors of 4 and 1 become 16 and 4.
  EXPECT_NEAR((*importance)[1], (16 - 4 + 4 - 1) / sst, 1e-6);
  EXPECT_EQ((*importance)[2], 0);
  EXPECT_TRUE(absl::IsCancelled(
      AblationImportance(encoder, view, view, starts, [] { return false; }).status()));
}

}  // namespace
}  // namespace saed::sae
