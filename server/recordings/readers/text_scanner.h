// Records of separated text (RFC 4180): cells, quotes, comment lines.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace saed::recordings {

// Goes through UTF-8 text with '\n' line ends, which must outlive it.
class TextScanner {
 public:
  // From the byte `begin` on, which is in line `line`.
  TextScanner(std::string_view text, char separator, size_t begin = 0, uint32_t line = 1)
      : text_(text), separator_(separator), place_(begin), next_line_(line) {}

  // Moves to the next record that is not blank and no comment (a line that begins with '#' or '%');
  // false at the end.
  bool Next();

  // Of the record: trimmed, quotes undone; valid until the next Next().
  const std::vector<std::string_view>& cells() const { return cells_; }
  uint32_t line() const { return line_; }  // where it begins, from 1
  size_t at() const { return begin_; }     // the byte where it begins
  // Where the next one may begin.
  size_t next_at() const { return place_; }
  uint32_t next_line() const { return next_line_; }

  int64_t comments() const { return comments_; }
  uint32_t first_comment() const { return first_comment_; }   // its line
  std::string_view last_comment() const { return comment_; }  // with its mark
  // The line of a quote that is never closed, and so is taken as a character; 0: none.
  uint32_t open_quote() const { return open_quote_; }

 private:
  bool SkipLine();
  void Record();
  bool QuotedCell();
  void PlainCell();

  std::string_view text_;
  char separator_;
  size_t place_, begin_ = 0;
  uint32_t next_line_, line_ = 0;
  std::vector<std::string_view> cells_;
  std::deque<std::string> undone_;  // cells whose quotes were undone
  int64_t comments_ = 0;
  uint32_t first_comment_ = 0, open_quote_ = 0;
  std::string_view comment_;
};

}  // namespace saed::recordings
