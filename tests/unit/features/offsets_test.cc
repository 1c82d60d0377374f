#include "server/features/offsets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace saed::features {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A trial of 0.2 s and one of 2 s, and events without a length.
recordings::Recording Session() {
  recordings::Recording r;
  r.duration = 100;
  r.intervals.resize(2);
  r.intervals[0].table = {"trials", {{"outcome", recordings::Texts{"hit", "miss"}}}};
  r.intervals[0].start = {1, 5};
  r.intervals[0].stop = {1.2, 7};
  r.intervals[1].table = {"licks", {}};
  r.intervals[1].start = r.intervals[1].stop = {1, 2};
  return r;
}

TEST(LongOffsets, SaysOffsetsLongerThanTheirRows) {
  const recordings::Recording r = Session();
  EXPECT_THAT(LongOffsets("around_start(trials, -0.5, 2)", r), IsEmpty());
  EXPECT_THAT(LongOffsets("around_start(trials, -100, 500)", r),
              ElementsAre("around_start(trials, -100, 500) reaches 500 s from rows of which the "
                          "longest lasts 2 s; are the offsets in seconds?"));
  EXPECT_THAT(LongOffsets("around_stop(trials, outcome = hit, -0.5, 0.1)", r),
              ElementsAre(HasSubstr("0.5 s from rows of which the longest lasts 0.2 s")));
  EXPECT_THAT(LongOffsets("NOT during(trials) AND (around_stop(trials, 0, 9) OR "
                          "around_start(trials, 0, 8))",
                          r),
              ElementsAre(HasSubstr("reaches 9 s"), HasSubstr("reaches 8 s")));
}

TEST(LongOffsets, SaysNothingWhereThereIsNothingToCompare) {
  const recordings::Recording r = Session();
  EXPECT_THAT(LongOffsets("around_start(licks, -1, 5)", r), IsEmpty());
  EXPECT_THAT(LongOffsets("during(trials)", r), IsEmpty());
  EXPECT_THAT(LongOffsets("around_start(nothing, 0, 900)", r), IsEmpty());
  EXPECT_THAT(LongOffsets("around_start(trials, wrong = 1, 0, 900)", r), IsEmpty());
  EXPECT_THAT(LongOffsets("around_start((", r), IsEmpty());
}

}  // namespace
}  // namespace saed::features
