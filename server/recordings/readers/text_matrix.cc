#include "server/recordings/readers/text_matrix.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <set>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/recordings/readers/text_cells.h"
#include "server/recordings/readers/text_layout.h"
#include "server/recordings/readers/text_table.h"

namespace saed::recordings {
namespace {

constexpr int64_t kMaxTextColumns = 10'000;

bool IsTimes(std::string_view name) {
  static const std::set<std::string_view> known = {
      "time",      "times",      "t",          "timestamp",      "timestamps",     "time_s",
      "bin_start", "bin_starts", "start_time", "bin_start_time", "bin_start_times"};
  return known.count(name) > 0;
}

bool IsIndex(std::string_view name) {
  return name == "index" || name == "bin" || name == "bins" || name == "Unnamed: 0" ||
         name == "frame";
}

// Each cell has its place in time, so that one that is no number cannot be left out.
absl::StatusOr<Numbers> CellsOf(const std::string& file, const TextTable& table, Column& column) {
  if (auto* numbers = std::get_if<Numbers>(&column.values)) return std::move(*numbers);
  const auto& texts = std::get<Texts>(column.values);
  const auto bad = std::find_if(texts.begin(), texts.end(), [&](const std::string& text) {
    return !text.empty() && !ParseNumber(text, table.decimal_comma);
  });
  const auto row = static_cast<size_t>(bad - texts.begin());
  return InvalidField(file, fmt::format("has '{}' in line {}, column {}; must be a number",
                                        ShownCell(*bad), table.lines[row], column.name));
}

bool AllWhole(const Numbers& values) {
  return std::all_of(values.begin(), values.end(),
                     [](double v) { return std::abs(v) < 0x1p53 && v == std::floor(v); });
}

// Takes the first column away where it says when the bins are.
absl::Status TakeTimes(const std::string& file, TextTable& text, Notes& notes, TextMatrix& out) {
  Table& table = text.table;
  const std::string name = table.columns[0].name;
  const bool times = IsTimes(name);
  if ((!times && !IsIndex(name)) || table.columns.size() < 2) return absl::OkStatus();
  SAED_ASSIGN_OR_RETURN(Numbers values, CellsOf(file, text, table.columns[0]));
  table.columns.erase(table.columns.begin());
  if (!times && AllWhole(values)) {
    for (const double v : values) out.rows.push_back(static_cast<int64_t>(v));
    notes.Said(file, fmt::format("its first column, '{}', numbers the rows and is no unit", name));
    return absl::OkStatus();
  }
  out.starts = std::move(values);
  out.starts_title = name;
  notes.Said(
      file, fmt::format("its first column, '{}', holds the bins' times in s and is no unit", name));
  return absl::OkStatus();
}

}  // namespace

bool IsNoUnit(std::string_view title) { return title.empty() || IsTimes(title) || IsIndex(title); }

bool IsTextName(std::string_view name) {
  return name.ends_with(".csv") || name.ends_with(".tsv") || name.ends_with(".txt");
}

absl::StatusOr<TextMatrix> ReadTextMatrix(const FileSet& files, const std::string& name,
                                          Notes& notes) {
  SAED_ASSIGN_OR_RETURN(const std::string bytes, files.Read(name, kMaxTextMatrix));
  TextRules rules;
  rules.headless = rules.exact = true;
  SAED_ASSIGN_OR_RETURN(TextTable text, ReadTextTable(name, bytes, notes, rules));
  Table& table = text.table;
  if (static_cast<int64_t>(table.columns.size()) > kMaxTextColumns) {
    return InvalidField(name, fmt::format("has {} columns; at most {} of a text file are read: "
                                          "save the matrix with np.save",
                                          table.columns.size(), kMaxTextColumns));
  }
  TextMatrix out;
  SAED_RETURN_IF_ERROR(TakeTimes(name, text, notes, out));
  const size_t units = table.columns.size();
  const size_t bins = table.columns[0].rows();
  if (bins == 0) return InvalidField(name, "has no rows; must be a matrix [bins, units]");
  const auto values = std::make_shared<Numbers>(bins * units);
  for (size_t n = 0; n < units; ++n) {
    if (text.headed) out.names.push_back(table.columns[n].name);
    SAED_ASSIGN_OR_RETURN(const Numbers column, CellsOf(name, text, table.columns[n]));
    for (size_t i = 0; i < column.size(); ++i) (*values)[i * units + n] = column[i];
    table.columns[n].values = Texts{};
  }
  out.source.name = name;
  out.source.bins = static_cast<int64_t>(bins);
  out.source.units = static_cast<int64_t>(units);
  out.source.read = [values, units](int64_t at, std::span<double> to) {
    std::copy_n(values->data() + static_cast<size_t>(at) * units, to.size(), to.data());
  };
  return out;
}

}  // namespace saed::recordings
