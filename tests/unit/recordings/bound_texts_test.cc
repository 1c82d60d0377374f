#include "server/recordings/bound_texts.h"

#include <gtest/gtest.h>

namespace saed::recordings {
namespace {

TEST(BoundTexts, LongTextsAreCutByLettersAndSaid) {
  EXPECT_EQ(CutText("abc", 3), "abc");
  EXPECT_EQ(CutText("ab\u00e4", 3), "ab");
  EXPECT_EQ(CutText("ab\u00e4", 4), "ab\u00e4");
  Recording r;
  r.units.resize(2);
  r.units[1].label = std::string(3'000'000, 'x');
  r.series.resize(1);
  r.series[0].name = "speed";
  r.series[0].unit = std::string(5'000'000, 'm');
  Notes notes;
  BoundTexts(r, notes);
  EXPECT_EQ(r.units[1].label.size(), kLongestText);
  EXPECT_EQ(r.series[0].unit.size(), kLongestText);
  ASSERT_EQ(notes.Lines().size(), 2u);
  EXPECT_NE(notes.Lines()[0].find("1 text cut to 200 bytes"), std::string::npos)
      << notes.Lines()[0];
}

TEST(BoundTexts, ManyNamesLoseTheLastTables) {
  Recording r;
  for (int n = 0; n < 8000; ++n) {
    r.intervals.emplace_back().table.name = std::string(kLongestText, 'a');
  }
  Notes notes;
  BoundTexts(r, notes);
  EXPECT_EQ(r.intervals.size(), kMostNames / kLongestText);
  EXPECT_FALSE(notes.Lines().empty());
}

}  // namespace
}  // namespace saed::recordings
