#include "server/features/events.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace saed::features {
namespace {

using ::testing::ElementsAre;

// Ten windows: a trial begins at the fourth, and one window is missing before the ninth.
const std::vector<int64_t> kStarts = {0, 1, 2, 3, 4, 5, 6, 7, 9, 10}, kBlocks = {0, 3, 10};

TEST(Events, AreCutWhereTrialsBeginAndWindowsAreMissing) {
  const LabelRows labels = {{1, 1, 1, 1, 0, 0, 1, 1, 1, 0},
                            {0, 0, 2, 0, 1, 2, 1, 0, 0, 0},
                            std::vector<WindowLabel>(10, kOutside)};
  const Events events(labels, kStarts, kBlocks);
  EXPECT_EQ(events.holding(0), 4);
  EXPECT_EQ(events.without(0), 2);
  EXPECT_EQ(events.holding(1), 2);
  EXPECT_EQ(events.without(1), 4);
  EXPECT_EQ(events.holding(2) + events.without(2), 0);
  const auto by_window = ByWindow(labels, 10);
  const auto active = [&](const std::vector<int32_t>& windows) {
    Activations a;
    for (const int32_t w : windows) a.emplace_back(w, 1.0F);
    return events.ActiveIn(a, by_window);
  };
  EXPECT_THAT(active({}), ElementsAre(0, 0, 0));
  EXPECT_THAT(active({0, 2, 4, 5, 7}), ElementsAre(2, 1, 0));
  EXPECT_THAT(active({2, 3, 6, 8}), ElementsAre(4, 1, 0));
  EXPECT_THAT(active({0, 1, 2, 3, 4, 5, 6, 7, 8, 9}), ElementsAre(4, 2, 0));
}

}  // namespace
}  // namespace saed::features
