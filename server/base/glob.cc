#include "server/base/glob.h"

namespace saed {

// Goes back to the last star only: what an earlier one could take, a later one of the same kind can
// too. A '*' that may not cross a '/' gives way to the '**' before it.
bool MatchesGlob(std::string_view name, std::string_view pattern) {
  struct Star {
    size_t pattern = std::string_view::npos, name = 0;
  };
  Star shallow, deep;
  size_t n = 0, p = 0;
  while (n < name.size() || p < pattern.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      if (pattern.substr(p).starts_with("**")) {
        p += 2;
        deep = {p, n};
        shallow = {};
      } else {
        ++p;
        shallow = {p, n};
      }
      continue;
    }
    if (n < name.size() && p < pattern.size() && name[n] == pattern[p]) {
      ++n;
      ++p;
      continue;
    }
    if (shallow.pattern != std::string_view::npos && shallow.name < name.size() &&
        name[shallow.name] != '/') {
      n = ++shallow.name;
      p = shallow.pattern;
    } else if (deep.pattern != std::string_view::npos && deep.name < name.size()) {
      n = ++deep.name;
      p = deep.pattern;
      shallow = {};
    } else {
      return false;
    }
  }
  return true;
}

}  // namespace saed
