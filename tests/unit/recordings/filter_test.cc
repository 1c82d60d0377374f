#include "server/base/filter.h"

#include <gtest/gtest.h>

#include "server/base/faults.h"
#include "server/base/text.h"
#include "server/recordings/table_filter.h"

namespace saed::recordings {
namespace {

const Table& Trials() {
  static const Table table{"trials",
                           {{"kind", Texts{"a", "b", "a", "c"}},
                            {"block", Numbers{0, 1, 2, -1}},
                            {"tags", TextLists{{"x", "y"}, {}, {"y"}, {"z"}}}}};
  return table;
}

std::string Rows(std::string_view filter) {
  const auto rows = MatchRows(Trials(), filter);
  if (!rows.ok()) return std::string(rows.status().message());
  std::string out;
  for (uint8_t r : *rows) out += r ? '1' : '0';
  return out;
}

TEST(Filter, ComparesJoinsAndNegates) {
  EXPECT_EQ(Rows(""), "1111");
  EXPECT_EQ(Rows("kind = a"), "1010");
  EXPECT_EQ(Rows("kind = \"a\" AND block > 0"), "0010");
  EXPECT_EQ(Rows("NOT kind = a"), "0101");
  EXPECT_EQ(Rows("block >= -1 AND block <= 0"), "1001");
  EXPECT_EQ(Rows("tags : y"), "1010");
  EXPECT_EQ(Rows("tags != y"), "0101");
  // OR binds tighter than AND, as in AIP-160.
  EXPECT_EQ(Rows("block = 2 AND kind = a OR kind = c"), "0010");
  EXPECT_EQ(Rows("(block = 2 AND kind = a) OR kind = c"), "0011");
}

TEST(Filter, SaysWhereItIsWrong) {
  EXPECT_NE(Rows("kind = ").find("expected a value, found the end"), std::string::npos);
  EXPECT_NE(Rows("kind a").find("position 6"), std::string::npos);
  EXPECT_NE(Rows("colour = a").find("the table 'trials' has kind, block, tags"), std::string::npos);
  EXPECT_NE(Rows("block = a").find("numeric column 'block'"), std::string::npos);
  EXPECT_NE(Rows("kind = \"a").find("never ends"), std::string::npos);
  EXPECT_NE(Rows("kind = a)").find("expected AND, OR"), std::string::npos);
  EXPECT_NE(Rows(std::string(2000, '(')).find("levels deep"), std::string::npos);
}

TEST(Filter, FunctionsCarryTheirArguments) {
  const auto node = ParseFilter("auroc(\"t.kind=a\", 'test') > 0.9");
  ASSERT_TRUE(node.ok()) << node.status();
  EXPECT_TRUE(node->is_function);
  EXPECT_EQ(node->arguments, (std::vector<std::string>{"t.kind=a", "test"}));
  EXPECT_DOUBLE_EQ(node->number, 0.9);
}

TEST(Text, InvalidUtf8IsReplaced) {
  EXPECT_EQ(ValidUtf8("a\xff\xc3\xa9"), "a\xEF\xBF\xBD\xc3\xa9");
  EXPECT_EQ(NumberText(12), "12");
  EXPECT_EQ(NumberText(0.1), "0.1");
}

// Faults quote what came from outside, whatever bytes it has.
TEST(Faults, AnyBytesComeBack) {
  std::string bytes;
  for (int c = 0; c < 256; ++c) bytes += static_cast<char>(c);
  Faults faults;
  faults.Add("name", bytes + "\x1f\x1e" + bytes);
  faults.Add(bytes, "");
  const auto back = FaultsOf(faults.ToStatus());
  ASSERT_EQ(back.size(), 2u);
  EXPECT_EQ(back[0].description, bytes + "\x1f\x1e" + bytes);
  EXPECT_EQ(back[1].field, bytes);
  EXPECT_EQ(back[1].description, "");
}

}  // namespace
}  // namespace saed::recordings
