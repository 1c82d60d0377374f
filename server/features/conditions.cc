#include "server/features/conditions.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "server/base/display_name.h"
#include "server/base/faults.h"
#include "server/base/on_behalf.h"
#include "server/base/status_macros.h"
#include "server/features/expression.h"
#include "server/features/value_hints.h"
#include "server/recordings/table_filter.h"

namespace saed::features {
namespace {

using recordings::Column;
using recordings::IntervalTable;
using recordings::Numbers;

bool WholeNumbers(const Numbers& numbers) {
  return std::all_of(numbers.begin(), numbers.end(), [](double v) {
    return std::isnan(v) || (std::isfinite(v) && v == std::floor(v));
  });
}

bool Categorical(const Column& column) {
  const auto* numbers = std::get_if<Numbers>(&column.values);
  return numbers == nullptr || WholeNumbers(*numbers);
}

bool IsTime(const std::string& name) {
  return name == "start_time" || name == "stop_time" || name == "duration" || name == "id" ||
         name.ends_with("_time") || name.ends_with("_times");
}

// The same or one more from row to row, as numbers of trials and blocks are.
bool CountsUp(const Numbers& numbers) {
  constexpr double kFew = 2;
  double last = std::nan(""), first = last;
  for (const double v : numbers) {
    if (std::isnan(v)) continue;
    if (std::isnan(first)) first = v;
    if (!std::isnan(last) && v != last && v != last + 1) return false;
    last = v;
  }
  return last - first >= kFew;
}

// Why a categorical column makes no conditions; empty: it does.
std::string WhyNone(const Column& column, size_t values) {
  constexpr size_t kFewRows = 5;
  if (values > kMaxValuesPerColumn) {
    return fmt::format("has more than {} values", kMaxValuesPerColumn);
  }
  if (values < 2) return "is the same in all rows";
  const auto* numbers = std::get_if<Numbers>(&column.values);
  if (numbers != nullptr && CountsUp(*numbers)) return "counts up from row to row";
  if (values == column.rows() && values >= kFewRows) return "differs in all rows";
  return "";
}

// What is said of a column of fractions with so few values that each may be a kind of row,
// contrasts for instance; empty for others.
std::string FewFractions(const std::string& name, const Column& column) {
  constexpr size_t kFew = 20, kRowsOfValue = 4;
  const auto values = recordings::DistinctValues(column, kFew + 1);
  if (values.size() < 2 || values.size() > kFew || values.size() * kRowsOfValue > column.rows()) {
    return "";
  }
  return fmt::format(
      "{0} has {1} values, not all of them whole numbers; it made no conditions: choose the "
      "column, "
      "or ask for {0}={2} and the like",
      name, values.size(), values.front());
}

bool Names(const std::vector<std::string>& names, const std::string& table,
           const std::string& column) {
  return std::any_of(names.begin(), names.end(),
                     [&](const std::string& n) { return n == table || n == table + "." + column; });
}

bool Lasts(const IntervalTable& table) {
  for (size_t i = 0; i < table.rows(); ++i) {
    if (table.stop[i] > table.start[i]) return true;
  }
  return false;
}

// The conditions of one column, or a warning.
void AddColumn(const IntervalTable& table, const Column& column, bool chosen,
               std::vector<Condition>& out, std::vector<std::string>& warnings) {
  const bool number = std::holds_alternative<Numbers>(column.values);
  const auto values = recordings::DistinctValues(column, kMaxValuesPerColumn + 1);
  const std::string why = WhyNone(column, values.size());
  if (!why.empty() && (!chosen || values.size() > kMaxValuesPerColumn || values.size() < 2)) {
    warnings.push_back(
        fmt::format("{}.{} {}; it made no conditions", table.table.name, column.name, why));
    return;
  }
  int64_t too_long = 0;
  for (const std::string& value : values) {
    Condition c;
    c.name = fmt::format("{}.{}={}", table.table.name, column.name, value);
    c.expression = fmt::format("among({}, {} = {})", Quoted(table.table.name), Quoted(column.name),
                               number ? value : Quoted(value));
    c.family = table.table.name;
    if (c.expression.size() > kMaxFilterLength) {
      ++too_long;
    } else {
      out.push_back(std::move(c));
    }
  }
  if (too_long > 0) {
    warnings.push_back(fmt::format("{} values of {}.{} are too long for conditions and made none",
                                   too_long, table.table.name, column.name));
  }
}

// It is smoothed anew for every expression.
bool AsksOfMovement(const Condition& c) {
  return c.expression.find("speed(") != std::string::npos ||
         c.expression.find("speed (") != std::string::npos ||
         c.expression.find("direction(") != std::string::npos ||
         c.expression.find("direction (") != std::string::npos;
}

struct Holding {
  int64_t windows = 0, all = 0;
  bool none_or_all() const { return all > 0 && (windows == 0 || windows == all); }
};

// In how many of the windows of which it asks the condition holds.
Holding In(const std::vector<int64_t>& starts, const recordings::ViewData& view,
           const BinLabels& labels) {
  Holding out;
  for (const int64_t start : starts) {
    const WindowLabel label = labels.At(start + view.window - 1);
    out.windows += label == kHolds;
    out.all += label != kOutside;
  }
  return out;
}

}  // namespace

bool IsTimeOrCount(const Column& column) {
  const auto* numbers = std::get_if<Numbers>(&column.values);
  return IsTime(column.name) || (numbers != nullptr && CountsUp(*numbers));
}

std::vector<Condition> AutomaticConditions(const recordings::Recording& recording,
                                           const ConditionColumns& columns,
                                           std::vector<std::string>& warnings) {
  std::vector<Condition> out;
  for (const IntervalTable& table : recording.intervals) {
    const std::string& name = table.table.name;
    const bool all = columns.only.empty();
    if ((all || Names(columns.only, name, "")) && !Names(columns.excluded, name, "") &&
        Lasts(table)) {
      out.push_back({name, fmt::format("during({})", Quoted(name)), name});
    }
    for (const Column& column : table.table.columns) {
      const bool chosen = !all && Names(columns.only, name, column.name);
      if ((!all && !chosen) || Names(columns.excluded, name, column.name)) continue;
      if (IsTime(column.name) && !chosen) continue;
      if (!Categorical(column) && !chosen) {
        const std::string few = FewFractions(name + "." + column.name, column);
        if (!few.empty()) warnings.push_back(few);
        continue;
      }
      AddColumn(table, column, chosen, out, warnings);
      if (out.size() <= kMaxConditions) continue;
      out.resize(kMaxConditions);
      warnings.push_back(
          fmt::format("only the first {} conditions were made; choose columns", kMaxConditions));
      return out;
    }
  }
  return out;
}

absl::Status Validate(const recordings::Recording& recording, const ConditionColumns& columns) {
  Faults faults;
  std::vector<std::string> order;
  for (const IntervalTable& table : recording.intervals) {
    order.push_back(table.table.name);
    for (const Column& c : table.table.columns) order.push_back(table.table.name + "." + c.name);
  }
  const std::set<std::string> known(order.begin(), order.end());
  constexpr size_t kShown = 30;
  std::string all = order.empty() ? "which the recording has none" : "";
  for (size_t i = 0; i < std::min(order.size(), kShown); ++i) all += (i > 0 ? ", " : "") + order[i];
  if (order.size() > kShown) all += " …";
  const auto check = [&](const std::vector<std::string>& names, std::string_view field) {
    if (names.size() > kMaxConditions) {
      faults.Add(field, fmt::format("has {} entries; at most {} are allowed", names.size(),
                                    kMaxConditions));
      return;
    }
    for (size_t i = 0; i < names.size(); ++i) {
      if (known.count(names[i]) > 0) continue;
      faults.Add(fmt::format("{}[{}]", field, i),
                 fmt::format("is '{}'; must be a table, or TABLE.COLUMN, of {}", names[i], all));
    }
  };
  check(columns.only, "only");
  check(columns.excluded, "excluded");
  return faults.ToStatus();
}

absl::Status Validate(const recordings::Recording& recording,
                      const std::vector<Condition>& conditions, const recordings::ViewData* view) {
  Faults faults;
  std::set<std::string> names;
  if (conditions.size() > kMaxConditions) {
    faults.Add("conditions", fmt::format("has {} entries; at most {} are allowed",
                                         conditions.size(), kMaxConditions));
  }
  const auto moving = std::count_if(conditions.begin(), conditions.end(), AsksOfMovement);
  if (moving > static_cast<std::ptrdiff_t>(kMaxMoving)) {
    faults.Add("conditions", fmt::format("ask for speed or direction {} times; at most {} of them "
                                         "may",
                                         moving, kMaxMoving));
    return faults.ToStatus();
  }
  std::set<size_t> scopes;  // hashes of what is asked
  recordings::ViewData nothing;
  nothing.bin_width = 1;
  for (size_t i = 0; i < conditions.size(); ++i) {
    SAED_RETURN_IF_ERROR(StillWanted());
    const Condition& c = conditions[i];
    const std::string at = fmt::format("conditions[{}]", i);
    if (c.name.empty() || c.name.size() > 200 || c.name != ShownName(c.name) || c.name == "-" ||
        !names.insert(c.name).second) {
      faults.Add(at + ".name",
                 fmt::format("is '{}'; must be UTF-8 text of 1 to 200 bytes without line breaks, "
                             "other control characters or marks of direction or of no width, not "
                             "'-', and used once",
                             ShownName(c.name)));
    }
    const auto labels = Evaluate(c.expression, recording, view == nullptr ? nothing : *view);
    faults.Merge(labels.status(), at);
    if (!labels.ok() || view == nullptr) continue;
    if (!labels->asked.empty()) {
      scopes.insert(std::hash<std::string>()({labels->asked.begin(), labels->asked.end()}));
    }
    if (scopes.size() > kMaxScopes) {
      faults.Add("conditions",
                 fmt::format("ask of more than {0} different sets of windows; at most "
                             "{0} are allowed in one dictionary",
                             kMaxScopes));
      break;
    }
    const Holding train = In(view->scored_train(), *view, *labels);
    const Holding test = In(view->test, *view, *labels);
    const int64_t all = train.all + test.all, holding = train.windows + test.windows;
    const auto windows = static_cast<int64_t>(view->scored_train().size() + view->test.size());
    if (all == 0 && windows > 0) {
      faults.Add(
          at + ".expression",
          fmt::format("('{}') asks of none of the view's {} windows, so nothing can be "
                      "scored; check its times, which are in seconds, and the view's time range, "
                      "mask and split",
                      c.expression, windows));
    }
    if (all > 0 && (holding == 0 || holding == all)) {
      const auto hints =
          holding == 0 ? ValueHints(c.expression, recording) : std::vector<std::string>{};
      faults.Add(
          at + ".expression",
          fmt::format("('{}') holds in {} of the view's {} windows, so nothing can be scored "
                      "against it; {}",
                      c.expression, holding == 0 ? "none" : "all", all,
                      hints.empty() ? "check its values, its times in seconds, and the view's time "
                                      "range, mask and split"
                                    : fmt::format("{}", fmt::join(hints, "; "))));
    }
  }
  return faults.ToStatus();
}

std::vector<std::string> Separated(const recordings::Recording& recording,
                                   const std::vector<Condition>& conditions,
                                   const recordings::ViewData& view) {
  std::vector<std::string> out;
  for (const Condition& c : conditions) {
    const auto labels = Evaluate(c.expression, recording, view);
    if (!labels.ok()) continue;
    for (const auto& [side, holding] :
         {std::pair("training", In(view.scored_train(), view, *labels)),
          std::pair("held-out", In(view.test, view, *labels))}) {
      if (!holding.none_or_all()) continue;
      out.push_back(fmt::format(
          "condition '{}' holds in {} of the {} {} windows, so nothing can be scored against it: "
          "the split keeps its times apart; hold out trials of every kind, for instance "
          "interleaved ones stratified by the column that it is about",
          c.name, holding.windows == 0 ? "none" : "all", holding.all, side));
    }
  }
  return out;
}

}  // namespace saed::features
