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

// Units without spikes get ten a second.
FirstCommand CommandFor(Recording r) {
  for (auto& unit : r.units) {
    if (r.counts.present() || !unit.spike_times.empty()) continue;
    for (int i = 0; i < 10 * r.duration; ++i) unit.spike_times.push_back(0.1 * i + 0.05);
  }
  return FirstCommandFor(r);
}

std::string FlagsOf(const Recording& r) { return CommandFor(r).flags; }

TEST(FirstCommandTest, FeaturesFitUnitsAndWindows) {
  EXPECT_THAT(FlagsOf(Lasting(200)), HasSubstr("--features 40 --k 7"));  // of ten units
  Recording r = Lasting(200);
  r.units.resize(98);
  EXPECT_THAT(FlagsOf(r), HasSubstr("--features 48 --k 8"));
  EXPECT_THAT(CommandFor(r).reasons,
              testing::Contains(HasSubstr("98 units and 8000 windows that train")));
  // 100,000 windows of 20 ms train in 2500 s, of which unobserved ones are none.
  r.duration = 2600;
  EXPECT_THAT(FlagsOf(r), HasSubstr("--features 96 --k 11"));
  r.observed = recordings::Spans{{100, 300}};
  EXPECT_THAT(FlagsOf(r), HasSubstr("--features 48 --k 8"));
  // Batch and epochs are the server's to choose.
  EXPECT_THAT(FlagsOf(r), Not(HasSubstr("--epochs")));
}

// `rows` trials of 1 s, one every 4 s.
recordings::IntervalTable Trials(const std::string& name, int rows) {
  recordings::IntervalTable out;
  out.table.name = name;
  for (int i = 0; i < rows; ++i) {
    out.start.push_back(4.0 * i);
    out.stop.push_back(4.0 * i + 1);
  }
  out.table.columns = {{"start_time", out.start}, {"stop_time", out.stop}};
  return out;
}

TEST(FirstCommandTest, TrialsAreSplitWithoutAMask) {
  Recording r = Lasting(400);
  r.intervals = {Trials("go trials", 100)};
  EXPECT_EQ(FlagsOf(r), "--bin 0.02 --split-trials 'go trials' --features 40 --k 7");
  // 400 s, of which a third of the 100 s of trials is held out.
  r.units.resize(98);
  EXPECT_THAT(CommandFor(r).reasons,
              testing::Contains(HasSubstr("98 units and 18333 windows that train")));
  r.intervals[0].table.name = "a[b]";  // which the flag cannot say
  EXPECT_THAT(FlagsOf(r), Not(HasSubstr("--split-trials")));
}

TEST(FirstCommandTest, TimeWithoutARecordingIsMasked) {
  Recording r = Lasting(400);
  for (auto& unit : r.units) {
    for (int i = 0; i < 1000; ++i) {
      unit.spike_times.push_back(4 * (i / 10) + 0.1 * (i % 10) + 0.05);
    }
  }
  r.intervals = {Trials("trials", 100)};
  EXPECT_THAT(FlagsOf(r), HasSubstr("--mask trials --split-trials trials"));
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
