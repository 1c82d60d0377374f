#include "client/cli/page.h"

#include <algorithm>
#include <sstream>
#include <utility>
#include <vector>

#include "client/cli/output.h"

namespace saed::cli {
namespace {

constexpr int kMostOfTable = 44;  // columns that the first one of a table has at most

// Without marks: `code` → code, **strong** → strong, [text](target) → text. Marks inside code stay.
std::string Plain(std::string_view text) {
  std::string out;
  bool code = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '`') {
      code = !code;
    } else if (code) {
      out.push_back(text[i]);
    } else if (text.substr(i, 2) == "**") {
      ++i;
    } else if (text[i] == '[') {
      continue;
    } else if (text.substr(i, 2) == "](") {
      i = std::min(text.find(')', i), text.size() - 1);
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

// The cells of "| a | b |".
std::vector<std::string> Cells(const std::string& line) {
  std::vector<std::string> out;
  std::string cell;
  bool code = false;
  for (size_t i = 1; i < line.size(); ++i) {
    if (line[i] == '`') code = !code;
    if (line[i] != '|' || code) {
      cell.push_back(line[i]);
      continue;
    }
    const size_t begin = cell.find_first_not_of(' '), end = cell.find_last_not_of(' ');
    out.push_back(begin == cell.npos ? "" : Plain(cell.substr(begin, end + 1 - begin)));
    cell.clear();
  }
  return out;
}

// Rows of two columns: what the first has no room for stands above the second.
std::string TableText(const std::vector<std::vector<std::string>>& rows, int width) {
  size_t first = 0;
  for (const auto& row : rows) {
    if (row[0].size() <= static_cast<size_t>(std::min(kMostOfTable, width / 2))) {
      first = std::max(first, row[0].size());
    }
  }
  const int indent = static_cast<int>(first) + 4;
  std::string out;
  for (const auto& row : rows) {
    out += "  " + row[0];
    out += row[0].size() > first ? "\n" + std::string(indent, ' ')
                                 : std::string(first + 2 - row[0].size(), ' ');
    for (size_t i = 1; i < row.size(); ++i) {
      out += (i == 1 ? "" : "  ") + Wrapped(row[i], width, indent);
    }
    out += "\n";
  }
  return out;
}

bool Ruler(const std::string& line) {
  return line.starts_with('|') && line.find_first_not_of("|- :") == line.npos;
}

}  // namespace

std::string PageText(std::string_view markdown, int width) {
  width = std::min(width, 100);
  std::istringstream lines{std::string(markdown)};
  std::string out;
  std::vector<std::vector<std::string>> table;
  bool code = false;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with('|') && !table.empty()) {
      out += TableText(std::exchange(table, {}), width);
    }
    if (line.starts_with("```")) {
      code = !code;
    } else if (code) {
      out += line.empty() ? "\n" : "  " + line + "\n";
    } else if (Ruler(line)) {
      continue;
    } else if (line.starts_with('|')) {
      table.push_back(Cells(line));
    } else if (line.starts_with('#')) {
      out += Plain(line.substr(line.find_first_not_of("# "))) + "\n";
    } else {
      out += Wrapped(Plain(line), width, line.starts_with("- ") ? 2 : 0) + "\n";
    }
  }
  if (!table.empty()) out += TableText(table, width);
  return out;
}

}  // namespace saed::cli
