#include "server/recordings/observed.h"

#include <gtest/gtest.h>

#include "server/base/faults.h"
#include "server/recordings/split.h"
#include "server/recordings/view.h"

namespace saed::recordings {
namespace {

// Ten seconds; unit 1 fires at 4 Hz, unit 2 once a second.
Recording Ten() {
  Recording r;
  r.duration = 10;
  r.units.resize(2);
  r.units[0].id = 1;
  r.units[1].id = 2;
  Numbers fast, slow;
  for (int i = 0; i < 40; ++i) fast.push_back(0.25 * i + 0.01);
  for (int i = 0; i < 10; ++i) slow.push_back(i + 0.5);
  r.units[0].spike_times = fast;
  r.units[1].spike_times = slow;
  return r;
}

DataView Bins(double width) {
  DataView v;
  v.bin_width = width;
  return v;
}

std::string FirstField(const absl::Status& status) {
  const auto faults = FaultsOf(status);
  return faults.empty() ? "" : faults[0].field;
}

std::vector<int64_t> BinsOf(const ViewData& v, Side side) {
  std::vector<int64_t> out;
  for (int64_t b = 0; b < v.bins; ++b) {
    if (v.sides[b] == side) out.push_back(b);
  }
  return out;
}

using Bin = std::vector<int64_t>;

TEST(Spans, MergeIntersectLength) {
  EXPECT_EQ(Merge({{3, 4}, {0, 1}, {1, 2}, {3.5, 3.6}}), (Spans{{0, 2}, {3, 4}}));
  EXPECT_EQ(Intersect({{0, 2}, {3, 5}, {6, 7}}, {{1, 4}, {6.5, 9}}),
            (Spans{{1, 2}, {3, 4}, {6.5, 7}}));
  EXPECT_EQ(Intersect({{0, 2}}, {{2, 4}}), Spans{});
  EXPECT_DOUBLE_EQ(Length({{0, 2}, {3, 3.5}}), 2.5);
  EXPECT_EQ(InWords({{0, 2}, {3, 3.5}}), "0-2 s, 3-3.5 s");
}

TEST(Observed, OfUnitsTogether) {
  Recording r = Ten();
  EXPECT_EQ(ObservedTogether(r, {0, 1}), (Spans{{0, 10}}));
  EXPECT_FALSE(HasGaps(r, {0, 1}));
  r.observed = Spans{{0, 8}};
  r.units[0].observed = Spans{{1, 3}, {5, 9}};
  r.units[1].observed = Spans{{2, 7}};
  EXPECT_EQ(ObservedSpans(r, r.units[0]), (Spans{{1, 3}, {5, 8}}));
  int lost = 5;
  EXPECT_EQ(ObservedTogether(r, {0, 1}, &lost), (Spans{{2, 3}, {5, 7}}));
  EXPECT_EQ(lost, -1);
  r.units[1].observed = Spans{{3, 5}};
  EXPECT_EQ(ObservedTogether(r, {0, 1}, &lost), Spans{});
  EXPECT_EQ(lost, 1);
}

TEST(Observed, BinsAtTheEdgesAreInvalid) {
  Recording r = Ten();
  r.observed = Spans{{0.05, 2}, {2.00001, 5}, {7, 10}};
  const auto v = BuildView(r, Bins(0.1));
  ASSERT_TRUE(v.ok()) << v.status();
  EXPECT_EQ(BinsOf(*v, Side::kNone), (Bin{0,  20, 50, 51, 52, 53, 54, 55, 56, 57, 58,
                                          59, 60, 61, 62, 63, 64, 65, 66, 67, 68, 69}));
}

TEST(Observed, SplitsShareOutValidBinsOnly) {
  Recording r = Ten();
  r.observed = Spans{{0, 1}, {6, 10}};
  DataView view = Bins(0.1);
  view.split.train_fraction = 0.5;
  const auto v = BuildView(r, view);
  ASSERT_TRUE(v.ok()) << v.status();
  const Bin train = BinsOf(*v, Side::kTrain), test = BinsOf(*v, Side::kTest);
  ASSERT_EQ(train.size(), 25U);
  EXPECT_EQ(train[9], 9);
  EXPECT_EQ(train[10], 60);
  EXPECT_EQ(train.back(), 74);
  EXPECT_EQ(test.size(), 25U);
  EXPECT_EQ(test.front(), 75);
}

TEST(Observed, WindowsNeverCrossAGap) {
  Recording r = Ten();
  r.observed = Spans{{0, 2}, {2.00001, 10}};  // a gap far shorter than a bin
  DataView view = Bins(0.1);
  view.window = 5;
  const auto v = BuildView(r, view);
  ASSERT_TRUE(v.ok()) << v.status();
  for (const int64_t start : v->train) EXPECT_FALSE(start <= 20 && start + 5 > 20) << start;
  EXPECT_EQ(v->train.size(), 16U + 55U);  // bins 0-19; of 99 valid ones 79 train: 21-79
}

TEST(Observed, ValidationAndNormaliserSkipGaps) {
  Recording r = Ten();
  // Unit 2 is said to have fired a thousand times in the gap.
  Numbers slow;
  for (int i = 0; i < 5; ++i) slow.push_back(i + 0.5);
  for (int i = 0; i < 200; ++i) slow.push_back(5.5);
  for (int i = 6; i < 10; ++i) slow.push_back(i + 0.5);
  r.units[1].spike_times = slow;
  r.observed = Spans{{0, 5}, {6, 10}};
  DataView view = Bins(1);
  view.split = {SplitKind::kInSample, 0.8, "", "", {}, {}};
  view.normaliser = NormaliserKind::kZscore;
  auto v = BuildView(r, view);
  ASSERT_TRUE(v.ok()) << v.status();
  EXPECT_EQ(v->train, (Bin{0, 1, 2, 3, 4, 6, 7, 8, 9}));
  EXPECT_EQ(v->test, v->train);
  EXPECT_FLOAT_EQ(v->offset[0], 4);
  EXPECT_FLOAT_EQ(v->offset[1], 1) << "200 in the gap would make it 23";
  EXPECT_FLOAT_EQ(v->scale[1], 1) << "a constant is not divided";

  view = Bins(0.01);
  view.window = 2;
  v = BuildView(r, view);
  ASSERT_TRUE(v.ok()) << v.status();
  const auto validation = TakeValidation(0.2, NormaliserKind::kNone, *v);
  ASSERT_TRUE(validation.ok());
  for (const Bin* starts : std::initializer_list<const Bin*>{&*validation, &v->train, &v->test}) {
    for (const int64_t s : *starts) EXPECT_TRUE(s + 2 <= 500 || s >= 600) << s;
  }
}

TEST(Observed, RatesAreOfObservedTime) {
  Recording r = Ten();
  r.units[1].observed = Spans{{2, 4}, {5, 7}};
  auto counts = ObservedCounts(r, 0, INFINITY);
  EXPECT_EQ(counts[0].spikes, 40);
  EXPECT_EQ(counts[0].seconds, 10);
  EXPECT_EQ(counts[1].spikes, 4) << "the others lie outside";
  EXPECT_EQ(counts[1].seconds, 4);
  EXPECT_EQ(counts[1].rate(), 1);
  counts = ObservedCounts(r, 3, 5.75);
  EXPECT_EQ(counts[1].spikes, 2);
  EXPECT_EQ(counts[1].seconds, 1.75);
  EXPECT_EQ(ObservedCounts(r, 4, 5)[1].rate(), 0) << "never observed";
}

TEST(Observed, MinimumRateIsOfObservedTime) {
  Recording r = Ten();
  DataView view = Bins(0.1);
  view.minimum_rate = 1;
  EXPECT_EQ(BuildView(r, view)->unit_ids, (Bin{1, 2}));
  view.minimum_rate = 1.1;
  EXPECT_EQ(BuildView(r, view)->unit_ids, Bin{1});
  // Of its spikes, half lie in a fifth of the time.
  r.units[1].spike_times = Numbers{0.1, 0.5, 1.1, 1.5, 5.5, 6.5, 7.5, 8.5};
  EXPECT_EQ(BuildView(r, view)->unit_ids, Bin{1});
  r.units[1].observed = Spans{{0, 2}};
  EXPECT_EQ(BuildView(r, view)->unit_ids, (Bin{1, 2})) << "2 Hz while it was observed";
  view.start_time = 2;
  EXPECT_EQ(BuildView(r, view)->unit_ids, Bin{1}) << "never observed in this range";
}

TEST(Observed, UnitsThatNeverWereAreInNoViewByDefault) {
  Recording r = Ten();
  r.units[0].observed = Spans{};
  EXPECT_TRUE(NeverObserved(r, r.units[0]));
  EXPECT_FALSE(NeverObserved(r, r.units[1]));
  EXPECT_TRUE(HasGaps(r, {0}));
  EXPECT_EQ(ObservedCounts(r, 0, INFINITY)[0].seconds, 0);
  const auto by_default = BuildView(r, Bins(0.1));
  ASSERT_TRUE(by_default.ok()) << by_default.status();
  EXPECT_EQ(by_default->unit_ids, Bin{2});
  DataView view = Bins(0.1);
  view.unit_ids = {1, 2};
  const auto named = BuildView(r, view);
  EXPECT_NE(named.status().message().find("unit 1 was observed at never"), std::string::npos)
      << named.status();
  r.units[0].observed.reset();
  r.observed = Spans{};
  EXPECT_NE(BuildView(r, Bins(0.1)).status().message().find("observed at never"),
            std::string::npos);
}

TEST(Observed, UnitsWithoutCommonTimeAreNamed) {
  Recording r = Ten();
  r.units[0].observed = Spans{{0, 4}};
  r.units[1].observed = Spans{{5, 9}};
  const auto both = BuildView(r, Bins(0.1));
  EXPECT_EQ(FirstField(both.status()), "unit_ids");
  EXPECT_NE(both.status().message().find("unit 2 was observed at 5-9 s, those before it at 0-4 s"),
            std::string::npos)
      << both.status();
  DataView view = Bins(0.1);
  view.unit_ids = {2};
  const auto one = BuildView(r, view);
  ASSERT_TRUE(one.ok()) << one.status();
  EXPECT_EQ(one->train.front(), 50);
  EXPECT_EQ(one->train.size() + one->test.size(), 40U);
  view.stop_time = 5;
  const auto none = BuildView(r, view);
  EXPECT_EQ(FirstField(none.status()), "start_time");
  EXPECT_NE(none.status().message().find("observed at 5-9 s"), std::string::npos) << none.status();
  view.stop_time = 0;
  view.bin_width = 4.5;
  EXPECT_EQ(FirstField(BuildView(r, view).status()), "start_time");
}

TEST(Observed, ATargetsGapsAreTheInputsToo) {
  Recording r = Ten();
  r.units[1].observed = Spans{{0, 5}, {6, 10}};
  DataView input = Bins(0.5), target = Bins(0.5);
  input.unit_ids = {1};
  target.unit_ids = {2};
  const auto observed = TargetObserved(r, target);
  ASSERT_TRUE(observed.ok()) << observed.status();
  EXPECT_EQ(*observed, (Spans{{0, 5}, {6, 10}}));
  EXPECT_EQ(BinsOf(*BuildView(r, input), Side::kNone), Bin{});
  const auto v = BuildView(r, input, &*observed);
  ASSERT_TRUE(v.ok()) << v.status();
  EXPECT_EQ(BinsOf(*v, Side::kNone), (Bin{10, 11}));
  EXPECT_EQ(v->train.size(), 14U) << "0.8 of 18";
  const auto out = BuildTarget(r, target, *v);
  ASSERT_TRUE(out.ok()) << out.status();
  EXPECT_EQ(out->sides, v->sides);
  target.unit_ids = {3};
  EXPECT_EQ(FirstField(TargetObserved(r, target).status()), "unit_ids");
  const Spans never = {{20, 30}};
  EXPECT_NE(BuildView(r, input, &never).status().message().find("the target's at 20-30 s"),
            std::string::npos);
}

TEST(Observed, AnalysesLeaveGapsOut) {
  Recording r = Ten();
  r.observed = Spans{{0, 5}, {6, 10}};
  DataView view = Bins(0.5);
  view.window = 2;
  const auto v = BuildAnalysisView(r, view, {1, 2}, {}, {});
  ASSERT_TRUE(v.ok()) << v.status();
  EXPECT_EQ(v->test, (Bin{0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 13, 14, 15, 16, 17, 18}));
  view.window = 11;
  EXPECT_NE(BuildAnalysisView(r, view, {1, 2}, {}, {})
                .status()
                .message()
                .find("of which 10 in a row were observed"),
            std::string::npos);
}

TEST(Observed, AMaskAndColumnsAreCutToo) {
  Recording r = Ten();
  r.observed = Spans{{0, 2}, {3, 10}};
  IntervalTable t;
  t.table = {"trials", {{"block", Numbers{0, 1}}}};
  t.start = {1, 5};
  t.stop = {4, 6};
  r.intervals.push_back(t);
  DataView view = Bins(0.5);
  view.mask_table = "trials";
  view.split = {SplitKind::kColumn, 0.8, "trials", "block", {"0"}, {"1"}};
  const auto v = BuildView(r, view);
  ASSERT_TRUE(v.ok()) << v.status();
  EXPECT_EQ(v->train, (Bin{2, 3, 6, 7}));
  EXPECT_EQ(v->test, (Bin{10, 11}));
}

TEST(Observed, CountMatrices) {
  Recording r;
  r.units.resize(2);
  r.units[0].id = 1;
  r.units[1].id = 2;
  r.counts = {0.5, DType::kU8, 8, {1, 2, 1, 2, 1, 2, 9, 9, 9, 9, 1, 2, 1, 2, 1, 2}, nullptr};
  r.duration = 4;
  r.observed = Spans{{0, 1.5}, {2.5, 4}};
  const auto counts = ObservedCounts(r, 0, INFINITY);
  EXPECT_EQ(counts[0].spikes, 6);
  EXPECT_EQ(counts[0].seconds, 3);
  EXPECT_EQ(counts[1].rate(), 4);
  r.units[1].observed = Spans{{0.2, 1.7}};
  EXPECT_EQ(ObservedCounts(r, 0, INFINITY)[1].seconds, 1) << "two whole bins";
  EXPECT_EQ(ObservedCounts(r, 0, INFINITY)[1].spikes, 4);
  r.units[1].observed = {};
  DataView view = Bins(0.5);
  view.minimum_rate = 2.1;
  EXPECT_EQ(BuildView(r, view)->unit_ids, Bin{2});
  EXPECT_EQ(BinsOf(*BuildView(r, view), Side::kNone), (Bin{3, 4}));
  view.bin_width = 1;
  EXPECT_EQ(BinsOf(*BuildView(r, view), Side::kNone), (Bin{1, 2}));
}

}  // namespace
}  // namespace saed::recordings
