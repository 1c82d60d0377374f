#include "server/jobs/first_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

namespace saed::jobs {
namespace {

using recordings::Recording;
using testing::HasSubstr;
using testing::Not;

// Of ten units, without spikes.
Recording Lasting(double seconds) {
  Recording out;
  out.duration = seconds;
  out.units.resize(10);
  for (int id = 0; id < 10; ++id) out.units[id].id = id;
  return out;
}

std::string FlagsOf(const Recording& r) {
  return FirstCommandFor(r, std::vector<double>(r.units.size(), 10 * r.duration)).flags;
}

TEST(FirstCommandTest, ShortRecordingsHaveMoreEpochs) {
  // 8000 windows of 20 ms train, in 8 batches.
  EXPECT_THAT(FlagsOf(Lasting(200)), HasSubstr("--epochs 125"));
  EXPECT_THAT(FlagsOf(Lasting(1)), HasSubstr("--epochs 1000"));
  EXPECT_THAT(FlagsOf(Lasting(3600)), Not(HasSubstr("--epochs")));
}

TEST(FirstCommandTest, UnobservedTimeDoesNotTrain) {
  Recording r = Lasting(3600);
  r.observed = recordings::Spans{{100, 300}};
  EXPECT_THAT(FlagsOf(r), HasSubstr("--epochs 125"));
}

TEST(FirstCommandTest, SignedTracesHaveNoPoissonLoss) {
  Recording r = Lasting(100);
  r.counts = {0.05, DType::kF32, 2000, std::vector<uint8_t>(2000 * 10 * sizeof(float)), nullptr};
  EXPECT_THAT(FlagsOf(r), Not(HasSubstr("--loss")));
  const float negative = -0.5;
  std::memcpy(&r.counts.bytes[777 * sizeof(float)], &negative, sizeof negative);
  EXPECT_THAT(FlagsOf(r), HasSubstr("--normaliser zscore --loss mse --output-function identity"));
}

}  // namespace
}  // namespace saed::jobs
