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

TEST(FirstCommandTest, FeaturesFitUnitsAndWindows) {
  EXPECT_THAT(FlagsOf(Lasting(200)), HasSubstr("--features 40 --k 7"));  // of ten units
  Recording r = Lasting(200);
  r.units.resize(98);
  EXPECT_THAT(FlagsOf(r), HasSubstr("--features 48 --k 8"));
  EXPECT_THAT(FirstCommandFor(r, std::vector<double>(98, 2000.0)).reasons,
              testing::Contains(HasSubstr("98 units and 8000 windows that train")));
  // 100,000 windows of 20 ms train in 2500 s, of which unobserved ones are none.
  r.duration = 2600;
  EXPECT_THAT(FlagsOf(r), HasSubstr("--features 96 --k 11"));
  r.observed = recordings::Spans{{100, 300}};
  EXPECT_THAT(FlagsOf(r), HasSubstr("--features 48 --k 8"));
  // Batch and epochs are the server's to choose.
  EXPECT_THAT(FlagsOf(r), Not(HasSubstr("--epochs")));
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
