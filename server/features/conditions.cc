#include "server/features/conditions.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/recordings/table_filter.h"

namespace saed::features {
namespace {

using recordings::Column;
using recordings::IntervalTable;
using recordings::Numbers;

bool Categorical(const Column& column) {
  const auto* numbers = std::get_if<Numbers>(&column.values);
  if (numbers == nullptr) return true;
  return std::all_of(numbers->begin(), numbers->end(),
                     [](double v) { return std::isfinite(v) && v == std::floor(v); });
}

bool IsTime(const std::string& name) {
  return name == "start_time" || name == "stop_time" || name == "duration" || name == "id";
}

std::string Quoted(const std::string& text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
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
        if (value.empty()) continue;
        if (out.size() == kMaxConditions) {
          warnings.push_back(fmt::format("only the first {} conditions were made", kMaxConditions));
          return out;
        }
        Condition c;
        c.name = fmt::format("{}.{}={}", table.table.name, column.name, value);
        c.table = table.table.name;
        c.filter = fmt::format("{} = {}", Quoted(column.name), number ? value : Quoted(value));
        out.push_back(std::move(c));
      }
    }
  }
  return out;
}

absl::Status Validate(const recordings::Recording& recording,
                      const std::vector<Condition>& conditions) {
  Faults faults;
  std::set<std::string> names;
  if (conditions.size() > kMaxConditions) {
    faults.Add("conditions", fmt::format("has {} entries; at most {} are allowed",
                                         conditions.size(), kMaxConditions));
  }
  for (size_t i = 0; i < conditions.size(); ++i) {
    const Condition& c = conditions[i];
    const std::string at = fmt::format("conditions[{}]", i);
    if (c.name.empty() || c.name.size() > 200 || !names.insert(c.name).second) {
      faults.Add(at + ".name",
                 fmt::format("is '{}'; must be 1 to 200 bytes and used once", c.name));
    }
    const IntervalTable* table = recording.FindIntervals(c.table);
    if (table == nullptr) {
      std::string have;
      for (const auto& t : recording.intervals) {
        have += (have.empty() ? "" : ", ") + t.table.name;
      }
      faults.Add(at + ".table", fmt::format("is '{}'; the recording's interval tables are: {}",
                                            c.table, have.empty() ? "none" : have));
    } else {
      faults.Merge(recordings::MatchRows(table->table, c.filter).status(), at);
    }
    const bool finite = std::isfinite(c.from) && std::isfinite(c.to);
    if (!finite || (c.anchor != Anchor::kWhole && !(c.from < c.to))) {
      faults.Add(at + ".from", fmt::format("is {} s with to = {} s; both must be finite and from "
                                           "before to",
                                           c.from, c.to));
    }
  }
  return faults.ToStatus();
}

absl::StatusOr<std::vector<uint8_t>> LabelBins(const recordings::Recording& recording,
                                               const recordings::ViewData& view,
                                               const Condition& condition) {
  const IntervalTable* table = recording.FindIntervals(condition.table);
  if (table == nullptr) return absl::NotFoundError("no interval table " + condition.table);
  SAED_ASSIGN_OR_RETURN(const auto rows, recordings::MatchRows(table->table, condition.filter));
  std::vector<uint8_t> labels(view.bins, 0);
  for (size_t i = 0; i < rows.size(); ++i) {
    if (!rows[i]) continue;
    double begin = table->start[i], end = table->stop[i];
    if (condition.anchor != Anchor::kWhole) {
      const double anchor = condition.anchor == Anchor::kStart ? begin : end;
      begin = anchor + condition.from;
      end = anchor + condition.to;
    }
    // The first bin whose centre is at or after `begin`; a nanosecond of tolerance for decimals.
    const double first = (begin - 1e-9 - view.start_time) / view.bin_width - 0.5;
    const double last = (end - 1e-9 - view.start_time) / view.bin_width - 0.5;
    const auto from = static_cast<int64_t>(std::ceil(std::max(0.0, first)));
    const auto to =
        static_cast<int64_t>(std::ceil(std::clamp(last, 0.0, static_cast<double>(view.bins))));
    for (int64_t b = from; b < to; ++b) labels[b] = 1;
  }
  return labels;
}

}  // namespace saed::features
