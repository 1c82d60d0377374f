#include "server/base/display_name.h"

#include <fmt/format.h>

#include <cstdint>

#include "server/base/text.h"

namespace saed {
namespace {

constexpr size_t kLongest = 200;  // bytes

// The code point at `at` of valid UTF-8 whose sequences have at most three bytes; the one of the
// first three of a longer one is 0.
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

// Takes no room, or looks like a blank and is none: soft hyphen, joiners, fillers, invisible
// operators, deprecated marks, selectors of variants, a Braille letter without dots, the byte order
// mark, ends of lines and paragraphs.
bool IsInvisible(uint32_t c) {
  return c == 0xAD || c == 0x034F || c == 0x115F || c == 0x1160 || c == 0x17B4 || c == 0x17B5 ||
         (c >= 0x180B && c <= 0x180F) || (c >= 0x200B && c <= 0x200D) || c == 0x2028 ||
         c == 0x2029 || c == 0x2800 || (c >= 0xFE00 && c <= 0xFE0F) ||
         (c >= 0x2060 && c <= 0x206F) || c == 0x3164 || c == 0xFEFF || c == 0xFFA0 ||
         (c >= 0xFFF9 && c <= 0xFFFB);
}

bool HasInvisibleCharacters(std::string_view utf8) {
  for (size_t i = 0; i < utf8.size(); ++i) {
    if ((static_cast<uint8_t>(utf8[i]) & 0xC0) == 0x80) continue;  // within a letter
    // Tags and further selectors, U+E0000 to U+E0FFF, have four bytes.
    if (utf8.substr(i).starts_with("\xf3\xa0") || IsInvisible(CodePoint(utf8, i))) return true;
  }
  return false;
}

// Nothing but blanks: U+0020, U+00A0, U+2000 to U+200A, U+202F, U+205F, U+3000.
bool IsBlank(std::string_view utf8) {
  for (size_t i = 0; i < utf8.size(); ++i) {
    if ((static_cast<uint8_t>(utf8[i]) & 0xC0) == 0x80) continue;
    const uint32_t c = CodePoint(utf8, i);
    if (c != 0x20 && c != 0xA0 && (c < 0x2000 || c > 0x200A) && c != 0x202F && c != 0x205F &&
        c != 0x3000) {
      return false;
    }
  }
  return true;
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
  return HasHiddenCharacters(shown) || HasInvisibleCharacters(shown) ? "…" : shown;
}

std::string DisplayNameFault(std::string_view name) {
  // Alone or as of a resource: recordings/0123456789abcdef.
  const size_t slash = name.find('/');
  const std::string_view collection = name.substr(0, slash == name.npos ? 0 : slash + 1);
  if (IsIdForm(name.substr(collection.size())) &&
      collection.find_first_not_of("abcdefghijklmnopqrstuvwxyz/") == name.npos) {
    return fmt::format(
        "is '{}', which is the form of an id; must be another name, or commands could not tell "
        "them apart",
        name);
  }
  if (name == "-") return "is '-', which stands for all there are; must be another name";
  if (!IsBlank(name) && name.size() <= kLongest && ValidUtf8(name) == name &&
      !HasHiddenCharacters(name) && !HasInvisibleCharacters(name)) {
    return "";
  }
  return fmt::format(
      "is '{}', {} bytes; must be UTF-8 text of 1 to {} bytes, not blank, without control "
      "characters "
      "and marks of direction or of no width",
      ShownName(name), name.size(), kLongest);
}

}  // namespace saed
