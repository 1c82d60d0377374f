#include "server/jobs/choose_bin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace saed::jobs {
namespace {

using recordings::Recording;
using testing::HasSubstr;

// Of 100 s and three units with so many spikes a second.
Recording Firing(double rate) {
  Recording out;
  out.duration = 100;
  out.units.resize(3);
  for (auto& unit : out.units) {
    for (double t = 0.5 / rate; t < out.duration; t += 1 / rate) unit.spike_times.push_back(t);
  }
  return out;
}

Recording Counted(double bin_width) {
  Recording out;
  out.duration = 1000 * bin_width;
  out.units.resize(3);
  out.counts = {bin_width, DType::kU8, 1000, std::vector<uint8_t>(3000), nullptr};
  return out;
}

TEST(ChooseBinTest, SlowUnitsHaveWideBins) {
  EXPECT_EQ(ChooseBin(Firing(5)).width, 0.02);
  EXPECT_THAT(ChooseBin(Firing(5)).reason, HasSubstr("units have 5 spikes/s, 0.1 a bin"));
  EXPECT_EQ(ChooseBin(Firing(0.5)).width, 0.05);
}

TEST(ChooseBinTest, RowsTooShortForWideBinsHaveNarrowOnes) {
  Recording r = Firing(0.5);
  recordings::IntervalTable trials;
  trials.table.name = "trials";
  for (int i = 0; i < 1000; ++i) {
    trials.start.push_back(0.09 * i);
    trials.stop.push_back(0.09 * i + 0.08);
  }
  r.intervals = {trials};
  EXPECT_EQ(ChooseBin(r).width, 0.02);
}

TEST(ChooseBinTest, CountsKeepTheirBins) {
  EXPECT_EQ(ChooseBin(Counted(0.1)).width, 0.1);
  EXPECT_DOUBLE_EQ(ChooseBin(Counted(0.004)).width, 0.012);
  EXPECT_THAT(ChooseBin(Counted(0.004)).reason, HasSubstr("bins of 0.004 s"));
}

}  // namespace
}  // namespace saed::jobs
