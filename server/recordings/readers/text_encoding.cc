#include "server/recordings/readers/text_encoding.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

#include "server/base/text.h"

namespace saed::recordings {
namespace {

constexpr uint32_t kReplacement = 0xFFFD;

// Where Windows-1252 is not Latin-1: the characters of the bytes 0x80 to 0x9F.
constexpr uint16_t kWindows[32] = {0x20AC, 0x81,   0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021,
                                   0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8D,   0x017D, 0x8F,
                                   0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014,
                                   0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D,   0x017E, 0x0178};

void Append(uint32_t c, std::string& out) {
  const auto more = [&](int shift) { out += static_cast<char>(0x80 | ((c >> shift) & 0x3F)); };
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0 | (c >> 6));
    more(0);
  } else if (c < 0x10000) {
    out += static_cast<char>(0xE0 | (c >> 12));
    more(6);
    more(0);
  } else {
    out += static_cast<char>(0xF0 | (c >> 18));
    more(12);
    more(6);
    more(0);
  }
}

enum class Encoding { kBytes, kUtf16Little, kUtf16Big };

// By the byte order mark, which is taken off, or else by NULs in most of the odd or even places.
Encoding EncodingOf(std::string_view& bytes) {
  constexpr size_t kLooked = 512;
  if (bytes.starts_with("\xFF\xFE")) {
    bytes.remove_prefix(2);
    return Encoding::kUtf16Little;
  }
  if (bytes.starts_with("\xFE\xFF")) {
    bytes.remove_prefix(2);
    return Encoding::kUtf16Big;
  }
  size_t even = 0, odd = 0;
  const size_t pairs = std::min(bytes.size(), kLooked) / 2;
  for (size_t i = 0; i < pairs; ++i) {
    even += bytes[2 * i] == '\0';
    odd += bytes[2 * i + 1] == '\0';
  }
  if (2 * odd > pairs && even == 0) return Encoding::kUtf16Little;
  if (2 * even > pairs && odd == 0) return Encoding::kUtf16Big;
  return Encoding::kBytes;
}

std::string FromUtf16(std::string_view bytes, bool big) {
  std::string out;
  out.reserve(bytes.size() / 2 + 16);
  const auto at = [&](size_t i) {
    const auto a = static_cast<uint8_t>(bytes[i]), b = static_cast<uint8_t>(bytes[i + 1]);
    return static_cast<uint32_t>(big ? a << 8 | b : b << 8 | a);
  };
  for (size_t i = 0; i + 1 < bytes.size(); i += 2) {
    uint32_t c = at(i);
    if (c >= 0xD800 && c < 0xDC00 && i + 3 < bytes.size()) {
      const uint32_t low = at(i + 2);
      if (low >= 0xDC00 && low < 0xE000) {
        c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
        i += 2;
      }
    }
    Append(c >= 0xD800 && c < 0xE000 ? kReplacement : c, out);
  }
  if (bytes.size() % 2 == 1) Append(kReplacement, out);
  return out;
}

std::string FromWindows(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() + bytes.size() / 8);
  for (const char c : bytes) {
    const auto b = static_cast<uint8_t>(c);
    Append(b >= 0x80 && b < 0xA0 ? kWindows[b - 0x80] : b, out);
  }
  return out;
}

// Lines end in '\n'; a '\r' is a line's end where there is no '\n' in the whole text.
void UnifyLines(std::string& text) {
  if (text.find('\r') == std::string::npos) return;
  if (text.find('\n') == std::string::npos) {
    std::replace(text.begin(), text.end(), '\r', '\n');
    return;
  }
  size_t to = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') continue;
    text[to++] = text[i];
  }
  text.resize(to);
}

}  // namespace

std::string DecodeText(std::string_view name, std::string_view bytes, Notes& notes) {
  std::string text;
  if (const Encoding encoding = EncodingOf(bytes); encoding != Encoding::kBytes) {
    text = FromUtf16(bytes, encoding == Encoding::kUtf16Big);
    if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
  } else {
    if (bytes.starts_with("\xEF\xBB\xBF")) bytes.remove_prefix(3);
    text = bytes;
  }
  if (const auto nuls = std::count(text.begin(), text.end(), '\0'); nuls > 0) {
    const auto line = 1 + std::count(text.begin(), std::find(text.begin(), text.end(), '\0'), '\n');
    notes.Mended(name, fmt::format("{} NUL bytes left out, the first is in line {}", nuls, line));
    std::erase(text, '\0');
  }
  if (ValidUtf8(text) != text) {
    notes.Said(name, "is not UTF-8; its characters are taken as Windows-1252 (Latin-1)");
    text = FromWindows(text);
  }
  UnifyLines(text);
  return text;
}

}  // namespace saed::recordings
