// Training steps against PyTorch's autograd: tests/tools/torch_reference.py wrote the fixture.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "server/sae/random.h"
#include "server/sae/trainer.h"

namespace saed::sae {
namespace {

struct Case {
  const char* name;
  Selection selection;
  std::vector<Level> levels;
  Loss loss;
  Output output;
  AuxK aux = {0, 1, 1000};
  double lambda = 0;
  OptimiserKind optimiser = OptimiserKind::kAdam;
  double weight_decay = 0, clip = 0;
};

class Torch : public ::testing::TestWithParam<Case> {};

TEST_P(Torch, SameParametersAndLosses) {
  const Case& c = GetParam();
  std::ifstream file(SAED_SOURCE_DIR "/tests/fixtures/torch_steps.json");
  const auto expected = nlohmann::json::parse(file).at(c.name);
  constexpr int kUnits = 6, kBins = 200;
  std::vector<uint8_t> counts(kBins * kUnits);
  const CounterRandom random(11, 5);
  for (size_t i = 0; i < counts.size(); ++i) counts[i] = static_cast<uint8_t>(random.Below(i, 4));
  std::vector<int64_t> starts(kBins - 1);
  std::iota(starts.begin(), starts.end(), 0);
  FitSpec spec;
  spec.model.selection = c.selection;
  spec.model.levels = c.levels;
  spec.model.loss = c.loss;
  spec.model.output = c.output;
  spec.model.decoder_start = DecoderStart::kIndependent;
  spec.model.aux = c.aux;
  spec.model.penalty.weight = c.lambda;
  spec.model.penalty.warmup_fraction = 0;
  spec.model.penalty.bandwidth = 0.5;
  spec.model.penalty.threshold = 0.3;
  spec.optimiser.kind = c.optimiser;
  spec.optimiser.weight_decay = c.weight_decay;
  spec.optimiser.clip_norm = c.clip;
  spec.batch_size = 32;
  spec.epochs = 30;
  spec.seed = 3;
  Trainer<float> trainer(spec, {{counts.data(), DType::kU8, kBins, kUnits}, {}, starts, 2});
  const auto compare = [&](const char* name, const std::vector<float>& got) {
    const auto want = expected.at("after_3_steps").at(name).get<std::vector<float>>();
    ASSERT_EQ(got.size(), want.size());
    for (size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], want[i], 1e-5) << name << " " << i;
  };
  for (int step = 0; step < 200; ++step) {
    const auto report = trainer.Next();
    ASSERT_TRUE(report.ok());
    const double want = expected.at("losses").at(step);
    EXPECT_NEAR(report->loss, want, 1e-3 * std::abs(want)) << "step " << step;
    if (step == 2) {
      compare("encoder", trainer.parameters().encoder);
      compare("encoder_bias", trainer.parameters().encoder_bias);
      compare("decoder", trainer.parameters().decoder);
      compare("decoder_bias", trainer.parameters().decoder_bias);
      for (size_t x = 0; x < trainer.parameters().extra.size(); ++x) {
        compare(x == 0 ? "extra0" : "extra1", trainer.parameters().extra[x]);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Sae, Torch,
    ::testing::Values(Case{"topk_mse", Selection::kTopK, {{20, 3}}, Loss::kMse, Output::kIdentity},
                      Case{"topk_msle", Selection::kTopK, {{20, 3}}, Loss::kMsle, Output::kRelu},
                      Case{"batch_topk_poisson",
                           Selection::kBatchTopK,
                           {{20, 3}},
                           Loss::kPoisson,
                           Output::kSoftplus},
                      Case{"matryoshka_aux",
                           Selection::kBatchTopK,
                           {{8, 2}, {40, 2}},
                           Loss::kMse,
                           Output::kIdentity,
                           {0.5, 4, 2}},
                      Case{"relu_poisson",
                           Selection::kRelu,
                           {{20, 3}},
                           Loss::kPoisson,
                           Output::kSoftplus,
                           {0, 1, 1000},
                           0.02},
                      Case{"jumprelu_mse",
                           Selection::kJumpRelu,
                           {{20, 3}},
                           Loss::kMse,
                           Output::kIdentity,
                           {0, 1, 1000},
                           0.02},
                      Case{"gated_mse",
                           Selection::kGated,
                           {{20, 3}},
                           Loss::kMse,
                           Output::kIdentity,
                           {0, 1, 1000},
                           0.02},
                      Case{"relu_adamw_clip",
                           Selection::kRelu,
                           {{20, 3}},
                           Loss::kMse,
                           Output::kIdentity,
                           {0, 1, 1000},
                           0.02,
                           OptimiserKind::kAdamW,
                           0.1,
                           0.05},
                      Case{"topk_momentum",
                           Selection::kTopK,
                           {{20, 3}},
                           Loss::kMse,
                           Output::kIdentity,
                           {0, 1, 1000},
                           0,
                           OptimiserKind::kMomentum}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace saed::sae
