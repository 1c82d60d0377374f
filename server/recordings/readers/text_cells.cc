#include "server/recordings/readers/text_cells.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <string>

#include "server/base/text.h"

namespace saed::recordings {

std::optional<double> ParseNumber(std::string_view text, bool decimal_comma) {
  constexpr size_t kLongest = 400;  // 1e-308 written out
  text = Trim(text);
  if (text.empty() || text.size() > kLongest) return std::nullopt;
  std::string pointed;
  if (decimal_comma) {
    if (text.find('.') != std::string_view::npos) return std::nullopt;
    if (const size_t comma = text.find(','); comma != std::string_view::npos) {
      pointed = text;
      pointed[comma] = '.';
      text = pointed;
    }
  }
  if (text[0] == '+') {
    text.remove_prefix(1);
    if (text.starts_with('-')) return std::nullopt;
  }
  const size_t sign = text.starts_with('-') ? 1 : 0;
  // from_chars knows "nan(…)" too, which nobody writes for a number.
  if (text.size() == sign || text[sign] == 'n' || text[sign] == 'N') return std::nullopt;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size() || error == std::errc::invalid_argument) return std::nullopt;
  if (error == std::errc()) return value;
  // Too small for a double is 0, as everyone reads it; too large is no number that there is.
  value = std::strtod(std::string(text).c_str(), nullptr);
  return std::isinf(value) ? std::nullopt : std::optional(value);
}

bool IsRounded(std::string_view text) {
  constexpr size_t kExact = 15;  // digits that a double always holds
  text = Trim(text);
  if (text.size() <= kExact) return false;
  if (text[0] == '+') text.remove_prefix(1);
  const bool negative = text.starts_with('-');
  uint64_t whole = 0;
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data() + (negative ? 1 : 0), end, whole);
  if (at != end) return false;
  if (error != std::errc()) return true;
  const auto value = static_cast<double>(whole);
  return value >= 0x1p64 || static_cast<uint64_t>(value) != whole;
}

bool IsMissing(std::string_view text) {
  // What pandas takes as missing, with the spelling of MATLAB and of JavaScript.
  static constexpr std::string_view kSpellings[] = {
      "N/A",  "n/a",      "NA",     "NaN",     "nan",     "NAN",      "-nan",
      "-NaN", "<NA>",     "#N/A",   "#NA",     "NULL",    "null",     "None",
      "NaT",  "#N/A N/A", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN", "undefined"};
  text = Trim(text);
  if (text.empty()) return true;
  if (text.size() > 9) return false;
  return std::find(std::begin(kSpellings), std::end(kSpellings), text) != std::end(kSpellings);
}

bool IsTooLarge(std::string_view text) {
  text = Trim(text);
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc::result_out_of_range && end == text.data() + text.size() &&
         std::isinf(std::strtod(std::string(text).c_str(), nullptr));
}

bool IsMissingWord(std::string_view text) {
  text = Trim(text);
  return text == "NA" || text == "None" || text == "NULL" || text == "null" || text == "undefined";
}

bool LikeThousands(std::string_view text) {
  const size_t comma = text.find(',');
  return comma != std::string_view::npos && text.size() - comma == 4 && text[0] != '0';
}

}  // namespace saed::recordings
