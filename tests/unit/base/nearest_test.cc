#include "server/base/nearest.h"

#include <gtest/gtest.h>

namespace saed {
namespace {

TEST(NearestTest, Edits) {
  EXPECT_EQ(Edits("", ""), 0);
  EXPECT_EQ(Edits("abc", ""), 3);
  EXPECT_EQ(Edits("train", "train"), 0);
  EXPECT_EQ(Edits("trian", "train"), 1);  // a swap
  EXPECT_EQ(Edits("kitten", "sitting"), 3);
  EXPECT_EQ(Edits("ca", "abc"), 3);  // no letter is edited twice
}

TEST(NearestTest, TheLikeliestOrNone) {
  const std::vector<std::string> commands = {"train", "top", "recordings", "report"};
  EXPECT_EQ(Nearest("trian", commands), "train");
  EXPECT_EQ(Nearest("recording", commands), "recordings");
  EXPECT_EQ(Nearest("tip", commands), "top");
  EXPECT_EQ(Nearest("weather", commands), "");
  EXPECT_EQ(Nearest("", commands), "");
}

}  // namespace
}  // namespace saed
