// The folder that `saectl recordings download` writes: a whole recording in files for people.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "server/base/faults.h"
#include "server/base/json.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/recordings/readers/array_file.h"
#include "server/recordings/readers/intervals.h"
#include "server/recordings/readers/left_out.h"
#include "server/recordings/readers/matrix_recording.h"
#include "server/recordings/readers/rates.h"
#include "server/recordings/readers/registry.h"
#include "server/recordings/readers/spike_pairs.h"
#include "server/recordings/readers/text_table.h"
#include "server/recordings/readers/unit_values.h"

namespace saed::recordings {
namespace {

using nlohmann::json;

constexpr const char* kManifest = "recording.json";
constexpr int64_t kMaxManifest = int64_t{64} << 20, kMaxTable = int64_t{256} << 20;  // bytes
constexpr double kOffSample = 1e-3;  // samples that a time may be away from a whole one

// What the manifest says under `key`, or nothing where that is of another kind.
std::string TextAt(const json& object, const char* key) {
  const auto it = object.is_object() ? object.find(key) : object.end();
  return it != object.end() && it->is_string() ? ValidUtf8(it->get<std::string>()) : "";
}

double NumberAt(const json& object, const char* key) {
  const auto it = object.find(key);
  const double value = it != object.end() && it->is_number() ? it->get<double>() : 0;
  return std::isfinite(value) && value > 0 ? value : 0;
}

json ListAt(const json& object, const char* key) {
  const auto it = object.is_object() ? object.find(key) : object.end();
  return it != object.end() && it->is_array() ? *it : json::array();
}

absl::StatusOr<json> ReadManifest(const FileSet& files) {
  SAED_ASSIGN_OR_RETURN(const std::string text, files.Read(kManifest, kMaxManifest));
  json manifest = ParseUntrustedJson(text);
  if (!manifest.is_object() || !manifest.contains("saed_recording")) {
    return InvalidField(kManifest, "is not as saectl recordings download writes it");
  }
  if (manifest["saed_recording"] != 1) {
    return InvalidField(kManifest, "is of a later version of saed; must be 1");
  }
  return manifest;
}

// A column of the kind that the manifest names; of texts where it was edited to hold others.
Column Convert(const std::string& file, const std::string& name, const std::string& kind,
               Texts cells, Notes& notes) {
  if (kind == "list") {
    TextLists lists;
    for (const std::string& cell : cells) {
      const json list = ParseUntrustedJson(cell);
      Texts& items = lists.emplace_back();
      if (!list.is_array()) {
        items = {cell};
        continue;
      }
      for (const json& item : list) {
        items.push_back(item.is_string() ? ValidUtf8(item.get<std::string>()) : item.dump());
      }
    }
    return {name, std::move(lists)};
  }
  if (kind == "text") return {name, std::move(cells)};
  auto values = NumbersIfAll(std::move(cells));
  if (auto* numbers = std::get_if<Numbers>(&values)) return {name, std::move(*numbers)};
  if (kind == "number") {
    notes.Said(file, fmt::format("the column '{}' has words and is taken as such", name));
  }
  return {name, std::move(std::get<Texts>(values))};
}

// One record with quotes undone, as WriteRecording() writes it; moves `rest` behind its line end.
Texts Record(std::string_view& rest) {
  Texts cells(1);
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
    } else if (c == ',') {
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

// All columns as texts, to the character.
absl::StatusOr<Table> ReadCells(const FileSet& files, const std::string& file) {
  SAED_ASSIGN_OR_RETURN(const std::string bytes, files.Read(file, kMaxTable));
  std::string_view rest = bytes;
  if (rest.starts_with("\xEF\xBB\xBF")) rest.remove_prefix(3);
  Table table;
  table.name = file;
  for (const std::string& title : Record(rest)) {
    const std::string clean = ValidUtf8(title);
    if (clean.empty() || table.Find(clean) != nullptr) {
      return InvalidField(file, fmt::format("has the column name '{}' twice or empty", clean));
    }
    table.columns.push_back({clean, Texts{}});
  }
  for (int64_t line = 2; !rest.empty(); ++line) {
    Texts cells = Record(rest);
    // Of one column, a line without a character is a cell that is missing.
    if (cells.size() == 1 && table.columns.size() > 1 && Trim(cells[0]).empty()) continue;
    if (cells.size() != table.columns.size() || line - 1 > kMaxIntervalRows) {
      return InvalidField(file,
                          fmt::format("has {} cells in line {}; must have {} in each of at "
                                      "most {} rows",
                                      cells.size(), line, table.columns.size(), kMaxIntervalRows));
    }
    for (size_t c = 0; c < cells.size(); ++c) {
      std::get<Texts>(table.columns[c].values).push_back(ValidUtf8(cells[c]));
    }
  }
  return table;
}

// The table whose cells `table` has, as `about` says: its name, and the name and kind of each
// column. Columns in `apart` are not among them.
Table Typed(const std::string& file, Table cells, const json& about, const std::set<size_t>& apart,
            Notes& notes) {
  Table out;
  out.name = TextAt(about, "name");
  std::map<std::string, json> known;
  for (const json& column : ListAt(about, "columns")) known[TextAt(column, "title")] = column;
  for (size_t c = 0; c < cells.columns.size(); ++c) {
    if (apart.contains(c)) continue;
    Column& column = cells.columns[c];
    const auto it = known.find(column.name);
    const std::string name = it == known.end() ? column.name : TextAt(it->second, "name");
    const std::string kind = it == known.end() ? "" : TextAt(it->second, "kind");
    out.columns.push_back(
        Convert(file, name, kind, std::move(std::get<Texts>(column.values)), notes));
    if (it != known.end()) known.erase(it);
  }
  Tally gone;
  for (const auto& [title, column] : known) gone.Add([&title = title] { return title; });
  gone.Mend(notes, file, "columns", "not there any more");
  return out;
}

// Units in the order of units.csv, without their spikes.
absl::Status ReadUnits(const FileSet& files, const json& manifest, Recording& out, Notes& notes) {
  constexpr const char* kFile = "units.csv";
  SAED_ASSIGN_OR_RETURN(Table cells, ReadCells(files, kFile));
  std::map<std::string, size_t> places;
  for (const char* title : {"id", "label", "region", "depth"}) {
    for (size_t c = 0; c < cells.columns.size(); ++c) {
      if (cells.columns[c].name == title) places[title] = c;
    }
    if (!places.contains(title)) {
      return InvalidField(kFile, fmt::format("has no column {}; must have id, label, region and "
                                             "depth, as saectl recordings download writes it",
                                             title));
    }
  }
  const auto texts = [&](const char* title) -> const Texts& {
    return std::get<Texts>(cells.columns[places[title]].values);
  };
  const auto depths = NumbersIfAll(texts("depth"));
  if (!std::holds_alternative<Numbers>(depths)) {
    return InvalidField(kFile, "has words in the column depth; must be micrometres");
  }
  std::set<int64_t> ids;
  std::set<size_t> apart;
  for (size_t n = 0; n < texts("id").size(); ++n) {
    const std::string& text = texts("id")[n];
    Unit& unit = out.units.emplace_back();
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), unit.id);
    if (error != std::errc() || end != text.data() + text.size() || !ids.insert(unit.id).second) {
      return InvalidField(kFile, fmt::format("has the id '{}' in row {}; must be whole numbers, "
                                             "each once",
                                             text, n + 1));
    }
    unit.label = texts("label")[n];
    unit.region = texts("region")[n];
    unit.depth = std::get<Numbers>(depths)[n];
  }
  // No ids at all would mean those of all spikes.
  if (out.units.empty()) return InvalidField(kFile, "names no unit; must name at least one");
  for (const auto& [title, place] : places) apart.insert(place);
  const auto about = manifest.find("units");
  out.unit_columns = Typed(kFile, std::move(cells),
                           about == manifest.end() ? json::object() : *about, apart, notes);
  return absl::OkStatus();
}

absl::Status ReadSpikes(const FileSet& files, Recording& out, Notes& notes) {
  SAED_ASSIGN_OR_RETURN(const ArrayFile times, ArrayFile::Open(files, "spike_times.npy"));
  SAED_ASSIGN_OR_RETURN(const ArrayFile units, ArrayFile::Open(files, "spike_clusters.npy"));
  SAED_RETURN_IF_ERROR(CheckPair(times, units));
  SpikePairs pairs;
  TakeTimes(times, pairs);
  TakeUnits(units, pairs);
  std::vector<int64_t> ids;
  for (const Unit& unit : out.units) ids.push_back(unit.id);
  Recording grouped;
  SAED_ASSIGN_OR_RETURN(const Grouped saw, GroupSpikes(pairs, 1, ids, grouped));
  if (saw.strange > 0) {
    notes.Mended("spike_clusters.npy", fmt::format("{} spikes of units that units.csv does not "
                                                   "name left out",
                                                   saw.strange));
  }
  std::map<int64_t, size_t> place;
  for (size_t n = 0; n < out.units.size(); ++n) place[out.units[n].id] = n;
  for (Unit& unit : grouped.units) {
    const auto it = place.find(unit.id);
    if (it != place.end()) out.units[it->second].spike_times = std::move(unit.spike_times);
  }
  return absl::OkStatus();
}

absl::Status ReadCounts(const FileSet& files, double bin_width, Recording& out, Notes& notes) {
  ImportOptions options;
  options.values["array"] = "counts.npy";
  SAED_ASSIGN_OR_RETURN(Recording matrix,
                        ReadMatrixRecording(files, options, {"counts", "bins", "units", false},
                                            {.negative = true}, bin_width, notes));
  if (matrix.units.size() != out.units.size()) {
    return InvalidField("units.csv", fmt::format("has {} rows; counts.npy has {} units",
                                                 out.units.size(), matrix.units.size()));
  }
  out.counts = std::move(matrix.counts);
  return absl::OkStatus();
}

// Whole samples, where the manifest says so and they are.
void TakeSamplingRate(double rate, Recording& out, Notes& notes) {
  if (rate == 0) return;
  if (!IsRate(rate)) {
    notes.Mended(kManifest, fmt::format("the sampling rate {} Hz left out; must be from {} to "
                                        "{:.0f} Hz",
                                        rate, kLeastRate, kMostRate));
    return;
  }
  for (const Unit& unit : out.units) {
    const auto off = std::find_if(unit.spike_times.begin(), unit.spike_times.end(), [&](double t) {
      return !(std::abs(t * rate - std::round(t * rate)) <= kOffSample);
    });
    if (off == unit.spike_times.end()) continue;
    notes.Mended(kManifest, fmt::format("the sampling rate {} Hz left out, as the spike at {} s of "
                                        "unit {} is at no whole sample",
                                        rate, *off, unit.id));
    return;
  }
  out.sampling_rate = rate;
}

absl::Status ReadObserved(const FileSet& files, Recording& out) {
  constexpr const char* kFile = "observed.csv";
  if (!files.Has(kFile)) return absl::OkStatus();
  SAED_ASSIGN_OR_RETURN(Table cells, ReadCells(files, kFile));
  const Column* unit = cells.Find("unit");
  Numbers times[2];
  for (const int side : {0, 1}) {
    const Column* column = cells.Find(side == 0 ? "start_time" : "stop_time");
    if (column == nullptr || unit == nullptr) {
      return InvalidField(kFile, "must have the columns unit, start_time and stop_time");
    }
    auto values = NumbersIfAll(std::get<Texts>(column->values));
    if (!std::holds_alternative<Numbers>(values)) {
      return InvalidField(kFile, fmt::format("has words in {}; must be s", column->name));
    }
    times[side] = std::get<Numbers>(std::move(values));
  }
  std::map<std::string, Observed*> of = {{"", &out.observed}};
  for (Unit& u : out.units) of[std::to_string(u.id)] = &u.observed;
  const auto& units = std::get<Texts>(unit->values);
  for (size_t i = 0; i < units.size(); ++i) {
    const auto it = of.find(units[i]);
    if (it == of.end()) {
      return InvalidField(kFile,
                          fmt::format("has the unit '{}', which units.csv has not", units[i]));
    }
    Observed& observed = *it->second;
    if (!observed) observed.emplace();
    // A row without length stands for never.
    if (times[0][i] != times[1][i]) observed->emplace_back(times[0][i], times[1][i]);
  }
  return absl::OkStatus();
}

absl::StatusOr<IntervalTable> ReadIntervals(const FileSet& files, const json& about,
                                            const std::string& file, Notes& notes) {
  SAED_ASSIGN_OR_RETURN(Table cells, ReadCells(files, file));
  return MakeIntervals(TextAt(about, "name"), Typed(file, std::move(cells), about, {}, notes),
                       notes, {});
}

// The first column holds the times; the others are the channels in the order of the manifest.
absl::StatusOr<Series> ReadSeries(const FileSet& files, const json& about, const std::string& file,
                                  Notes& notes) {
  SAED_ASSIGN_OR_RETURN(const std::string bytes, files.Read(file, kMaxTextBytes));
  SAED_ASSIGN_OR_RETURN(const TextTable table, ReadTextTable(file, bytes, notes));
  const size_t channels = table.table.columns.size() - 1;
  Series out;
  out.name = TextAt(about, "name");
  out.unit = TextAt(about, "unit");
  const json names = ListAt(about, "channels");
  std::vector<const Numbers*> columns;
  for (size_t c = 0; c <= channels; ++c) {
    const Column& column = table.table.columns[c];
    columns.push_back(std::get_if<Numbers>(&column.values));
    if (columns.back() == nullptr) {
      return InvalidField(file, fmt::format("has words in the column '{}'", column.name));
    }
    if (c == 0) continue;
    const bool named = names.size() == channels && names[c - 1].is_string();
    out.channels.push_back(named ? ValidUtf8(names[c - 1].get<std::string>()) : column.name);
  }
  out.timestamps = *columns[0];
  out.values.resize(out.timestamps.size() * channels);
  for (size_t c = 0; c < channels; ++c) {
    for (size_t i = 0; i < out.timestamps.size(); ++i) {
      out.values[i * channels + c] = (*columns[c + 1])[i];
    }
  }
  return out;
}

// A part that is damaged is left out.
void ReadTables(const FileSet& files, const json& manifest, Recording& out, Notes& notes) {
  for (const json& about : ListAt(manifest, "intervals")) {
    const std::string file = TextAt(about, "file");
    auto table = ReadIntervals(files, about, file, notes);
    LeaveOut(file, table.status(), notes);
    if (table.ok()) out.intervals.push_back(*std::move(table));
  }
  for (const json& about : ListAt(manifest, "series")) {
    const std::string file = TextAt(about, "file");
    auto series = ReadSeries(files, about, file, notes);
    LeaveOut(file, series.status(), notes);
    if (series.ok()) out.series.push_back(*std::move(series));
  }
  if (!files.Has("electrodes.csv")) return;
  auto cells = ReadCells(files, "electrodes.csv");
  LeaveOut("electrodes.csv", cells.status(), notes);
  const auto about = manifest.find("electrodes");
  if (!cells.ok() || about == manifest.end()) return;
  out.electrodes = Typed("electrodes.csv", *std::move(cells), *about, {}, notes);
}

// The format that it came in first, so that the recording is the same one again.
std::string SourceOf(const json& manifest) {
  const std::string source = TextAt(manifest, "source");
  const bool known = source == "simulation" ||
                     std::any_of(Readers().begin(), Readers().end(),
                                 [&](const Reader* reader) { return reader->name == source; });
  return known ? source : "saed";
}

absl::StatusOr<Recording> Read(const FileSet& files, const ImportOptions& options, Notes& notes) {
  if (options.sampling_rate != 0 || options.bin_width != 0) {
    return InvalidField(options.sampling_rate != 0 ? "sampling_rate" : "bin_width",
                        fmt::format("is given, but {} says it; leave it out", kManifest));
  }
  SAED_ASSIGN_OR_RETURN(const json manifest, ReadManifest(files));
  Recording out;
  out.source = SourceOf(manifest);
  SAED_RETURN_IF_ERROR(ReadUnits(files, manifest, out, notes));
  if (const double bin = NumberAt(manifest, "bin_width"); bin > 0) {
    SAED_RETURN_IF_ERROR(ReadCounts(files, bin, out, notes));
    TakeSamplingRate(NumberAt(manifest, "sampling_rate"), out, notes);
  } else {
    SAED_RETURN_IF_ERROR(ReadSpikes(files, out, notes));
    TakeSamplingRate(NumberAt(manifest, "sampling_rate"), out, notes);
    out.duration = NumberAt(manifest, "duration");
  }
  SAED_RETURN_IF_ERROR(ReadObserved(files, out));
  ReadTables(files, manifest, out, notes);
  return out;
}

Match Recognise(const FileSet& files) {
  const bool marked = files.Sketch(kManifest).head.find("\"saed_recording\"") != std::string::npos;
  return marked ? Match::kYes : Match::kNo;
}

}  // namespace

const Reader& formats::saed() {
  static const Reader reader = {
      .name = "saed",
      .title = "A recording as saectl recordings download writes it",
      .needs =
          "a folder with recording.json, units.csv, and spike_times.npy with "
          "spike_clusters.npy or counts.npy",
      .files = {"recording.json", "spike_times.npy", "spike_clusters.npy", "counts.npy",
                "units.csv", "observed.csv", "electrodes.csv", "intervals/*.csv", "series/*.csv"},
      .options = {},
      .recognise = Recognise,
      .read = Read,
      .own_tables = true,
      .own_duration = true};
  return reader;
}

}  // namespace saed::recordings
