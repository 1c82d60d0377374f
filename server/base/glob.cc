#include "server/base/glob.h"

namespace saed {

bool MatchesGlob(std::string_view name, std::string_view pattern) {
  if (pattern.empty()) return name.empty();
  if (pattern[0] != '*') {
    return !name.empty() && name[0] == pattern[0] && MatchesGlob(name.substr(1), pattern.substr(1));
  }
  const bool deep = pattern.starts_with("**");
  const std::string_view rest = pattern.substr(deep ? 2 : 1);
  for (size_t i = 0; i <= name.size(); ++i) {
    if (MatchesGlob(name.substr(i), rest)) return true;
    if (i < name.size() && name[i] == '/' && !deep) return false;
  }
  return false;
}

}  // namespace saed
