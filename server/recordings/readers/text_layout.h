// Where the rows of a text table are, and what its columns are called.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/recordings/readers/text_scanner.h"

namespace saed::recordings {

struct TextLayout {
  char separator = ',';
  size_t rows_at = 0;      // the byte where the first row may begin
  uint32_t rows_line = 1;  // its line
  // As written, so perhaps empty or twice. One more than the header has where every row has one
  // cell more, the name of the row, as R writes it.
  std::vector<std::string> names;
  bool headed = true;  // false: the names are 0, 1, …

  TextScanner Rows(std::string_view text) const { return {text, separator, rows_at, rows_line}; }
};

// Of decoded text (text_encoding.h). INVALID_ARGUMENT on `name` where there is no header, which is
// a first line that is not all numbers. With `headless` there need be none, and one may be of
// numbers that count the columns from 0, as pandas writes it, where there are more than two.
absl::StatusOr<TextLayout> FindTextLayout(std::string_view name, std::string_view text,
                                          bool headless = false);

// The beginning of a cell, for messages.
std::string ShownCell(std::string_view cell);

}  // namespace saed::recordings
