#include "server/recordings/readers/intervals.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "server/base/faults.h"
#include "server/base/status_macros.h"

namespace saed::recordings {
namespace {

constexpr double kOpen = std::numeric_limits<double>::infinity();

std::string ColumnNames(const Table& table) {
  std::string out;
  for (const Column& c : table.columns) out += (out.empty() ? "" : ", ") + c.name;
  return out.empty() ? "none" : out;
}

absl::StatusOr<Numbers> TimesOf(std::string_view name, const Table& table,
                                std::string_view column) {
  const Column* c = table.Find(column);
  if (c == nullptr) {
    return InvalidField(name, fmt::format("has no column {}; it has {}. It must have start_time, "
                                          "and stop_time or duration, in seconds",
                                          column, ColumnNames(table)));
  }
  const auto* numbers = std::get_if<Numbers>(&c->values);
  if (numbers != nullptr) return *numbers;
  return InvalidField(name,
                      fmt::format("has words in the column {}; it must be in seconds", column));
}

void SetColumn(std::string_view name, const Numbers& values, Table& table) {
  for (Column& c : table.columns) {
    if (c.name == name) {
      c.values = values;
      return;
    }
  }
  // Behind the start, where people look for it.
  const auto start = std::find_if(table.columns.begin(), table.columns.end(),
                                  [](const Column& c) { return c.name == "start_time"; });
  table.columns.insert(start + 1, {std::string(name), values});
}

template <class T>
void KeepRows(const std::vector<uint8_t>& keep, std::vector<T>& values) {
  size_t to = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    if (!keep[i]) continue;
    if (to != i) values[to] = std::move(values[i]);
    ++to;
  }
  values.resize(to);
}

// Infinite stops for rows without one that start last; whether each row is an interval. One that
// stops at infinity lasts to the recording's end.
std::vector<uint8_t> CheckRows(std::string_view name, const Numbers& start, Numbers& stop,
                               const std::vector<uint32_t>& lines, Notes& notes) {
  double last = -kOpen;
  for (double t : start) {
    if (std::isfinite(t)) last = std::max(last, t);
  }
  std::vector<uint8_t> keep(start.size(), 1);
  Tally dropped;
  for (size_t i = 0; i < start.size(); ++i) {
    if (std::isnan(stop[i]) && start[i] == last) stop[i] = kOpen;
    const char* fault = !std::isfinite(start[i]) ? "has no start"
                        : std::isnan(stop[i])    ? "has no stop"
                        : stop[i] < start[i]     ? "stops before it starts"
                                                 : nullptr;
    if (fault == nullptr) continue;
    keep[i] = 0;
    dropped.Add([&] {
      return fmt::format("{} {}: it runs from {} to {} s and {}", lines.empty() ? "row" : "line",
                         lines.empty() ? i + 1 : lines[i], start[i], stop[i], fault);
    });
  }
  dropped.Mend(notes, name, "rows", "dropped");
  return keep;
}

}  // namespace

absl::StatusOr<IntervalTable> MakeIntervals(std::string_view name, Table table, Notes& notes,
                                            const std::vector<uint32_t>& lines) {
  IntervalTable out;
  SAED_ASSIGN_OR_RETURN(out.start, TimesOf(name, table, "start_time"));
  const size_t rows = out.start.size();
  if (static_cast<int64_t>(rows) > kMaxIntervalRows) {
    return InvalidField(name,
                        fmt::format("has {} rows; at most {} are allowed", rows, kMaxIntervalRows));
  }
  const bool stops = table.Find("stop_time") != nullptr || table.Find("duration") == nullptr;
  SAED_ASSIGN_OR_RETURN(out.stop, TimesOf(name, table, stops ? "stop_time" : "duration"));
  for (const Column& c : table.columns) {
    if (c.rows() == rows) continue;
    return InvalidField(name, fmt::format("has {} values in the column {} and {} in start_time; "
                                          "must have as many",
                                          c.rows(), c.name, rows));
  }
  for (size_t i = 0; !stops && i < rows; ++i) out.stop[i] += out.start[i];
  const auto keep = CheckRows(name, out.start, out.stop, lines, notes);
  SetColumn("stop_time", out.stop, table);
  if (std::find(keep.begin(), keep.end(), 0) != keep.end()) {
    KeepRows(keep, out.start);
    KeepRows(keep, out.stop);
    for (Column& c : table.columns) {
      std::visit([&](auto& values) { KeepRows(keep, values); }, c.values);
    }
  }
  table.name = name;
  out.table = std::move(table);
  return out;
}

void ResolveOpenEnds(double end, Recording& recording, Notes& notes) {
  for (IntervalTable& t : recording.intervals) {
    Tally open;
    for (size_t i = 0; i < t.rows(); ++i) {
      if (t.stop[i] != kOpen) continue;
      t.stop[i] = std::max(end, t.start[i]);
      open.Add([&] { return fmt::format("row {}, from {} s on", i + 1, t.start[i]); });
    }
    if (open.count() == 0) continue;
    SetColumn("stop_time", t.stop, t.table);
    open.Mend(notes, t.table.name, "rows",
              fmt::format("without a stop made to last to the end of the recording, {} s", end));
  }
  std::erase_if(recording.intervals, [&](const IntervalTable& t) {
    if (t.rows() == 0) notes.Mended(t.table.name, "left out, as it has no row");
    return t.rows() == 0;
  });
}

}  // namespace saed::recordings
