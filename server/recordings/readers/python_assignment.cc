#include "server/recordings/readers/python_assignment.h"

#include <algorithm>

#include "server/base/text.h"

namespace saed::recordings {
namespace {

// Goes through the statements of a file: lines, without those that lie in texts and brackets or
// were continued by a backslash.
class Statements {
 public:
  explicit Statements(std::string_view python) : rest_(python) {}

  // The next one, without its comment; false at the end.
  bool Next(std::string_view& statement) {
    if (rest_.empty()) return false;
    size_t i = 0, code = std::string_view::npos;
    int depth = 0;
    while (i < rest_.size()) {
      const char c = rest_[i];
      if (c == '\'' || c == '"') {
        i = BehindText(i);
      } else if (c == '#') {
        code = std::min(code, i);
        i = std::min(rest_.find_first_of("\r\n", i), rest_.size());
      } else if (c == '\\') {
        i += rest_.substr(i).starts_with("\\\r\n") ? 3 : 2;
      } else if ((c == '\n' || c == '\r' || c == ';') && depth == 0) {
        break;
      } else {
        depth += c == '(' || c == '[' || c == '{' ? 1 : 0;
        depth -= (c == ')' || c == ']' || c == '}') && depth > 0 ? 1 : 0;
        ++i;
      }
    }
    i = std::min(i, rest_.size());
    const bool same_line = i < rest_.size() && rest_[i] == ';';
    statement = rest_.substr(0, std::min(i, code));
    rest_.remove_prefix(std::min(i + 1, rest_.size()));
    if (same_line) rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t"), rest_.size()));
    return true;
  }

 private:
  // The place behind the text whose quote is at `i`; one that is never closed ends with its line,
  // or where it has three quotes with the file.
  size_t BehindText(size_t i) const {
    const char quote = rest_[i];
    const std::string three(3, quote);
    const bool block = rest_.substr(i).starts_with(three);
    i += block ? 3 : 1;
    for (; i < rest_.size(); ++i) {
      if (rest_[i] == '\\') {
        ++i;
      } else if (block ? rest_.substr(i).starts_with(three) : rest_[i] == quote) {
        return i + (block ? 3 : 1);
      } else if (!block && (rest_[i] == '\n' || rest_[i] == '\r')) {
        return i;
      }
    }
    return rest_.size();
  }

  std::string_view rest_;
};

}  // namespace

std::optional<std::string_view> PythonAssignment(std::string_view python, std::string_view name) {
  std::optional<std::string_view> out;
  Statements statements(python);
  for (std::string_view statement; statements.Next(statement);) {
    if (!statement.starts_with(name)) continue;
    std::string_view rest = Trim(statement.substr(name.size()));
    // The type that a note of types names says nothing.
    if (rest.starts_with(':')) rest.remove_prefix(std::min(rest.find('='), rest.size()));
    if (!rest.starts_with('=') || rest.starts_with("==")) continue;
    out = Trim(rest.substr(1));
  }
  return out;
}

}  // namespace saed::recordings
