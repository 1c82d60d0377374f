#include "server/features/sides.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/features/conditions.h"

namespace saed::features {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// 12 trials of 1 s, one every 4 s; side is left in the first six.
recordings::Recording Session() {
  recordings::Recording r;
  r.duration = 48;
  r.units.resize(1);
  recordings::IntervalTable t;
  t.table.name = "trials";
  recordings::Numbers number;
  recordings::Texts side;
  for (int i = 0; i < 12; ++i) {
    t.start.push_back(4 * i + 1);
    t.stop.push_back(4 * i + 2);
    number.push_back(i);
    side.emplace_back(i < 6 ? "left" : "right");
  }
  t.table.columns = {
      {"start_time", t.start}, {"stop_time", t.stop}, {"number", number}, {"side", side}};
  r.intervals = {t};
  return r;
}

recordings::DataView ByTrials() {
  recordings::DataView view;
  view.bin_width = 0.1;
  view.window = 3;
  view.split.kind = recordings::SplitKind::kTrials;
  view.split.trials.table = "trials";
  return view;
}

TEST(Sides, OnlyWindowsInsideTrialsAreScored) {
  const auto view = recordings::BuildView(Session(), ByTrials());
  ASSERT_TRUE(view.ok()) << view.status();
  const Sides sides = Sides::Of(*view);
  EXPECT_EQ(sides.train, 8 * 8);
  EXPECT_EQ(sides.test(), 4 * 8);
  EXPECT_GT(static_cast<int64_t>(view->train.size()), sides.train);
  for (const int64_t start : sides.starts) {
    EXPECT_GE(view->blocks[start], 0);
    EXPECT_GE(view->blocks[start + 2], 0);
  }
  // Each held-out trial is a block of the null.
  EXPECT_THAT(SplitBlocks(*view, sides.TestStarts()), ElementsAre(0, 8, 16, 24, 32));
}

TEST(Separated, SaysWhichSideLacksACondition) {
  const recordings::Recording r = Session();
  auto view = ByTrials();
  const std::vector<Condition> conditions = {{"left", "trials.side = left"},
                                             {"third", "trials.number = 2"},
                                             {"both", "starts(trials)"},
                                             {"wrong", "trials.colour = red"}};
  const auto third = Separated(r, conditions, *recordings::BuildView(r, view));
  // Number 2 is held out; at the first bins no window ends.
  ASSERT_EQ(third.size(), 3u) << testing::PrintToString(third);
  EXPECT_THAT(third[0], HasSubstr("'third' holds in none of the 64 training windows"));
  EXPECT_THAT(third[1], HasSubstr("'both' holds in none of the 64 training"));
  view.split = {};
  view.split.kind = recordings::SplitKind::kColumn;
  view.split.table = "trials";
  view.split.column = "side";
  view.split.train_values = {"left"};
  view.split.test_values = {"right"};
  const auto by_side = Separated(r, {conditions[0]}, *recordings::BuildView(r, view));
  ASSERT_EQ(by_side.size(), 2u);
  EXPECT_THAT(by_side[0], HasSubstr("'left' holds in all of the 48 training windows"));
  EXPECT_THAT(by_side[1], HasSubstr("'left' holds in none of the 48 held-out windows"));
}

// What holds in no trial is refused, though it may hold between them.
TEST(Validate, OutsideTrialsNothingIsScored) {
  const recordings::Recording r = Session();
  const auto view = recordings::BuildView(r, ByTrials());
  ASSERT_TRUE(view.ok());
  const auto status = Validate(r, {{"before", "around_start(trials, -1, 0)"}}, &*view);
  EXPECT_THAT(std::string(status.message()), HasSubstr("holds in none of the view's 96 windows"));
}

}  // namespace
}  // namespace saed::features
