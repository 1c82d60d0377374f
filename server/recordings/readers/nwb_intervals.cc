#include "server/recordings/readers/nwb_intervals.h"

#include <fmt/format.h>

#include <cmath>
#include <map>
#include <optional>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/recordings/readers/intervals.h"
#include "server/recordings/readers/nwb_table.h"

namespace saed::recordings {
namespace {

// A one-dimensional numeric array of at most as many values as a table may have rows.
absl::StatusOr<Numbers> ReadRowNumbers(const Hierarchy& file, const std::string& path) {
  SAED_ASSIGN_OR_RETURN(const ArrayInfo info, file.Describe(path));
  const int64_t rows = FlatSize(info);
  if (rows < 0 || rows > kMaxIntervalRows) {
    return InvalidField(path, fmt::format("has {} dimensions and {} values; must have one of at "
                                          "most {}",
                                          info.shape.size(), info.size(), kMaxIntervalRows));
  }
  return file.ReadNumbers(path);
}

absl::StatusOr<Table> ReadIntervalColumns(const Hierarchy& file, const std::string& path,
                                          Notes& notes) {
  NwbTableSpec spec;
  spec.path = path;
  // References to series, which say nothing that their times do not.
  spec.skip = {"timeseries"};
  for (const char* name : {"start_time", "timestamp"}) {
    const std::string column = path + "/" + name;
    if (!file.Exists(column)) continue;
    SAED_ASSIGN_OR_RETURN(const ArrayInfo info, file.Describe(column));
    spec.rows = FlatSize(info);
    if (spec.rows > kMaxIntervalRows) {
      return InvalidField(
          path, fmt::format("has {} rows; at most {} are read", spec.rows, kMaxIntervalRows));
    }
  }
  return ReadNwbTable(file, spec, notes);
}

// Core 2.10: a row is an event, with a duration where it has one.
absl::StatusOr<Table> ReadEventsTable(const Hierarchy& file, const std::string& path,
                                      Notes& notes) {
  SAED_ASSIGN_OR_RETURN(Table table, ReadIntervalColumns(file, path, notes));
  const Numbers* times = NumbersOf(table, "timestamp");
  if (times == nullptr) return InvalidField(path, "has no numeric column timestamp (seconds)");
  const Numbers* durations = NumbersOf(table, "duration");
  Numbers start = *times, stop = *times;
  for (size_t i = 0; i < stop.size() && durations != nullptr; ++i) {
    if (!std::isnan((*durations)[i])) stop[i] += (*durations)[i];
  }
  Table out;
  out.columns = {{"start_time", std::move(start)}, {"stop_time", std::move(stop)}};
  for (Column& c : table.columns) {
    if (out.Find(c.name) == nullptr) out.columns.push_back(std::move(c));
  }
  return out;
}

// The names of LabeledEvents' codes.
Texts NamesOfCodes(const Texts& labels, const Numbers& codes) {
  Texts out;
  for (double code : codes) {
    const bool known = code >= 0 && code < static_cast<double>(labels.size());
    out.push_back(known ? labels[static_cast<size_t>(code)] : NumberText(code));
  }
  return out;
}

// ndx-events: Events, LabeledEvents, TTLs; core: AnnotationSeries.
absl::StatusOr<Table> ReadEvents(const Hierarchy& file, const NwbNode& node) {
  SAED_ASSIGN_OR_RETURN(Numbers times, ReadRowNumbers(file, node.path + "/timestamps"));
  const std::string data = node.path + "/data";
  const size_t rows = times.size();
  Table out;
  out.columns = {{"start_time", times}, {"stop_time", std::move(times)}};
  if (!file.Exists(data)) return out;
  SAED_ASSIGN_OR_RETURN(const ArrayInfo info, file.Describe(data));
  if (FlatSize(info) != static_cast<int64_t>(rows)) {
    return InvalidField(data, fmt::format("has {} values; timestamps has {}", info.size(), rows));
  }
  SAED_ASSIGN_OR_RETURN(auto values, file.Read(data));
  if (auto* texts = std::get_if<Texts>(&values)) {
    out.columns.push_back(
        {node.type == "AnnotationSeries" ? "annotation" : "label", std::move(*texts)});
    return out;
  }
  auto& codes = std::get<Numbers>(values);
  const Texts labels = file.TextAttribute(data, "labels");
  if (!labels.empty()) out.columns.push_back({"label", NamesOfCodes(labels, codes)});
  out.columns.push_back({"data", std::move(codes)});
  return out;
}

// IntervalSeries: a positive code says that an interval of that kind starts, its negative that it
// stops.
absl::StatusOr<Table> ReadIntervalSeries(const Hierarchy& file, const std::string& path,
                                         Notes& notes) {
  SAED_ASSIGN_OR_RETURN(const Numbers times, ReadRowNumbers(file, path + "/timestamps"));
  SAED_ASSIGN_OR_RETURN(const Numbers codes, ReadRowNumbers(file, path + "/data"));
  if (times.size() != codes.size()) {
    return InvalidField(path + "/data", fmt::format("has {} values; timestamps has {}",
                                                    codes.size(), times.size()));
  }
  std::map<double, size_t> open;  // by code, the row of out
  Numbers start, stop, kinds;
  Tally alone;
  for (size_t i = 0; i < times.size(); ++i) {
    const double kind = std::abs(codes[i]);
    const auto it = open.find(kind);
    const auto where = [&] { return fmt::format("value {} at {} s", codes[i], times[i]); };
    if (!(kind > 0)) {
      alone.Add(where);
    } else if (codes[i] > 0) {
      if (it != open.end()) {
        alone.Add(where);
        continue;
      }
      open[kind] = start.size();
      start.push_back(times[i]);
      stop.push_back(INFINITY);  // until it is closed, to the end of the recording
      kinds.push_back(kind);
    } else if (it == open.end()) {
      alone.Add(where);
    } else {
      stop[it->second] = times[i];
      open.erase(it);
    }
  }
  alone.Mend(notes, path, "values", "that neither start nor stop an interval dropped");
  Table out;
  out.columns = {
      {"start_time", std::move(start)}, {"stop_time", std::move(stop)}, {"kind", std::move(kinds)}};
  return out;
}

// ndx-events: a row is a kind of event, with a list of its times.
absl::StatusOr<Table> ReadAnnotatedEvents(const Hierarchy& file, const std::string& path,
                                          Notes& notes) {
  const std::string at = path + "/event_times";
  SAED_ASSIGN_OR_RETURN(Numbers times, ReadRowNumbers(file, at));
  SAED_ASSIGN_OR_RETURN(const auto ends,
                        ReadIndex(file, at + "_index", static_cast<int64_t>(times.size())));
  NwbTableSpec spec;
  spec.path = path;
  spec.skip = {"event_times"};
  spec.rows = static_cast<int64_t>(ends.size());
  const Table kinds = ReadNwbTable(file, spec, notes);
  const auto kept = static_cast<size_t>(ends.empty() ? 0 : ends.back());
  if (kept < times.size()) {
    notes.Mended(ValidUtf8(at), fmt::format("{} times of no row left out", times.size() - kept));
    times.resize(kept);
  }
  Table out;
  out.columns = {{"start_time", times}, {"stop_time", std::move(times)}};
  for (const Column& kind : kinds.columns) {
    Column column{kind.name, {}};
    std::visit(
        [&](const auto& values) {
          std::decay_t<decltype(values)> each;
          for (size_t row = 0, i = 0; row < ends.size(); ++row) {
            for (; i < static_cast<size_t>(ends[row]); ++i) each.push_back(values[row]);
          }
          column.values = std::move(each);
        },
        kind.values);
    out.columns.push_back(std::move(column));
  }
  return out;
}

std::optional<absl::StatusOr<Table>> ReadNode(const Hierarchy& file, const NwbNode& node,
                                              Notes& notes) {
  switch (node.kind) {
    case NwbKind::kIntervals:
      return ReadIntervalColumns(file, node.path, notes);
    case NwbKind::kEventsTable:
      return ReadEventsTable(file, node.path, notes);
    case NwbKind::kAnnotatedEvents:
      return ReadAnnotatedEvents(file, node.path, notes);
    case NwbKind::kEvents:
      return ReadEvents(file, node);
    case NwbKind::kIntervalSeries:
      return ReadIntervalSeries(file, node.path, notes);
    default:
      return std::nullopt;
  }
}

}  // namespace

void AddNwbIntervals(const Hierarchy& file, const NwbNode& node, Recording& out, Notes& notes) {
  auto table = ReadNode(file, node, notes);
  if (!table) return;
  const std::string path = ValidUtf8(node.path);
  if (!table->ok()) {
    notes.Mended(path, "left out: " + FaultText(table->status(), node.path));
    return;
  }
  std::string name = BaseName(path);
  if (out.FindIntervals(name) != nullptr) name = path;
  auto intervals = MakeIntervals(name, **std::move(table), notes);
  if (!intervals.ok()) {
    notes.Mended(path, "left out: " + FaultText(intervals.status(), name));
    return;
  }
  out.intervals.push_back(*std::move(intervals));
}

}  // namespace saed::recordings
