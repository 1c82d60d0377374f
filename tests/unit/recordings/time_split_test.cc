#include "server/recordings/time_split.h"

#include <gtest/gtest.h>

#include <cmath>

#include "server/base/faults.h"

namespace saed::recordings {
namespace {

Recording Lasting(double seconds) {
  Recording r;
  r.units.resize(1);
  r.duration = seconds;
  return r;
}

DataView By(const TimeSplit& time) {
  DataView v;
  v.bin_width = 0.1;
  v.split.kind = SplitKind::kTime;
  v.split.time = time;
  return v;
}

std::string Fault(const Recording& r, const TimeSplit& split) {
  const auto faults = FaultsOf(BuildView(r, By(split)).status());
  return faults.size() == 1 ? faults[0].field : std::to_string(faults.size());
}

TEST(TimeSplit, EveryStretchGivesItsEnd) {
  DataView view = By({});
  view.window = 3;
  const auto v = BuildView(Lasting(100), view);
  ASSERT_TRUE(v.ok()) << v.status();
  // Stretches of 200 bins, 40 of each held out, an embargo of a tenth of that.
  EXPECT_EQ(v->embargo, 4);
  for (int64_t i = 0; i < v->bins; ++i) {
    const int64_t at = i % 200;
    const bool near = at >= 156 || (i >= 200 && at < 4);
    ASSERT_EQ(v->sides[i], at >= 160 ? Side::kTest : near ? Side::kNone : Side::kTrain) << i;
  }
  EXPECT_EQ(v->test.size(), 5u * 38);
  EXPECT_FALSE(v->scored);
}

TEST(TimeSplit, AnEmbargoIsASecondWhereThereIsRoom) {
  EXPECT_EQ(BuildView(Lasting(1000), By({}))->embargo, 10);
  EXPECT_EQ(BuildView(Lasting(1000), By({0, 0, 2.01}))->embargo, 21);
  EXPECT_EQ(BuildView(Lasting(1000), By({0, 0, 0.0}))->embargo, 0);
}

TEST(TimeSplit, StretchesAreOfObservedTime) {
  Recording r = Lasting(100);
  r.observed = Spans{{0, 10}, {60, 100}};
  const auto v = BuildView(r, By({2, 0.5, 0.0}));
  ASSERT_TRUE(v.ok()) << v.status();
  // 500 bins: 0-99 and 600-999. Stretches 0-99, 600-749 and 750-999; halves are held out.
  EXPECT_EQ(v->sides[99], Side::kTrain);
  EXPECT_EQ(v->sides[624], Side::kTrain);
  EXPECT_EQ(v->sides[625], Side::kTest);
  EXPECT_EQ(v->sides[749], Side::kTest);
  EXPECT_EQ(v->sides[874], Side::kTrain);
  EXPECT_EQ(v->sides[875], Side::kTest);
}

TEST(TimeSplit, NamesWhatIsWrong) {
  const Recording r = Lasting(100);
  EXPECT_EQ(Fault(r, {-1, 0, {}}), "split.time.blocks");
  EXPECT_EQ(Fault(r, {501, 0, {}}), "split.time.blocks");
  for (const double f : {-0.1, 1.0, static_cast<double>(NAN)}) {
    EXPECT_EQ(Fault(r, {0, f, {}}), "split.time.held_out") << f;
  }
  for (const double e : {-0.1, HUGE_VAL, static_cast<double>(NAN)}) {
    EXPECT_EQ(Fault(r, {0, 0, e}), "split.time.embargo") << e;
  }
  EXPECT_EQ(Fault(r, {0, 0, 1e300}), "split.time.embargo");
  EXPECT_EQ(Fault(Lasting(0.9), {}), "split.time.blocks");
}

}  // namespace
}  // namespace saed::recordings
