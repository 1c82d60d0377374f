#include "server/recordings/readers/text_layout.h"

#include <fmt/format.h>

#include <algorithm>

#include "server/base/faults.h"
#include "server/base/text.h"
#include "server/recordings/readers/text_cells.h"

namespace saed::recordings {
namespace {

constexpr size_t kMostColumns = 20'000;
constexpr size_t kShownCell = 40;
constexpr char kNone = 0;  // no separator: decoded text has no NUL

using Cells = std::vector<std::string_view>;

// The separator that occurs most outside quotes.
char SeparatorOf(std::string_view header) {
  constexpr std::string_view kChoices = "\t;,";
  int64_t counts[kChoices.size()] = {};
  bool quoted = false;
  for (const char c : header) {
    if (c == '"') quoted = !quoted;
    const size_t k = kChoices.find(c);
    if (!quoted && k != std::string_view::npos) ++counts[k];
  }
  const int64_t* most = std::max_element(std::begin(counts), std::end(counts));
  return *most == 0 ? ',' : kChoices[static_cast<size_t>(most - counts)];
}

// Moves to the first line that is not blank and no comment; empty at the end.
std::string_view FirstLine(std::string_view text, TextScanner& lines) {
  if (!lines.Next()) return {};
  return text.substr(lines.at(), std::min(text.find('\n', lines.at()), text.size()) - lines.at());
}

// With `commas`, those with decimal commas too.
int64_t CountNumbers(const Cells& cells, bool commas = false) {
  return std::count_if(cells.begin(), cells.end(), [&](std::string_view c) {
    return ParseNumber(c).has_value() || (commas && ParseNumber(c, true).has_value());
  });
}

// 0, 1, 2, …
bool CountColumns(const Cells& cells) {
  for (size_t c = 0; c < cells.size(); ++c) {
    if (ParseNumber(cells[c]) != static_cast<double>(c)) return false;
  }
  return cells.size() > 2;
}

// All numbers or missing, and some of them numbers: a row. Where the first is empty it is the
// header of a table with an index, as pandas writes it.
bool IsRowOfNumbers(const Cells& cells, int64_t numbers) {
  return numbers > 0 && !cells[0].empty() &&
         std::all_of(cells.begin(), cells.end(), [](std::string_view c) {
           return IsMissing(c) || ParseNumber(c) || ParseNumber(c, true);
         });
}

// Whether every row has one cell more than there are names.
bool RowsAreNamed(const TextLayout& layout, std::string_view text) {
  TextScanner rows = layout.Rows(text);
  bool any = false;
  while (rows.Next()) {
    if (rows.cells().size() != layout.names.size() + 1 || rows.cells().back().empty()) return false;
    any = true;
  }
  return any;
}

}  // namespace

std::string ShownCell(std::string_view cell) {
  if (cell.size() <= kShownCell) return std::string(cell);
  return ValidUtf8(cell.substr(0, kShownCell)) + "…";
}

absl::StatusOr<TextLayout> FindTextLayout(std::string_view name, std::string_view text,
                                          bool headless) {
  TextLayout out;
  TextScanner lines(text, kNone);
  std::string_view first = FirstLine(text, lines);
  // Spreadsheets may say the separator in a line of its own.
  if (first.starts_with("sep=") && first.size() == 5) {
    out.rows_at = std::min(text.find('\n', lines.at()), text.size());
    out.rows_line = lines.line();
    first = FirstLine(text, lines);
  }
  out.separator = SeparatorOf(first);
  TextScanner scanner = out.Rows(text);
  if (!scanner.Next()) return InvalidField(name, "is empty; must start with a header line");
  const Cells& cells = scanner.cells();
  if (cells.size() > kMostColumns) {
    return InvalidField(
        name, fmt::format("has {} columns; at most {} are read", cells.size(), kMostColumns));
  }
  const int64_t numbers = CountNumbers(cells);
  if (numbers > 0 && scanner.comments() > 0) {
    // A header behind a comment mark, as np.savetxt writes it.
    TextScanner marked(scanner.last_comment().substr(1), out.separator);
    if (marked.Next() && marked.cells().size() == cells.size() &&
        CountNumbers(marked.cells()) == 0) {
      out.names.assign(marked.cells().begin(), marked.cells().end());
      out.rows_at = scanner.at();
      out.rows_line = scanner.line();
      return out;
    }
  }
  if (headless && !CountColumns(cells) &&
      IsRowOfNumbers(cells, out.separator == ',' ? numbers : CountNumbers(cells, true))) {
    for (size_t c = 0; c < cells.size(); ++c) out.names.push_back(std::to_string(c));
    out.headed = false;
    out.rows_at = scanner.at();
    out.rows_line = scanner.line();
    return out;
  }
  if (!headless && numbers == static_cast<int64_t>(cells.size())) {
    return InvalidField(name, fmt::format("has no header: line {} is '{}'; must start with a line "
                                          "that names the columns",
                                          scanner.line(), ShownCell(first)));
  }
  out.names.assign(cells.begin(), cells.end());
  out.rows_at = std::min(scanner.next_at(), text.size());
  out.rows_line = scanner.next_line();
  if (RowsAreNamed(out, text)) out.names.insert(out.names.begin(), std::string());
  return out;
}

}  // namespace saed::recordings
