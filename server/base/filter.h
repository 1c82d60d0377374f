// Filters after AIP-160: comparisons joined by AND, OR, NOT and parentheses.
//
//   stimulus_name = "full_field" AND polarity = B
//   auroc("stimulus_presentations.polarity=B") > 0.9 AND density < 0.1
//
// As in AIP-160, OR binds tighter than AND. A comparison is field, operator, value; operators are
// = != < <= > >= and : (a list has the value, a text contains it). A field may be a function.
// Values are numbers, bare words or quoted strings.
//
// Where the caller takes them, a function may also stand alone, and its arguments may be filters:
//
//   around_start(trials, outcome = hit AND side = left, -0.1, 0.5) OR rising(position.x)
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace saed {

struct FilterNode {
  enum class Kind { kAnd, kOr, kNot, kCompare, kCall };
  Kind kind = Kind::kCompare;
  // Of kAnd, kOr (two or more), kNot (one); of a kCall those arguments that are filters.
  std::vector<FilterNode> children;

  // Of kCompare and kCall:
  std::string field;  // or the function's name
  bool is_function = false;
  std::vector<std::string> arguments;  // of the function, those that are words or strings
  size_t position = 0;                 // where it begins in the text, from 0

  // Of kCompare:
  std::string op;
  std::string text;        // the value as written, without quotes
  bool is_number = false;  // unquoted and a number
  double number = 0;
};

inline constexpr size_t kMaxFilterLength = 4096;
inline constexpr int kMaxFilterDepth = 32;

// Parses a filter. INVALID_ARGUMENT on field "filter" says where and what was expected. An empty
// text is an error: the caller treats "no filter" itself.
absl::StatusOr<FilterNode> ParseFilter(std::string_view text);

// The same with functions that stand alone; faults on field "expression".
absl::StatusOr<FilterNode> ParseExpression(std::string_view text);

}  // namespace saed
