// What is left by a process that may have been taken over.
#include "server/recordings/validate.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>

namespace saed::recordings {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

Recording Good() {
  Recording r;
  r.source = "nwb";
  r.duration = 10;
  r.units.resize(2);
  r.units[0].spike_times = {0, 1, 1, 9};
  r.units[1].id = 1;
  r.unit_columns.columns = {{"amp", Numbers{1, kNaN}}};
  r.intervals = {{{"trials", {{"start_time", Numbers{1}}}}, {1}, {1}}};
  r.series = {{"position", "m", {"x", "y"}, {0, 1}, {1, 2, 3, kNaN}}};
  r.observed = Spans{{0, 4}, {5, 10}};
  return r;
}

TEST(ValidateTest, AProperRecordingPasses) {
  EXPECT_TRUE(Validate(Good()).ok()) << Validate(Good());
  Recording counts;
  counts.units.resize(2);
  counts.units[1].id = 1;
  counts.counts.bin_width = 0.1;
  counts.counts.bins = 3;
  counts.counts.bytes.resize(6);
  counts.duration = counts.counts.bin_width * static_cast<double>(counts.counts.bins);
  EXPECT_TRUE(Validate(counts).ok()) << Validate(counts);
  counts.counts.bytes.resize(5);
  EXPECT_FALSE(Validate(counts).ok());
  counts.counts.bytes.resize(6);
  counts.counts.bins = int64_t{1} << 62;
  EXPECT_FALSE(Validate(counts).ok());
  counts.counts.bins = 3;
  counts.counts.dtype = static_cast<DType>(77);
  EXPECT_FALSE(Validate(counts).ok());
}

TEST(ValidateTest, EveryBrokenPromiseIsSeen) {
  const std::vector<std::function<void(Recording&)>> breaks = {
      [](Recording& r) { r.units.clear(); },
      [](Recording& r) { r.units[1].id = 0; },
      [](Recording& r) {
        r.units[0].spike_times = {2, 1};
      },
      [](Recording& r) { r.units[0].spike_times = {-1}; },
      [](Recording& r) { r.units[0].spike_times = {kNaN}; },
      [](Recording& r) { r.units[0].spike_times = {11}; },
      [](Recording& r) { r.units[0].label.push_back('\xff'); },
      [](Recording& r) {
        r.units[0].observed = Spans{{2, 1}};
      },
      [](Recording& r) { r.unit_columns.columns[0].values = Numbers{1}; },
      [](Recording& r) {
        r.electrodes.columns = {{"a", Numbers{1}}, {"b", Numbers{}}};
      },
      [](Recording& r) { r.intervals[0].stop.clear(); },
      [](Recording& r) { r.intervals[0].stop = {0}; },
      [](Recording& r) {
        r.intervals[0].table.columns[0].values = Texts{"a", "b"};
      },
      [](Recording& r) { r.intervals.push_back(r.intervals[0]); },
      [](Recording& r) { r.series[0].channels.clear(); },
      [](Recording& r) { r.series[0].values.pop_back(); },
      [](Recording& r) {
        r.series[0].timestamps = {1, 0};
      },
      [](Recording& r) {
        r.observed = Spans{{0, 4}, {3, 5}};
      },
      [](Recording& r) { r.duration = kNaN; },
      [](Recording& r) { r.sampling_rate = -1; },
      [](Recording& r) { r.counts.bin_width = kNaN; },
      [](Recording& r) { r.counts.bin_width = 1; },
  };
  for (size_t i = 0; i < breaks.size(); ++i) {
    Recording r = Good();
    breaks[i](r);
    EXPECT_TRUE(absl::IsInternal(Validate(r))) << "break " << i;
  }
}

}  // namespace
}  // namespace saed::recordings
