// Conditions: named binary labels over bins, made from interval tables and series.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/recordings/recording.h"
#include "server/recordings/view.h"

namespace saed::features {

struct Condition {
  std::string name;         // unique in a dictionary
  std::string expression;   // see expression.h
  std::string family = {};  // the interval table that made it; empty: somebody asked for it
};

// Which columns make conditions by themselves, as "table.column", or "table" for all of its.
struct ConditionColumns {
  std::vector<std::string> only, excluded;  // only: empty is all
};

inline constexpr size_t kMaxConditions = 2000;
inline constexpr size_t kMaxValuesPerColumn = 100;
// Different sets of windows that conditions ask of, as each costs a pass over all scores.
inline constexpr size_t kMaxScopes = 32;
// Conditions that ask for speed or direction, which take long to make of many bins.
inline constexpr size_t kMaxMoving = 8;

// One condition for every value of every categorical column of every interval table, named
// "table.column=value", against the table's other rows; and one for the rows of each table whose
// rows last, named "table", against everything else. Categorical are texts, lists of texts (a row
// counts for each member) and whole numbers with at most kMaxValuesPerColumn distinct values. No
// conditions make times and names of rows, columns that are the same in all rows, that differ in
// all, or that count up from row to row, nor other numbers, unless `columns.only` names them. Adds
// to `warnings` what was left out.
std::vector<Condition> AutomaticConditions(const recordings::Recording& recording,
                                           const ConditionColumns& columns,
                                           std::vector<std::string>& warnings);

// Whether a column is one of times (by its name) or counts up from row to row: drifts alone would
// go with it.
bool IsTimeOrCount(const recordings::Column& column);

// Faults of names that the recording does not have, on "only[i]" and "excluded[i]".
absl::Status Validate(const recordings::Recording& recording, const ConditionColumns& columns);

// Faults of user conditions, each on "conditions[i].…". Where a view is given also of those that
// hold in none or in all of the scored windows' last bins: nothing could be scored against them.
absl::Status Validate(const recordings::Recording& recording,
                      const std::vector<Condition>& conditions,
                      const recordings::ViewData* view = nullptr);

// A line for each side of the split in which a condition holds in none or in all of the windows
// that are scored; nothing for conditions that Validate refuses.
std::vector<std::string> Separated(const recordings::Recording& recording,
                                   const std::vector<Condition>& conditions,
                                   const recordings::ViewData& view);

}  // namespace saed::features
