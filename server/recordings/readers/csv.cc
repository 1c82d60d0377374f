#include "server/recordings/readers/csv.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"

namespace saed::recordings {
namespace {

std::optional<double> Number(std::string_view text) {
  text = Trim(text);
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

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

void MakeNumeric(Column& column) {
  const auto& texts = std::get<Texts>(column.values);
  Numbers numbers;
  numbers.reserve(texts.size());
  for (const std::string& text : texts) {
    const auto value = Number(text);
    if (!value) return;
    numbers.push_back(*value);
  }
  if (!numbers.empty()) column.values = std::move(numbers);
}

const Numbers* NumbersOf(const Table& table, std::string_view column) {
  const Column* c = table.Find(column);
  return c == nullptr ? nullptr : std::get_if<Numbers>(&c->values);
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

absl::StatusOr<IntervalTable> MakeIntervals(std::string_view name, Table table, Notes&) {
  const Numbers* start = NumbersOf(table, "start_time");
  if (start == nullptr) {
    return InvalidField(name, "has no numeric column start_time (seconds)");
  }
  IntervalTable out;
  out.start = *start;
  if (const Numbers* stop = NumbersOf(table, "stop_time")) {
    out.stop = *stop;
  } else if (const Numbers* duration = NumbersOf(table, "duration")) {
    for (size_t i = 0; i < start->size(); ++i) out.stop.push_back((*start)[i] + (*duration)[i]);
  } else {
    return InvalidField(name, "has no numeric column stop_time or duration (seconds)");
  }
  for (size_t i = 0; i < out.start.size(); ++i) {
    if (!std::isfinite(out.start[i]) || !std::isfinite(out.stop[i]) || out.stop[i] < out.start[i]) {
      return InvalidField(name,
                          fmt::format("row {} runs from {} to {} s; start_time and stop_time must "
                                      "be finite, and stop_time not before start_time",
                                      i, out.start[i], out.stop[i]));
    }
  }
  table.name = name;
  out.table = std::move(table);
  return out;
}

absl::StatusOr<IntervalTable> ParseIntervalsCsv(std::string_view name, std::string_view bytes,
                                                Notes& notes) {
  SAED_ASSIGN_OR_RETURN(Table table, ParseSeparated(name, bytes, ','));
  for (Column& column : table.columns) MakeNumeric(column);
  return MakeIntervals(name, std::move(table), notes);
}

absl::StatusOr<Series> ParseSeriesCsv(std::string_view name, std::string_view bytes, Notes&) {
  SAED_ASSIGN_OR_RETURN(Table table, ParseSeparated(name, bytes, ','));
  for (Column& column : table.columns) {
    MakeNumeric(column);
    if (!std::holds_alternative<Numbers>(column.values)) {
      return InvalidField(name, fmt::format("column '{}' holds a cell that is not a number, or the "
                                            "file has no rows",
                                            column.name));
    }
  }
  const std::string& first = table.columns[0].name;
  if ((first != "timestamps" && first != "time") || table.columns.size() < 2) {
    return InvalidField(name, fmt::format("starts with the column '{}'; must start with "
                                          "'timestamps' (seconds), then at least one value column",
                                          first));
  }
  Series out;
  out.name = name;
  out.timestamps = std::get<Numbers>(table.columns[0].values);
  const size_t channels = table.columns.size() - 1;
  out.values.resize(out.timestamps.size() * channels);
  for (size_t c = 0; c < channels; ++c) {
    out.channels.push_back(table.columns[c + 1].name);
    const auto& values = std::get<Numbers>(table.columns[c + 1].values);
    for (size_t i = 0; i < values.size(); ++i) out.values[i * channels + c] = values[i];
  }
  for (size_t i = 1; i < out.timestamps.size(); ++i) {
    if (!(out.timestamps[i] >= out.timestamps[i - 1])) {
      return InvalidField(name, fmt::format("timestamps[{}] = {} comes after {}; must ascend", i,
                                            out.timestamps[i], out.timestamps[i - 1]));
    }
  }
  return out;
}

}  // namespace saed::recordings
