// What the cells of a text table mean.
#pragma once

#include <optional>
#include <string_view>

namespace saed::recordings {

// A number as programs write them: digits with a point (or a comma where told), sign, exponent, or
// an infinity. No thousands separators, no hexadecimals, no NaN, nothing beyond a double.
std::optional<double> ParseNumber(std::string_view text, bool decimal_comma = false);
// A whole number with so many digits that a double is another one.
bool IsRounded(std::string_view text);

// Empty, NA, N/A, NaN, null, None and their like: what pandas and R write for no value.
bool IsMissing(std::string_view text);
// A number that is larger than any double, as 1e400.
bool IsTooLarge(std::string_view text);
// Missing, but spelled as a word that could mean something.
bool IsMissingWord(std::string_view text);

// "1,234": a number whose comma could be a thousands separator.
bool LikeThousands(std::string_view text);

}  // namespace saed::recordings
