// Interval tables and series as comma- or tab-separated text.
#include "server/recordings/readers/csv.h"

#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace saed;
  const std::string_view text = fuzz::Text(data, size);
  recordings::Notes notes;
  (void)recordings::ParseSeparated("file", text, '\t');
  const auto table = recordings::ParseIntervalsCsv("file", text, notes);
  if (table.ok()) {
    fuzz::Require(table->start.size() == table->stop.size());
    for (size_t i = 0; i < table->rows(); ++i) fuzz::Require(table->start[i] <= table->stop[i]);
  }
  const auto series = recordings::ParseSeriesCsv("file", text, notes);
  if (series.ok()) {
    for (size_t i = 1; i < series->timestamps.size(); ++i) {
      fuzz::Require(series->timestamps[i - 1] <= series->timestamps[i]);
    }
  }
  return 0;
}
