#include "server/features/expression.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "server/base/faults.h"
#include "server/features/movement.h"

namespace saed::features {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// Two trials and a position that is missing for a while; ten bins of 100 ms.
recordings::Recording Session() {
  recordings::Recording r;
  r.duration = 1;
  recordings::IntervalTable trials;
  trials.table.name = "trials";
  trials.start = {0.1, 0.55};
  trials.stop = {0.3, 0.8};
  trials.table.columns = {{"start_time", trials.start},
                          {"stop_time", trials.stop},
                          {"outcome", recordings::Texts{"hit", "miss"}},
                          {"level", recordings::Numbers{1, 2}}};
  r.intervals.push_back(trials);
  recordings::Series position{"position", "m", {"x", "y"}, {}, {}};
  for (int i = 0; i < 10; ++i) {
    position.timestamps.push_back(0.05 + 0.1 * i);
    position.values.push_back(i < 5 ? 0.1 * i : 0.9 - 0.1 * i);  // up, then down
    position.values.push_back(i == 7 ? kNan : 1);
  }
  r.series.push_back(position);
  r.series.push_back({"speed", "m/s", {"speed"}, {0.0, 0.02, 0.04, 0.9, 0.95}, {1, 3, 5, 7, 7}});
  return r;
}

recordings::ViewData Bins() {
  recordings::ViewData view;
  view.bin_width = 0.1;
  view.bins = 10;
  return view;
}

std::string Holds(std::string_view expression) {
  const auto labels = Evaluate(expression, Session(), Bins());
  if (!labels.ok()) return std::string(labels.status().message());
  std::string out;
  for (size_t b = 0; b < labels->holds.size(); ++b) {
    const bool known = labels->known.empty() || labels->known[b];
    const bool asked = labels->asked.empty() || labels->asked[b];
    EXPECT_TRUE((known && asked) || !labels->holds[b]);
    const WindowLabel at = labels->At(static_cast<int64_t>(b));
    EXPECT_EQ(at, !known || !asked ? kOutside : labels->holds[b]);
    out += !asked ? '-' : !known ? '?' : labels->holds[b] ? '1' : '0';
  }
  return out;
}

TEST(Expression, RowsOfTables) {
  EXPECT_EQ(Holds("during(trials)"), "0110011100");
  EXPECT_EQ(Holds("during(trials, outcome = hit)"), "0110000000");
  EXPECT_EQ(Holds("during(trials, (outcome = hit OR level > 1) AND level < 2)"), "0110000000");
  EXPECT_EQ(Holds("around_start(trials, -0.1, 0.1)"), "1100110000");
  EXPECT_EQ(Holds("around_start(trials, outcome = hit, 0, 0.1)"), "0100000000");
  EXPECT_EQ(Holds("around_stop(trials, outcome = miss, 0, 9)"), "0000000011");
  EXPECT_EQ(Holds("starts(trials)"), "0100010000");
  EXPECT_EQ(Holds("stops(trials, 'outcome' = \"hit\")"), "0001000000");
}

// What asks of the rows of a table alone.
TEST(Expression, AmongTheRowsOfATable) {
  EXPECT_EQ(Holds("trials.level >= 2"), "-00--111--");
  EXPECT_EQ(Holds("among(trials, outcome = hit AND level < 2)"), "-11--000--");
  EXPECT_EQ(Holds("among(trials)"), "-11--111--");
  EXPECT_EQ(Holds("contrast(trials.outcome, miss, hit)"), "-00--111--");
  EXPECT_EQ(Holds("contrast(trials.level, 1, 2)"), "-11--000--");
  EXPECT_EQ(Holds("each(trials, outcome = hit, 0.1)"), "--1---0---");
  EXPECT_EQ(Holds("each(trials, outcome = miss, -0.1)"), "0---1-----");
  // A row without a value is neither.
  auto r = Session();
  r.intervals[0].table.columns[3].values = recordings::Numbers{1, kNan};
  const auto missing = Evaluate("trials.level = 1", r, Bins());
  ASSERT_TRUE(missing.ok());
  EXPECT_THAT(missing->asked, ElementsAre(0, 1, 1, 0, 0, 0, 0, 0, 0, 0));
  r.intervals[0].table.columns[2].values = recordings::Texts{"", "miss"};
  const auto empty = Evaluate("among(trials, NOT outcome = hit)", r, Bins());
  ASSERT_TRUE(empty.ok());
  EXPECT_THAT(empty->asked, ElementsAre(0, 0, 0, 0, 0, 1, 1, 1, 0, 0));
}

// A row that is not asked adds nothing where rows overlap.
TEST(Expression, RowsWithoutAValueAddNothingToThoseTheyOverlap) {
  auto r = Session();
  auto& trials = r.intervals[0];
  trials.start.push_back(0.1);
  trials.stop.push_back(0.8);
  trials.table.columns = {{"outcome", recordings::Texts{"hit", "miss", ""}}};
  const auto labels = Evaluate("trials.outcome != hit", r, Bins());
  ASSERT_TRUE(labels.ok()) << labels.status();
  EXPECT_THAT(labels->holds, ElementsAre(0, 0, 0, 0, 0, 1, 1, 1, 0, 0));
  EXPECT_THAT(labels->asked, ElementsAre(0, 1, 1, 0, 0, 1, 1, 1, 0, 0));
}

TEST(Expression, AroundTimesInAColumn) {
  auto r = Session();
  r.intervals[0].table.columns.push_back({"press_time", recordings::Numbers{0.25, kNan}});
  const auto labels = Evaluate("around(trials.press_time, -0.1, 0.1)", r, Bins());
  ASSERT_TRUE(labels.ok()) << labels.status();
  EXPECT_THAT(labels->holds, ElementsAre(0, 1, 1, 0, 0, 0, 0, 0, 0, 0));
  EXPECT_TRUE(labels->asked.empty());
  const auto none = Evaluate("around(trials.press_time, outcome = miss, -0.1, 0.1)", r, Bins());
  ASSERT_TRUE(none.ok()) << none.status();
  EXPECT_THAT(none->holds, ElementsAre(0, 0, 0, 0, 0, 0, 0, 0, 0, 0));
}

TEST(Expression, MovementOfPositions) {
  auto r = Session();
  r.series.push_back({"way", "m", {"x"}, {}, {}});
  for (int i = 0; i < 10; ++i) {
    r.series.back().timestamps.push_back(0.05 + 0.1 * i);
    r.series.back().values.push_back(i < 5 ? 0 : 1.0 * (i - 4));
  }
  const auto moves = Evaluate("speed(way) > 9", r, Bins());
  ASSERT_TRUE(moves.ok()) << moves.status();
  const auto speed = Speed(r.series.back(), Bins());
  for (int b = 0; b < 10; ++b) EXPECT_EQ(moves->holds[b], speed[b] > 9) << speed[b];
  EXPECT_EQ(moves->holds[0], 0);
  const auto up = Evaluate("direction(way) = 1", r, Bins());
  ASSERT_TRUE(up.ok()) << up.status();
  EXPECT_EQ(up->At(9), kHolds);
  EXPECT_THAT(Holds("speed(trials) > 1"), HasSubstr("series are: position.x, position.y, speed"));
  EXPECT_THAT(Holds("speed(position) > fast"), HasSubstr("compared with a number"));
  EXPECT_THAT(Holds("during(position) > 1"), HasSubstr("speed and direction have values"));
}

TEST(Expression, Logic) {
  EXPECT_EQ(Holds("NOT during(trials)"), "1001100011");
  EXPECT_EQ(Holds("trials.outcome = hit OR trials.outcome = miss"), "-11--111--");
  EXPECT_EQ(Holds("during(trials) AND NOT trials.outcome = hit"), "-00--111--");
  EXPECT_EQ(Holds("trials.outcome = hit OR starts(trials)"), "0110010000");
  EXPECT_EQ(Holds("NOT (trials.outcome = hit AND during(trials))"), "-00--111--");
  EXPECT_EQ(Holds("trials.outcome = hit AND position.y > 0"), "-11--000--");
  // OR binds tighter than AND.
  EXPECT_EQ(Holds("during(trials) AND starts(trials) OR stops(trials)"), "0100010000");
}

TEST(Expression, Series) {
  EXPECT_EQ(Holds("position.x > 0.15 AND position.x < 0.35"), "0011001100");
  EXPECT_EQ(Holds("rising(position.x)"), "1111100000");
  EXPECT_EQ(Holds("falling(position.x)"), "0000011111");
  EXPECT_EQ(Holds("falling(position.x, 2)"), "0000000000");
}

TEST(Expression, GapsAreUnknownAndDoNotHold) {
  EXPECT_EQ(Holds("speed > 2"), "1????????1");
  EXPECT_EQ(Holds("NOT speed > 2"), "0????????0");
  // The known side decides.
  EXPECT_EQ(Holds("speed > 2 AND during(trials)"), "0??00???00");
  EXPECT_EQ(Holds("speed > 2 OR during(trials)"), "111??111?1");
  EXPECT_EQ(Holds("position.y > 0"), "1111111?11");
}

TEST(Expression, MeanWithinABinAndLinesBetween) {
  recordings::Series s{"s", "", {"s"}, {0.01, 0.03, 0.35, 0.65}, {2, 4, 10, 16}};
  const auto on = OnBins(s, 0, Bins());
  EXPECT_DOUBLE_EQ(on[0], 3);
  EXPECT_NEAR(on[1], 4 + 6 * (0.15 - 0.03) / 0.32, 1e-12);
  EXPECT_DOUBLE_EQ(on[3], 10);
  EXPECT_NEAR(on[4], 12, 1e-12);
  EXPECT_TRUE(std::isnan(on[8]));
}

TEST(Expression, SaysWhatIsWrongAndWhatThereIs) {
  EXPECT_THAT(Holds("during(trial)"), HasSubstr("names the table 'trial'; the recording's interval "
                                                "tables are: trials"));
  EXPECT_THAT(Holds("during(trials, side = left)"), HasSubstr("start_time, stop_time, outcome"));
  EXPECT_THAT(Holds("during(trials, level = high)"), HasSubstr("numeric column"));
  EXPECT_THAT(Holds("acceleration > 2"), HasSubstr("series are: position.x, position.y, speed"));
  EXPECT_THAT(Holds("speed > fast"), HasSubstr("give a number"));
  EXPECT_THAT(Holds("around_start(trials, 0.2, 0.1)"), HasSubstr("first before the second"));
  EXPECT_THAT(Holds("when(trials)"),
              HasSubstr("at position 1 calls 'when'; known are contrast, around"));
  EXPECT_THAT(Holds("NOT ("), HasSubstr("expected a field name"));
  const auto status = Evaluate("when(trials)", Session(), Bins()).status();
  ASSERT_EQ(FaultsOf(status).size(), 1u);
  EXPECT_EQ(FaultsOf(status)[0].field, "expression");
}

TEST(Expression, QuotedNamesReadBack) {
  auto r = Session();
  r.intervals[0].table.name = "odd \"name\\, here";
  const auto labels = Evaluate("during(" + Quoted(r.intervals[0].table.name) + ")", r, Bins());
  ASSERT_TRUE(labels.ok()) << labels.status();
  EXPECT_THAT(labels->holds, ElementsAre(0, 1, 1, 0, 0, 1, 1, 1, 0, 0));
}

}  // namespace
}  // namespace saed::features
