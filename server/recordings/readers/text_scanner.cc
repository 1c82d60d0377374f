#include "server/recordings/readers/text_scanner.h"

#include <algorithm>

#include "server/base/text.h"

namespace saed::recordings {

bool TextScanner::Next() {
  while (place_ < text_.size()) {
    if (SkipLine()) continue;
    line_ = next_line_;
    begin_ = place_;
    Record();
    return true;
  }
  return false;
}

// Blank lines and comments.
bool TextScanner::SkipLine() {
  const size_t end = std::min(text_.find('\n', place_), text_.size());
  const std::string_view line = text_.substr(place_, end - place_);
  const bool comment = !line.empty() && (line[0] == '#' || line[0] == '%');
  if (!comment && !Trim(line).empty()) return false;
  // A line of tabs is a record of missing cells only where it has such cells at all.
  if (!comment && line.find(separator_) != std::string_view::npos) return false;
  if (comment) {
    if (comments_++ == 0) first_comment_ = next_line_;
    comment_ = line;
  }
  place_ = end + 1;
  ++next_line_;
  return true;
}

void TextScanner::Record() {
  cells_.clear();
  undone_.clear();
  while (true) {
    const size_t first = std::min(text_.find_first_not_of(' ', place_), text_.size());
    const bool quoted = first < text_.size() && text_[first] == '"' && open_quote_ == 0;
    if (!quoted || !QuotedCell()) PlainCell();
    const bool more = place_ < text_.size() && text_[place_] == separator_;
    if (place_ < text_.size() && text_[place_] == '\n') ++next_line_;
    ++place_;
    if (!more) break;
  }
}

void TextScanner::PlainCell() {
  const size_t begin = place_;
  while (place_ < text_.size() && text_[place_] != separator_ && text_[place_] != '\n') ++place_;
  cells_.push_back(Trim(text_.substr(begin, place_ - begin)));
}

// False, and nothing is moved, where the quote is never closed.
bool TextScanner::QuotedCell() {
  size_t i = text_.find('"', place_) + 1;
  uint32_t lines = 0;
  std::string& cell = undone_.emplace_back();
  for (;; ++i) {
    const size_t quote = text_.find('"', i);
    if (quote == std::string_view::npos) {
      open_quote_ = next_line_;
      return false;
    }
    const std::string_view part = text_.substr(i, quote - i);
    lines += static_cast<uint32_t>(std::count(part.begin(), part.end(), '\n'));
    cell += part;
    i = quote + 1;
    if (i >= text_.size() || text_[i] != '"') break;
    cell += '"';
  }
  // What follows a closing quote still belongs to the cell.
  const size_t begin = i;
  while (i < text_.size() && text_[i] != separator_ && text_[i] != '\n') ++i;
  cell += text_.substr(begin, i - begin);
  place_ = i;
  next_line_ += lines;
  cells_.push_back(Trim(cell));
  return true;
}

}  // namespace saed::recordings
