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
  Choose(windows, fit);
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
  EXPECT_THAT(Choose(1600, fit),
              ElementsAre("batch 256: 1600 windows train, fewer than 50000",
                          "epochs 143: 7 steps each, at least 20 epochs and 1000 steps"));
}

TEST(Choose, WhatIsGivenStays) {
  sae::FitSpec fit;
  fit.batch_size = 7;
  fit.epochs = 3;
  EXPECT_THAT(Choose(100'000, fit), IsEmpty());
  EXPECT_EQ(fit.batch_size, 7);
  EXPECT_EQ(fit.epochs, 3);
  // Wrong as it is, for Validate to name.
  fit.batch_size = -1;
  fit.epochs = 0;
  EXPECT_THAT(Choose(100'000, fit), IsEmpty());
}

}  // namespace
}  // namespace saed::jobs
