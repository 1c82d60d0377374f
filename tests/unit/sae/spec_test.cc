#include "server/sae/spec.h"

#include <gtest/gtest.h>

#include "server/base/faults.h"

namespace saed::sae {
namespace {

FitSpec Good() {
  FitSpec spec;
  spec.model.levels = {{32, 4}, {64, 8}};
  return spec;
}

std::vector<std::string> Fields(const FitSpec& spec, bool signed_target = false) {
  std::vector<std::string> out;
  for (const auto& fault : FaultsOf(Validate(spec, signed_target))) out.push_back(fault.field);
  return out;
}

using Names = std::vector<std::string>;

TEST(Spec, GoodIsAccepted) { EXPECT_TRUE(Validate(Good(), false).ok()); }

TEST(Spec, NamesEveryFaultAtOnce) {
  FitSpec spec = Good();
  spec.model.levels = {{64, 8}, {64, 65}};
  spec.batch_size = 0;
  spec.hidden_inputs = 0.95;
  spec.optimiser.learning_rate = -1;
  EXPECT_EQ(Fields(spec), (Names{"model.levels[1].features", "model.levels[1].k",
                                 "optimiser.learning_rate", "batch_size", "hidden_inputs"}));
}

TEST(Spec, LossesNeedTheirOutputs) {
  FitSpec spec = Good();
  spec.model.loss = Loss::kMsle;
  EXPECT_EQ(Fields(spec), Names{"model.output"});
  spec.model.loss = Loss::kPoisson;
  spec.model.output = Output::kRelu;
  EXPECT_EQ(Fields(spec), Names{"model.output"});
  spec.model.output = Output::kSoftplus;
  EXPECT_EQ(Fields(spec), Names{});
  EXPECT_EQ(Fields(spec, true), Names{"model.loss"});
  spec.model.loss = Loss::kMse;
  spec.model.output = Output::kRelu;
  EXPECT_EQ(Fields(spec, true), Names{"model.output"});
}

TEST(Spec, RefusesEmptyLevelsAndNaN) {
  FitSpec spec;
  spec.optimiser.beta1 = std::nan("");
  EXPECT_EQ(Fields(spec), (Names{"model.levels", "optimiser.beta1"}));
}

}  // namespace
}  // namespace saed::sae
