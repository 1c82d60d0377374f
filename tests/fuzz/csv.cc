// Text tables: as such, without a header, as intervals, as series and as columns of units.
#include "server/recordings/readers/text_table.h"
#include "server/recordings/readers/time_tables.h"
#include "server/recordings/readers/unit_table.h"
#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace saed;
  const std::string_view text = fuzz::Text(data, size);
  recordings::Notes notes;
  recordings::TextRules rules;
  rules.headless = rules.exact = true;
  rules.words = [](size_t place, std::string_view) { return place % 2 == 0; };
  if (const auto table = recordings::ReadTextTable("file", text, notes, rules); table.ok()) {
    for (const auto& column : table->table.columns) {
      fuzz::Require(column.rows() == table->lines.size());
    }
  }
  if (const auto table = recordings::ReadTextTable("file", text, notes); table.ok()) {
    for (const auto& column : table->table.columns) {
      fuzz::Require(column.rows() == table->lines.size() && !column.name.empty());
    }
  }
  recordings::Recording recording;
  recording.units.resize(2);
  recording.units[1].id = 1;
  if (auto table = recordings::ParseIntervalsCsv("file", text, notes); table.ok()) {
    fuzz::Require(table->start.size() == table->stop.size());
    for (size_t i = 0; i < table->rows(); ++i) fuzz::Require(table->start[i] <= table->stop[i]);
    recording.intervals.push_back(*std::move(table));
    recordings::ResolveOpenEnds(10, recording, notes);
    for (const auto& t : recording.intervals) {
      for (double stop : t.stop) fuzz::Require(std::isfinite(stop));
      for (const auto& column : t.table.columns) fuzz::Require(column.rows() == t.rows());
    }
  }
  if (const auto series = recordings::ParseSeriesCsv("file", text, notes); series.ok()) {
    fuzz::Require(series->values.size() == series->timestamps.size() * series->channels.size());
  }
  (void)recordings::AddUnitColumns("file", text, true, recording, notes);
  for (const auto& column : recording.unit_columns.columns) {
    fuzz::Require(column.rows() == recording.units.size());
  }
  return 0;
}
