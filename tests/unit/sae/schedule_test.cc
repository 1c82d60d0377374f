#include "server/sae/schedule.h"

#include <gtest/gtest.h>

namespace saed::sae {
namespace {

// Published check values of NLDisco's schedule: n = 1280, learning rate 0.005.
TEST(Schedule, WarmupHoldMatchesPublishedValues) {
  Optimiser o;
  o.learning_rate = 0.005;
  const std::pair<int64_t, double> expected[] = {{0, 5e-5},
                                                 {1, 5e-5},
                                                 {2, 7.8125e-5},
                                                 {64, 0.0025},
                                                 {127, 0.0049609375},
                                                 {128, 0.005},
                                                 {640, 0.005},
                                                 {800, 0.004275089283436705},
                                                 {960, 0.002525},
                                                 {1120, 7.749107165632951e-4},
                                                 {1279, 5.0029818386e-5}};
  for (const auto& [i, rate] : expected) EXPECT_NEAR(LearningRate(o, i, 1280), rate, 1e-14) << i;
}

TEST(Schedule, OtherKinds) {
  Optimiser o;
  o.learning_rate = 1;
  o.schedule.kind = ScheduleKind::kConstant;
  EXPECT_EQ(LearningRate(o, 0, 10), 1);
  o.schedule.kind = ScheduleKind::kLinear;
  o.schedule.warmup_fraction = 0.2;
  o.schedule.final_fraction = 0;
  EXPECT_DOUBLE_EQ(LearningRate(o, 1, 10), 0.5);
  EXPECT_DOUBLE_EQ(LearningRate(o, 2, 10), 1);
  EXPECT_DOUBLE_EQ(LearningRate(o, 6, 10), 0.5);
  o.schedule.kind = ScheduleKind::kCosine;
  EXPECT_DOUBLE_EQ(LearningRate(o, 6, 10), 0.5);
  o.schedule.warmup_fraction = 0;
  EXPECT_DOUBLE_EQ(LearningRate(o, 0, 10), 1);
}

}  // namespace
}  // namespace saed::sae
