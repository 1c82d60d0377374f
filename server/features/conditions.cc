#include "server/features/conditions.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "server/base/faults.h"
#include "server/features/expression.h"
#include "server/recordings/table_filter.h"

namespace saed::features {
namespace {

using recordings::Column;
using recordings::IntervalTable;
using recordings::Numbers;

bool Categorical(const Column& column) {
  const auto* numbers = std::get_if<Numbers>(&column.values);
  if (numbers == nullptr) return true;
  return std::all_of(numbers->begin(), numbers->end(), [](double v) {
    return std::isnan(v) || (std::isfinite(v) && v == std::floor(v));
  });
}

bool IsTime(const std::string& name) {
  return name == "start_time" || name == "stop_time" || name == "duration" || name == "id";
}

struct Holding {
  int64_t windows = 0, all = 0;
  bool none_or_all() const { return all > 0 && (windows == 0 || windows == all); }
};

// In how many of the windows the condition holds.
Holding In(const std::vector<int64_t>& starts, const recordings::ViewData& view,
           const BinLabels& labels) {
  Holding out{0, static_cast<int64_t>(starts.size())};
  for (const int64_t start : starts) out.windows += labels.holds[start + view.window - 1];
  return out;
}

}  // namespace

std::vector<Condition> AutomaticConditions(const recordings::Recording& recording,
                                           std::vector<std::string>& warnings) {
  std::vector<Condition> out;
  for (const IntervalTable& table : recording.intervals) {
    for (const Column& column : table.table.columns) {
      if (IsTime(column.name) || !Categorical(column)) continue;
      const bool number = std::holds_alternative<Numbers>(column.values);
      const auto values = recordings::DistinctValues(column, kMaxValuesPerColumn + 1);
      if (values.size() > kMaxValuesPerColumn) {
        warnings.push_back(fmt::format("{}.{} has more than {} values; it made no conditions",
                                       table.table.name, column.name, kMaxValuesPerColumn));
        continue;
      }
      for (const std::string& value : values) {
        if (out.size() == kMaxConditions) {
          warnings.push_back(fmt::format("only the first {} conditions were made", kMaxConditions));
          return out;
        }
        Condition c;
        c.name = fmt::format("{}.{}={}", table.table.name, column.name, value);
        c.expression = fmt::format("during({}, {} = {})", Quoted(table.table.name),
                                   Quoted(column.name), number ? value : Quoted(value));
        out.push_back(std::move(c));
      }
    }
  }
  return out;
}

absl::Status Validate(const recordings::Recording& recording,
                      const std::vector<Condition>& conditions, const recordings::ViewData* view) {
  Faults faults;
  std::set<std::string> names;
  if (conditions.size() > kMaxConditions) {
    faults.Add("conditions", fmt::format("has {} entries; at most {} are allowed",
                                         conditions.size(), kMaxConditions));
  }
  recordings::ViewData nothing;
  nothing.bin_width = 1;
  for (size_t i = 0; i < conditions.size(); ++i) {
    const Condition& c = conditions[i];
    const std::string at = fmt::format("conditions[{}]", i);
    const bool control = std::any_of(c.name.begin(), c.name.end(),
                                     [](unsigned char x) { return x < ' ' || x == 0x7f; });
    if (c.name.empty() || c.name.size() > 200 || control || !names.insert(c.name).second) {
      faults.Add(at + ".name",
                 fmt::format("is '{}'; must be 1 to 200 bytes without line breaks or other control "
                             "characters, and used once",
                             c.name));
    }
    const auto labels = Evaluate(c.expression, recording, view == nullptr ? nothing : *view);
    faults.Merge(labels.status(), at);
    if (!labels.ok() || view == nullptr) continue;
    const Holding train = In(view->scored_train(), *view, *labels);
    const Holding test = In(view->test, *view, *labels);
    const int64_t all = train.all + test.all, holding = train.windows + test.windows;
    if (all > 0 && (holding == 0 || holding == all)) {
      faults.Add(
          at + ".expression",
          fmt::format("('{}') holds in {} of the view's {} windows, so nothing can be scored "
                      "against it; check its values and times, and the view's time range, "
                      "mask and split",
                      c.expression, holding == 0 ? "none" : "all", all));
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
