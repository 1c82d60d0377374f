#include "server/jobs/choose.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace saed::jobs {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Of a training that leaves both to the server.
sae::FitSpec Chosen(int64_t windows) {
  sae::FitSpec fit;
  fit.batch_size = fit.epochs = 0;
  Choose(98, windows, fit);
  return fit;
}

TEST(Choose, AtLeastAThousandStepsAndTwentyEpochs) {
  for (const int64_t windows : {1, 255, 256, 257, 4000, 12'800, 49'999, 50'000, 3'000'000}) {
    const sae::FitSpec fit = Chosen(windows);
    EXPECT_EQ(fit.batch_size, windows < 50'000 ? 256 : 1024) << windows;
    const int64_t steps = (windows + fit.batch_size - 1) / fit.batch_size;
    EXPECT_GE(fit.epochs, 20) << windows;
    EXPECT_GE(fit.epochs * steps, 1000) << windows;
    // One fewer is too few.
    EXPECT_TRUE(fit.epochs == 20 || (fit.epochs - 1) * steps < 1000) << windows;
  }
}

TEST(Choose, SaysWhatAndWhy) {
  sae::FitSpec fit;
  fit.batch_size = fit.epochs = 0;
  EXPECT_THAT(Choose(98, 1600, fit),
              ElementsAre("features 48, k 8: 98 units and 1600 windows that train (48 up to 300 "
                          "units and 100000 windows, more for more, at most four for a unit and "
                          "one for 12 windows)",
                          "batch 256: 1600 windows train, fewer than 50000",
                          "epochs 143: 7 steps each, at least 20 epochs and 1000 steps"));
}

TEST(Choose, SaysWhyThereAreMoreThanFourForAUnit) {
  sae::FitSpec fit;
  EXPECT_THAT(Choose(3, 9000, fit).at(0),
              "features 16, k 5: 3 units and 9000 windows that train (never fewer than 16, though "
              "four for a unit and one for 12 windows would be)");
}

TEST(Choose, WhatIsGivenStays) {
  sae::FitSpec fit;
  fit.model.levels = {{30, 5}};
  fit.batch_size = 7;
  fit.epochs = 3;
  EXPECT_THAT(Choose(98, 100'000, fit), IsEmpty());
  EXPECT_EQ(fit.batch_size, 7);
  EXPECT_EQ(fit.epochs, 3);
  EXPECT_EQ(fit.model.features(), 30);
  EXPECT_EQ(fit.model.k(), 5);
  // Wrong as it is, for Validate to name.
  fit.batch_size = -1;
  fit.epochs = 0;
  EXPECT_THAT(Choose(98, 100'000, fit), IsEmpty());
}

TEST(Choose, FeaturesGrowWithUnitsAndWindows) {
  EXPECT_EQ(FeaturesFor(98, 9000), 48);
  EXPECT_EQ(FeaturesFor(300, 100'000), 48);
  EXPECT_EQ(FeaturesFor(301, 100'000), 96);
  EXPECT_EQ(FeaturesFor(300, 100'001), 96);
  EXPECT_EQ(FeaturesFor(1200, 1'000'000), 96);
  EXPECT_EQ(FeaturesFor(1201, 9000), 192);
  EXPECT_EQ(FeaturesFor(1'000'000, 1'000'000'000), 384);
  EXPECT_EQ(FeaturesFor(10, 9000), 40);
  EXPECT_EQ(FeaturesFor(688, 680), 56);
  EXPECT_EQ(FeaturesFor(594, 456), 32);
  EXPECT_EQ(FeaturesFor(98, 576), 48);
  EXPECT_EQ(FeaturesFor(98, 575), 40);
  EXPECT_EQ(FeaturesFor(1, 1), 16);
  EXPECT_EQ(FeaturesFor(1, 1'000'000'000), 16);
  EXPECT_EQ(ActiveFor(48), 8);
  EXPECT_EQ(ActiveFor(192), 16);
  EXPECT_EQ(ActiveFor(1), 1);
}

// Each alone as well; levels that are several are people's own.
TEST(Choose, TheOtherOfFeaturesAndKFollows) {
  sae::FitSpec fit;
  fit.model.levels = {{100, 0}};
  EXPECT_THAT(Choose(98, 9000, fit), ElementsAre("k 12: about the root of 4/3 of 100 features"));
  EXPECT_EQ(fit.model.k(), 12);
  fit.model.levels = {{0, 60}};
  Choose(98, 9000, fit);
  EXPECT_EQ(fit.model.features(), 60);
  EXPECT_EQ(fit.model.k(), 60);
  fit.model.levels = {{8, 2}, {0, 0}};
  EXPECT_THAT(Choose(98, 9000, fit), IsEmpty());
  EXPECT_EQ(fit.model.features(), 0);
}

}  // namespace
}  // namespace saed::jobs
