#include "server/recordings/readers/text_matrix.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <memory>
#include <optional>
#include <set>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/recordings/readers/csv.h"

namespace saed::recordings {
namespace {

constexpr int64_t kMaxTextColumns = 10'000;

std::optional<double> NumberOf(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// A first line of numbers is data, unless it counts the columns, as pandas does; then, and where
// there is a word, it is a header.
bool IsHeader(std::string_view line, char separator) {
  bool counts = true;
  int64_t columns = 0;
  for (;; ++columns) {
    const size_t end = std::min(line.find(separator), line.size());
    const auto value = NumberOf(Trim(line.substr(0, end)));
    if (!value) return true;
    counts = counts && *value == static_cast<double>(columns);
    if (end == line.size()) break;
    line.remove_prefix(end + 1);
  }
  return counts && columns > 1;
}

// The bytes with a header line that the table's parser takes: every column has a name of its own.
std::string WithHeader(std::string_view bytes, char separator, bool& named) {
  if (bytes.starts_with("\xEF\xBB\xBF")) bytes.remove_prefix(3);
  const std::string_view line = bytes.substr(0, bytes.find_first_of("\r\n"));
  named = IsHeader(line, separator);
  if (named) {
    const bool nameless = line.starts_with(separator) || line.starts_with("\"\"");
    return nameless ? "index" + std::string(bytes) : std::string(bytes);
  }
  std::string header;
  const auto columns = 1 + std::count(line.begin(), line.end(), separator);
  for (int64_t i = 0; i < columns; ++i) header += fmt::format("{}{}", i ? "," : "", i);
  if (separator != ',') std::replace(header.begin(), header.end(), ',', separator);
  return header + "\n" + std::string(bytes);
}

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

absl::StatusOr<Numbers> NumbersOf(const std::string& file, const Column& column) {
  if (const auto* numbers = std::get_if<Numbers>(&column.values)) return *numbers;
  const auto* texts = std::get_if<Texts>(&column.values);
  Numbers out;
  for (size_t i = 0; texts != nullptr && i < texts->size(); ++i) {
    const auto value = NumberOf((*texts)[i]);
    if (!value) {
      return InvalidField(file, fmt::format("has '{}' in row {}, column {}; must be a number",
                                            (*texts)[i], i, column.name));
    }
    out.push_back(*value);
  }
  return out;
}

bool AllWhole(const Numbers& values) {
  return std::all_of(values.begin(), values.end(),
                     [](double v) { return std::abs(v) < 0x1p53 && v == std::floor(v); });
}

// Takes the first column away where it says when the bins are.
absl::Status TakeTimes(const std::string& file, Table& table, Notes& notes, TextMatrix& out) {
  const std::string name = table.columns[0].name;
  const bool times = IsTimes(name);
  if ((!times && !IsIndex(name)) || table.columns.size() < 2) return absl::OkStatus();
  SAED_ASSIGN_OR_RETURN(Numbers values, NumbersOf(file, table.columns[0]));
  table.columns.erase(table.columns.begin());
  if (!times && AllWhole(values)) {
    for (const double v : values) out.rows.push_back(static_cast<int64_t>(v));
    notes.Said(file, fmt::format("its first column, '{}', numbers the rows and is no unit", name));
    return absl::OkStatus();
  }
  out.starts = std::move(values);
  notes.Said(
      file, fmt::format("its first column, '{}', holds the bins' times in s and is no unit", name));
  return absl::OkStatus();
}

}  // namespace

bool IsTextName(std::string_view name) {
  return name.ends_with(".csv") || name.ends_with(".tsv") || name.ends_with(".txt");
}

absl::StatusOr<TextMatrix> ReadTextMatrix(const FileSet& files, const std::string& name,
                                          Notes& notes) {
  SAED_ASSIGN_OR_RETURN(std::string bytes, files.Read(name, kMaxTextMatrix));
  const std::string_view first = std::string_view(bytes).substr(0, bytes.find_first_of("\r\n"));
  const char separator = name.ends_with(".tsv") || first.find('\t') < first.size() ? '\t'
                         : first.find(';') < first.size()                          ? ';'
                                                                                   : ',';
  if (const auto columns = std::count(first.begin(), first.end(), separator);
      columns >= kMaxTextColumns) {
    return InvalidField(name, fmt::format("has {} columns; at most {} of a text file are read: "
                                          "save the matrix with np.save",
                                          columns + 1, kMaxTextColumns));
  }
  bool named = false;
  bytes = WithHeader(bytes, separator, named);
  SAED_ASSIGN_OR_RETURN(Table table, ParseSeparated(name, bytes, separator));
  TextMatrix out;
  SAED_RETURN_IF_ERROR(TakeTimes(name, table, notes, out));
  const size_t units = table.columns.size();
  const size_t bins = table.columns[0].rows();
  if (bins == 0) return InvalidField(name, "has no rows; must be a matrix [bins, units]");
  const auto values = std::make_shared<Numbers>(bins * units);
  for (size_t n = 0; n < units; ++n) {
    if (named) out.names.push_back(table.columns[n].name);
    SAED_ASSIGN_OR_RETURN(const Numbers column, NumbersOf(name, table.columns[n]));
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
