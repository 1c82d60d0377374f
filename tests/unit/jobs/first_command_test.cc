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
