// Interval tables and series that come as text.
#include "server/recordings/readers/time_tables.h"

#include <fmt/format.h>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/recordings/readers/text_table.h"
#include "server/recordings/readers/time_columns.h"

namespace saed::recordings {

absl::StatusOr<IntervalTable> ParseIntervalsCsv(std::string_view name, std::string_view bytes,
                                                Notes& notes) {
  SAED_ASSIGN_OR_RETURN(TextTable table, ReadTextTable(name, bytes, notes));
  LeaveOutRowCount(name, table, notes);
  SAED_RETURN_IF_ERROR(NameIntervalTimes(name, table, notes));
  SayDoubts(name, table, notes);
  return MakeIntervals(name, std::move(table.table), notes, table.lines);
}

absl::StatusOr<Series> ParseSeriesCsv(std::string_view name, std::string_view bytes, Notes& notes) {
  SAED_ASSIGN_OR_RETURN(TextTable table, ReadTextTable(name, bytes, notes));
  LeaveOutRowCount(name, table, notes);
  SAED_ASSIGN_OR_RETURN(const size_t time, FindSampleTimes(name, table));
  Series out;
  out.name = name;
  std::vector<Numbers> channels;
  for (size_t c = 0; c < table.table.columns.size(); ++c) {
    Column& column = table.table.columns[c];
    auto numbers = NumbersOf(name, table, column, notes);
    if (!numbers && c == time) {
      return InvalidField(
          name, fmt::format("has words in its column {}; must be in seconds", column.name));
    }
    if (!numbers) {
      notes.Mended(name, fmt::format("the column '{}' left out, as it is no numbers", column.name));
    } else if (c == time) {
      out.timestamps = std::move(*numbers);
    } else {
      out.channels.push_back(column.name);
      channels.push_back(std::move(*numbers));
    }
    column.values = Numbers();  // a copy of a long table is enough
  }
  if (channels.empty()) {
    return InvalidField(name, "has no column of numbers besides its times; must have at least one");
  }
  out.values.resize(out.timestamps.size() * channels.size());
  for (size_t c = 0; c < channels.size(); ++c) {
    for (size_t i = 0; i < channels[c].size(); ++i) {
      out.values[i * channels.size() + c] = channels[c][i];
    }
  }
  return out;
}

}  // namespace saed::recordings
