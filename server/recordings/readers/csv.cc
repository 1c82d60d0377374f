#include "server/recordings/readers/csv.h"

#include <fmt/format.h>

#include "server/base/faults.h"
#include "server/base/text.h"

namespace saed::recordings {
namespace {

// One record, quotes undone; moves `rest` behind its line end.
std::vector<std::string> Record(std::string_view& rest, char separator) {
  std::vector<std::string> cells(1);
  bool quoted = false;
  size_t i = 0;
  for (; i < rest.size(); ++i) {
    const char c = rest[i];
    if (quoted) {
      if (c != '"') {
        cells.back() += c;
      } else if (i + 1 < rest.size() && rest[i + 1] == '"') {
        cells.back() += rest[++i];
      } else {
        quoted = false;
      }
    } else if (c == '"' && cells.back().empty()) {
      quoted = true;
    } else if (c == separator) {
      cells.emplace_back();
    } else if (c == '\n') {
      break;
    } else if (c != '\r') {
      cells.back() += c;
    }
  }
  rest.remove_prefix(std::min(rest.size(), i + 1));
  return cells;
}

}  // namespace

absl::StatusOr<Table> ParseSeparated(std::string_view name, std::string_view bytes,
                                     char separator) {
  if (bytes.starts_with("\xEF\xBB\xBF")) bytes.remove_prefix(3);
  Table table;
  table.name = name;
  if (bytes.empty()) return InvalidField(name, "is empty; must start with a header line");
  for (const std::string& title : Record(bytes, separator)) {
    const std::string clean = ValidUtf8(Trim(title));
    if (clean.empty() || table.Find(clean) != nullptr) {
      return InvalidField(name, fmt::format("has the column name '{}' twice or empty", clean));
    }
    table.columns.push_back({clean, Texts{}});
  }
  for (int64_t line = 2; !bytes.empty(); ++line) {
    auto cells = Record(bytes, separator);
    if (cells.size() == 1 && Trim(cells[0]).empty()) continue;
    if (cells.size() != table.columns.size()) {
      return InvalidField(name, fmt::format("has {} cells in line {}; the header has {} columns",
                                            cells.size(), line, table.columns.size()));
    }
    if (line > kMaxIntervalRows) {
      return InvalidField(name, fmt::format("has more than {} rows", kMaxIntervalRows));
    }
    for (size_t i = 0; i < cells.size(); ++i) {
      std::get<Texts>(table.columns[i].values).push_back(ValidUtf8(Trim(cells[i])));
    }
  }
  return table;
}

}  // namespace saed::recordings
