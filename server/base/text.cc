#include "server/base/text.h"

#include <charconv>
#include <cmath>
#include <cstdint>

namespace saed {
namespace {

// Length of the valid UTF-8 sequence at the start of s; 0 where there is none.
size_t SequenceLength(std::string_view s) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(s[i]); };
  const uint8_t b = byte(0);
  const size_t n = b < 0x80                ? 1
                   : b >= 0xC2 && b < 0xE0 ? 2
                   : (b & 0xF0) == 0xE0    ? 3
                   : b >= 0xF0 && b < 0xF5 ? 4
                                           : 0;
  if (n == 0 || n > s.size()) return 0;
  for (size_t i = 1; i < n; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  if (b == 0xE0 && byte(1) < 0xA0) return 0;
  if (b == 0xED && byte(1) > 0x9F) return 0;
  if (b == 0xF0 && byte(1) < 0x90) return 0;
  if (b == 0xF4 && byte(1) > 0x8F) return 0;
  return n;
}

}  // namespace

std::string ValidUtf8(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  while (!bytes.empty()) {
    const size_t n = SequenceLength(bytes);
    if (n == 0) {
      out += "\xEF\xBF\xBD";
    } else if (bytes[0] != '\0') {
      out += bytes.substr(0, n);
    }
    bytes.remove_prefix(n == 0 ? 1 : n);
  }
  return out;
}

void AppendUtf8(uint32_t c, std::string& out) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0 | c >> 6);
    out += static_cast<char>(0x80 | (c & 63));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xE0 | c >> 12);
    out += static_cast<char>(0x80 | (c >> 6 & 63));
    out += static_cast<char>(0x80 | (c & 63));
  } else if (c < 0x110000) {
    out += static_cast<char>(0xF0 | c >> 18);
    out += static_cast<char>(0x80 | (c >> 12 & 63));
    out += static_cast<char>(0x80 | (c >> 6 & 63));
    out += static_cast<char>(0x80 | (c & 63));
  } else {
    out += "\xEF\xBF\xBD";
  }
}

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

std::string NumberText(double value) {
  char buffer[40];
  const bool integer = std::abs(value) < 1e15 && value == std::floor(value);
  const auto end = integer ? std::to_chars(buffer, buffer + 40, static_cast<int64_t>(value))
                           : std::to_chars(buffer, buffer + 40, value);
  return {buffer, end.ptr};
}

}  // namespace saed
