#include "server/recordings/value_range.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

namespace saed::recordings {
namespace {

std::string Members(const std::string& text, int first = -3, int last = 12) {
  const auto range = ValueRange::Parse(text);
  if (!range.ok()) return "refused";
  std::string out;
  for (int i = first; i <= last; ++i) {
    if (range->Has(i)) out += fmt::format("{}{}", out.empty() ? "" : " ", i);
  }
  EXPECT_FALSE(range->Has(NAN));
  return out;
}

TEST(ValueRange, NumbersRangesStepsAndParity) {
  EXPECT_EQ(Members("7"), "7");
  EXPECT_EQ(Members("-2"), "-2");
  EXPECT_EQ(Members("2-5"), "2 3 4 5");
  EXPECT_EQ(Members("-2-1"), "-2 -1 0 1");
  EXPECT_EQ(Members("-2--1"), "-2 -1");
  EXPECT_EQ(Members("1-9/3"), "1 4 7");
  EXPECT_EQ(Members("0-1265/2"), "0 2 4 6 8 10 12");
  EXPECT_EQ(Members("even"), "-2 0 2 4 6 8 10 12");
  EXPECT_EQ(Members("odd"), "-3 -1 1 3 5 7 9 11");
  EXPECT_EQ(Members("10-inf"), "10 11 12");
}

TEST(ValueRange, StepsOfDecimalNumbers) {
  const auto range = ValueRange::Parse("0.1-0.9/0.2");
  ASSERT_TRUE(range.ok());
  for (const double value : {0.1, 0.3, 0.5, 0.7, 0.9}) EXPECT_TRUE(range->Has(value)) << value;
  for (const double value : {0.2, 0.35, 1.1}) EXPECT_FALSE(range->Has(value)) << value;
  EXPECT_FALSE(ValueRange::Parse("even")->Has(0.5));
  EXPECT_FALSE(ValueRange::Parse("even")->Has(INFINITY));
}

TEST(ValueRange, RefusesTheRest) {
  for (const char* text :
       {"", "x", "2..3", "5-2", "1-", "0-9/", "0-9/0", "0-9/-2", "0-9/x", "0-9/2x", "nan", "nan-3",
        "0-nan", "0-9/nan", "0-9/inf", "Even", "3/2"}) {
    EXPECT_EQ(Members(text), "refused") << text;
  }
}

}  // namespace
}  // namespace saed::recordings
