#include "server/base/display_name.h"

#include <fmt/format.h>

#include <cstdint>

#include "server/base/text.h"

namespace saed {
namespace {

constexpr size_t kLongest = 200;  // bytes

// The code point at `at` of valid UTF-8 whose sequences have two or three bytes, as all that are
// hidden do; 0 for other ones.
uint32_t CodePoint(std::string_view utf8, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(utf8[i]); };
  const uint8_t first = byte(at);
  if (first < 0x80) return first;
  if ((first & 0xE0) == 0xC0 && at + 1 < utf8.size()) {
    return (first & 0x1FU) << 6 | (byte(at + 1) & 0x3FU);
  }
  if ((first & 0xF0) == 0xE0 && at + 2 < utf8.size()) {
    return (first & 0x0FU) << 12 | (byte(at + 1) & 0x3FU) << 6 | (byte(at + 2) & 0x3FU);
  }
  return 0;
}

bool IsHidden(uint32_t c) {
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x061C || c == 0x200E || c == 0x200F ||
         (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}

}  // namespace

bool HasHiddenCharacters(std::string_view utf8) {
  for (size_t i = 0; i < utf8.size(); ++i) {
    const auto byte = static_cast<uint8_t>(utf8[i]);
    if ((byte & 0xC0) == 0x80 || byte >= 0xF0) continue;  // within a letter, or a longer one
    if (IsHidden(CodePoint(utf8, i))) return true;
  }
  return false;
}

std::string WithoutHidden(std::string_view utf8, bool lines) {
  std::string out;
  for (size_t i = 0; i < utf8.size();) {
    size_t end = i + 1;
    while (end < utf8.size() && (static_cast<uint8_t>(utf8[end]) & 0xC0) == 0x80) ++end;
    const std::string_view letter = utf8.substr(i, end - i);
    const bool kept = (lines && letter == "\n") || !HasHiddenCharacters(letter);
    out += kept ? letter : "…";
    i = end;
  }
  return out;
}

bool IsIdForm(std::string_view text) {
  return text.size() == 16 && text.find_first_not_of("0123456789abcdef") == text.npos;
}

std::string ShownName(std::string_view name) {
  std::string shown = ValidUtf8(name.substr(0, kLongest));
  return HasHiddenCharacters(shown) ? "…" : shown;
}

std::string DisplayNameFault(std::string_view name) {
  if (IsIdForm(name)) {
    return fmt::format(
        "is '{}', which is the form of an id; must be another name, or commands could not tell "
        "them apart",
        name);
  }
  if (!name.empty() && name.size() <= kLongest && ValidUtf8(name) == name &&
      !HasHiddenCharacters(name)) {
    return "";
  }
  return fmt::format(
      "is '{}', {} bytes; must be UTF-8 text of 1 to {} bytes without control characters and marks "
      "of direction",
      ShownName(name), name.size(), kLongest);
}

}  // namespace saed
