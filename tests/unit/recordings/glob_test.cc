// Patterns of file names, against a plain reference.
#include "server/base/glob.h"

#include <gtest/gtest.h>

#include <string>

namespace saed {
namespace {

// By the definition, in exponential time.
bool Reference(std::string_view name, std::string_view pattern) {
  if (pattern.empty()) return name.empty();
  if (pattern[0] != '*') {
    return !name.empty() && name[0] == pattern[0] && Reference(name.substr(1), pattern.substr(1));
  }
  const bool deep = pattern.starts_with("**");
  for (size_t i = 0; i <= name.size(); ++i) {
    if (Reference(name.substr(i), pattern.substr(deep ? 2 : 1))) return true;
    if (i < name.size() && name[i] == '/' && !deep) return false;
  }
  return false;
}

// Every text of up to `length` of these letters.
std::vector<std::string> Texts(std::string_view letters, int length) {
  std::vector<std::string> out = {""};
  for (size_t from = 0; length > 0; --length) {
    const size_t to = out.size();
    for (; from < to; ++from) {
      for (char c : letters) out.push_back(out[from] + c);
    }
  }
  return out;
}

TEST(Glob, IsWhatItsDefinitionSays) {
  const auto names = Texts("a/b", 5), patterns = Texts("a/*", 6);
  int64_t wrong = 0;
  for (const std::string& pattern : patterns) {
    for (const std::string& name : names) {
      wrong += MatchesGlob(name, pattern) != Reference(name, pattern);
    }
  }
  EXPECT_EQ(wrong, 0);
}

TEST(Glob, LongNamesTakeNoTime) {
  EXPECT_FALSE(MatchesGlob(std::string(4'000, 'a'), "**a**a**a**a*b"));
}

}  // namespace
}  // namespace saed
