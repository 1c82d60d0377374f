#include "server/features/pool.h"

#include <gtest/gtest.h>

namespace saed::features {
namespace {

// Values of scipy.stats.combine_pvalues.
TEST(Pool, FisherAsSciPyHasIt) {
  EXPECT_NEAR(*FisherCombined({0.01, 0.2, 0.5}), 0.03176629677613493, 1e-14);
  EXPECT_NEAR(*FisherCombined({0.04}), 0.04, 1e-15);
  EXPECT_NEAR(*FisherCombined(std::vector<double>(60, 1e-4)) / 5.129729123517784e-159, 1, 1e-9);
  EXPECT_NEAR(*FisherCombined(std::vector<double>(400, 0.9)), 1, 1e-12);
  EXPECT_EQ(*FisherCombined({1, 1}), 1);
  EXPECT_FALSE(FisherCombined({}));
}

TEST(Pool, MeanAndItsSpread) {
  EXPECT_FALSE(SpreadOf({}));
  EXPECT_EQ(SpreadOf({0.7})->mean, 0.7);
  EXPECT_FALSE(SpreadOf({0.7})->sd);
  const auto three = SpreadOf({0.5, 0.7, 0.9});
  EXPECT_NEAR(three->mean, 0.7, 1e-15);
  EXPECT_NEAR(*three->sd, 0.2, 1e-15);
}

}  // namespace
}  // namespace saed::features
