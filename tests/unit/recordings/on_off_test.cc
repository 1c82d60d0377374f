#include "server/recordings/readers/on_off.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace saed::recordings {
namespace {

TEST(OnOff, PairsByLineAndSaysWhatHasNone) {
  OnOffPairs pairs;
  pairs.Add(0.5, -2);  // was on before
  pairs.Add(1, 1);
  pairs.Add(2, 3);
  pairs.Add(2.5, -1);
  pairs.Add(3, 1);  // never off
  pairs.Add(4, 1);
  pairs.Add(5, -1);
  pairs.Add(6, 0);
  pairs.Add(6, std::numeric_limits<int64_t>::min());
  pairs.Add(6, kMaxLines + 1);
  Notes notes;
  const auto got = pairs.Take("ttl_", "events", notes);
  ASSERT_TRUE(got.ok()) << got.status();
  ASSERT_EQ(got->size(), 3u);  // line 2 without a row: Finish() leaves it out, and says so
  EXPECT_EQ((*got)[0].table.name, "ttl_1");
  EXPECT_EQ((*got)[0].start, (Numbers{1, 4}));
  EXPECT_EQ((*got)[0].stop, (Numbers{2.5, 5}));
  EXPECT_EQ((*got)[2].table.name, "ttl_3");
  EXPECT_EQ((*got)[2].start, (Numbers{2}));
  EXPECT_TRUE(std::isinf((*got)[2].stop[0]));  // on to the end
  const auto lines = notes.Lines();
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0],
            "events: 3 changes of no line from 1 to 256 dropped, the first is change 7 at 6 s with "
            "state 0");
  EXPECT_NE(lines[1].find("line 2 at 0.5 s"), std::string::npos) << lines[1];
  EXPECT_NE(lines[2].find("line 1 at 3 s"), std::string::npos) << lines[2];
}

TEST(OnOff, NothingIsPairedAcrossABreak) {
  OnOffPairs pairs;
  pairs.Add(1, 1);
  pairs.Break();
  pairs.Add(10, -1);
  pairs.Add(11, 1);
  pairs.Add(12, -1);
  Notes notes;
  const auto got = pairs.Take("ttl_", "events", notes);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ((*got)[0].start, (Numbers{11}));
  EXPECT_EQ((*got)[0].stop, (Numbers{12}));
  EXPECT_EQ(notes.Lines().size(), 2u);
}

}  // namespace
}  // namespace saed::recordings
