#include "server/base/display_name.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace saed {
namespace {

using ::testing::HasSubstr;

TEST(DisplayName, TakesWhatPeopleWrite) {
  for (const char* good : {"monkey 3, day 2", "Ратка", "鼠", "‘quoted’ – 50 % \xf0\x9f\x90\x80",
                           "0123456789abcde", "0123456789ABCDEF", "\xc2\xa0x"}) {
    EXPECT_EQ(DisplayNameFault(good), "") << good;
  }
  EXPECT_EQ(DisplayNameFault(std::string(200, 'x')), "");
}

TEST(DisplayName, RefusesWhatIsHiddenOrCannotBeToldFromAnId) {
  // U+061C, U+200E, U+200F, U+202A, U+202E, U+2066, U+2069, a C1 control, DEL, a line break.
  for (const char* hidden :
       {"\xd8\x9c", "\xe2\x80\x8e", "\xe2\x80\x8f", "\xe2\x80\xaa", "\xe2\x80\xae", "\xe2\x81\xa6",
        "\xe2\x81\xa9", "\xc2\x9b", "\x7f", "\n"}) {
    const std::string name = std::string("a") + hidden + "b";
    EXPECT_TRUE(HasHiddenCharacters(name));
    const std::string fault = DisplayNameFault(name);
    EXPECT_THAT(fault, HasSubstr("without control characters and marks of direction"));
    EXPECT_EQ(fault.find(hidden), std::string::npos) << "the error has it";
    EXPECT_EQ(ShownName(name), "…");
  }
  EXPECT_EQ(ShownName("two words"), "two words");
  EXPECT_EQ(WithoutHidden("é\x1b[31m\n鼠\xe2\x80\xae\xf0\x9f\x90\x80"),
            "é…[31m…鼠…\xf0\x9f\x90\x80");
  EXPECT_EQ(WithoutHidden("a\r\nb", true), "a…\nb");
  EXPECT_EQ(ShownName(std::string(300, 'x')), std::string(200, 'x'));
  // Their neighbours.
  for (const char* seen : {"\xe2\x80\x90", "\xe2\x80\xaf", "\xe2\x81\xaa", "\xd8\x9b"}) {
    EXPECT_FALSE(HasHiddenCharacters(seen));
  }
  EXPECT_THAT(DisplayNameFault("0123456789abcdef"), HasSubstr("the form of an id"));
  EXPECT_THAT(DisplayNameFault("recordings/0123456789abcdef"), HasSubstr("the form of an id"));
  EXPECT_EQ(DisplayNameFault("recordings/0123456789abcdef b"), "");
  EXPECT_EQ(DisplayNameFault("best of sweeps/0123456789abcdef"), "");
  EXPECT_THAT(DisplayNameFault(""), HasSubstr("1 to 200 bytes"));
  EXPECT_THAT(DisplayNameFault(std::string(201, 'x')), HasSubstr("201 bytes"));
  EXPECT_THAT(DisplayNameFault("\xff"), HasSubstr("UTF-8"));
}

TEST(DisplayName, RefusesWhatLooksLikeAnotherOrLikeNothing) {
  // U+00AD, U+115F, U+180E, U+200B, U+200C, U+200D, U+2028, U+2060, U+206F, U+3164, U+FEFF, U+FFA0,
  // U+FFF9, U+E0061, U+E01EF.
  for (const char* invisible :
       {"\xc2\xad", "\xe1\x85\x9f", "\xe1\xa0\x8e", "\xe2\x80\x8b", "\xe2\x80\x8c", "\xe2\x80\x8d",
        "\xe2\x80\xa8", "\xe2\x81\xa0", "\xe2\x81\xaf", "\xe3\x85\xa4", "\xef\xbb\xbf",
        "\xef\xbe\xa0", "\xef\xbf\xb9", "\xf3\xa0\x81\xa1", "\xf3\xa0\x87\xaf"}) {
    for (const std::string& name : {std::string("monkey") + invisible + "3",
                                    std::string("monkey 3") + invisible, std::string(invisible)}) {
      const std::string fault = DisplayNameFault(name);
      EXPECT_THAT(fault, HasSubstr("of no width")) << name;
      EXPECT_EQ(fault.find(invisible), std::string::npos) << "the error has it";
    }
  }
  for (const char* blank : {" ", "\t", "  ", "\xc2\xa0", "\xe2\x80\x80", "\xe3\x80\x80 "}) {
    EXPECT_THAT(DisplayNameFault(blank), HasSubstr("not blank")) << blank;
  }
  EXPECT_THAT(DisplayNameFault("-"), HasSubstr("stands for all"));
  // Their neighbours.
  for (const char* good : {"--", "- 3", "\xc2\xac", "\xe2\x80\xa7", "\xe2\x81\x9e", "\xef\xbf\xbd",
                           "\xf0\x9f\x90\x80"}) {
    EXPECT_EQ(DisplayNameFault(good), "") << good;
  }
}

}  // namespace
}  // namespace saed
