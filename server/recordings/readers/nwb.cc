// Neurodata Without Borders 2.x: units, interval tables, electrodes and behavioural series.
#include "server/recordings/readers/nwb.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/recordings/readers/csv.h"
#include "server/recordings/readers/hdf5.h"
#include "server/recordings/readers/registry.h"

namespace saed::recordings {
namespace {

constexpr int64_t kMaxSeriesValues = 20'000'000;
constexpr int64_t kMaxChannels = 64;

// End offsets of each row's run in a ragged column, checked against the data's length.
absl::StatusOr<std::vector<int64_t>> ReadIndex(const Hierarchy& file, const std::string& path,
                                               int64_t data_size) {
  SAED_ASSIGN_OR_RETURN(auto ends, file.ReadIntegers(path));
  int64_t previous = 0;
  for (size_t i = 0; i < ends.size(); ++i) {
    if (ends[i] < previous || ends[i] > data_size) {
      return InvalidField(path,
                          fmt::format("[{}] is {}; must be between the row before it ({}) and "
                                      "the number of values ({})",
                                      i, ends[i], previous, data_size));
    }
    previous = ends[i];
  }
  return ends;
}

Texts AsTexts(const std::variant<Numbers, Texts>& values) {
  if (const auto* texts = std::get_if<Texts>(&values)) return *texts;
  Texts out;
  for (double v : std::get<Numbers>(values)) out.push_back(NumberText(v));
  return out;
}

// A column of a DynamicTable, ragged or not. Multi-dimensional columns are refused.
absl::StatusOr<Column> ReadColumn(const Hierarchy& file, const std::string& table,
                                  const std::string& name) {
  const std::string path = table + "/" + name;
  SAED_ASSIGN_OR_RETURN(const ArrayInfo info, file.Describe(path));
  const auto& shape = info.shape;
  if (shape.size() != 1) {
    return InvalidField(path, fmt::format("has {} dimensions; one is read", shape.size()));
  }
  SAED_ASSIGN_OR_RETURN(auto values, file.Read(path));
  Column column;
  column.name = ValidUtf8(name);
  if (file.Exists(path + "_index")) {
    const Texts texts = AsTexts(values);
    SAED_ASSIGN_OR_RETURN(const auto ends,
                          ReadIndex(file, path + "_index", static_cast<int64_t>(texts.size())));
    TextLists lists;
    int64_t begin = 0;
    for (int64_t end : ends) {
      lists.emplace_back(texts.begin() + begin, texts.begin() + end);
      begin = end;
    }
    column.values = std::move(lists);
  } else if (auto* numbers = std::get_if<Numbers>(&values)) {
    column.values = std::move(*numbers);
  } else {
    column.values = std::move(std::get<Texts>(values));
  }
  return column;
}

// All columns of a DynamicTable but the skipped ones; what cannot be read becomes a warning.
absl::StatusOr<Table> ReadTable(const Hierarchy& file, const std::string& path,
                                const std::set<std::string>& skip, Notes& notes) {
  Table table;
  table.name = ValidUtf8(path.substr(path.rfind('/') + 1));
  Texts names = file.TextAttribute(path, "colnames");
  if (names.empty()) {
    for (const std::string& child : file.Children(path)) {
      if (child != "id" && !child.ends_with("_index")) names.push_back(child);
    }
  }
  for (const std::string& name : names) {
    if (skip.count(name) || table.Find(name) != nullptr) continue;
    auto column = ReadColumn(file, path, name);
    if (!column.ok()) {
      // An index past its data is damage, not an exotic column.
      if (column.status().message().find("_index") != std::string::npos) return column.status();
      notes.Mended(path + "/" + name, "left out: " + std::string(column.status().message()));
      continue;
    }
    if (!table.columns.empty() && column->rows() != table.columns[0].rows()) {
      return InvalidField(path + "/" + name, fmt::format("has {} rows; the column before it has {}",
                                                         column->rows(), table.columns[0].rows()));
    }
    table.columns.push_back(*std::move(column));
  }
  return table;
}

const Texts* TextsOf(const Table& table, std::string_view name) {
  const Column* c = table.Find(name);
  return c == nullptr ? nullptr : std::get_if<Texts>(&c->values);
}
const Numbers* NumbersOf(const Table& table, std::string_view name) {
  const Column* c = table.Find(name);
  return c == nullptr ? nullptr : std::get_if<Numbers>(&c->values);
}

absl::Status ReadSpikeTimes(const Hierarchy& file, Recording& recording) {
  SAED_ASSIGN_OR_RETURN(const auto times, file.ReadNumbers("units/spike_times"));
  SAED_ASSIGN_OR_RETURN(const auto ends, ReadIndex(file, "units/spike_times_index",
                                                   static_cast<int64_t>(times.size())));
  SAED_ASSIGN_OR_RETURN(const auto ids, file.ReadIntegers("units/id"));
  if (ids.size() != ends.size()) {
    return InvalidField(
        "units/id", fmt::format("has {} rows; spike_times_index has {}", ids.size(), ends.size()));
  }
  int64_t begin = 0;
  for (size_t i = 0; i < ids.size(); ++i) {
    Unit& unit = recording.units.emplace_back();
    unit.id = ids[i];
    unit.spike_times.assign(times.begin() + begin, times.begin() + ends[i]);
    begin = ends[i];
  }
  return absl::OkStatus();
}

// The rows of the electrodes table that each unit refers to, where the file says so.
std::vector<std::vector<int64_t>> UnitElectrodes(const Hierarchy& file, size_t units) {
  std::vector<std::vector<int64_t>> out(units);
  if (!file.Exists("units/electrodes") || !file.Exists("units/electrodes_index")) return out;
  const auto rows = file.ReadIntegers("units/electrodes");
  if (!rows.ok()) return out;
  const auto ends = ReadIndex(file, "units/electrodes_index", static_cast<int64_t>(rows->size()));
  if (!ends.ok() || ends->size() != units) return out;
  int64_t begin = 0;
  for (size_t i = 0; i < units; ++i) {
    out[i].assign(rows->begin() + begin, rows->begin() + (*ends)[i]);
    begin = (*ends)[i];
  }
  return out;
}

// Label, region and depth of every unit: from the units table, else from its electrodes, else from
// its electrode group.
void DescribeUnits(const Hierarchy& file, Recording& recording) {
  const auto electrodes = UnitElectrodes(file, recording.units.size());
  const Texts* label = nullptr;
  for (const char* name : {"quality", "label", "KSLabel", "group"}) {
    if (label == nullptr) label = TextsOf(recording.unit_columns, name);
  }
  const Texts* region = TextsOf(recording.unit_columns, "location");
  if (region == nullptr) region = TextsOf(recording.unit_columns, "region");
  const Numbers* depth = NumbersOf(recording.unit_columns, "depth");
  const Texts* groups = TextsOf(recording.unit_columns, "electrode_group");
  const Texts* sites = TextsOf(recording.electrodes, "location");
  const Numbers* heights = NumbersOf(recording.electrodes, "rel_y");
  for (size_t i = 0; i < recording.units.size(); ++i) {
    Unit& unit = recording.units[i];
    if (label != nullptr) unit.label = (*label)[i];
    if (region != nullptr) unit.region = (*region)[i];
    if (depth != nullptr) unit.depth = (*depth)[i];
    if (!electrodes[i].empty()) {
      const auto row = static_cast<size_t>(electrodes[i][0]);
      if (unit.region.empty() && sites != nullptr && row < sites->size()) {
        unit.region = (*sites)[row];
      }
      if (std::isnan(unit.depth) && heights != nullptr && row < heights->size()) {
        unit.depth = (*heights)[row];
      }
    }
    if (unit.region.empty() && groups != nullptr) {
      const Texts location = file.TextAttribute((*groups)[i], "location");
      if (!location.empty()) unit.region = location[0];
    }
  }
}

bool IsSeries(const Hierarchy& file, const std::string& path) {
  return file.Exists(path + "/data") &&
         (file.Exists(path + "/timestamps") || file.Exists(path + "/starting_time"));
}

absl::StatusOr<Series> ReadSeries(const Hierarchy& file, const std::string& path) {
  SAED_ASSIGN_OR_RETURN(const ArrayInfo info, file.Describe(path + "/data"));
  const auto& shape = info.shape;
  const int64_t channels = shape.size() == 2 ? shape[1] : 1;
  if (shape.empty() || shape.size() > 2 || channels < 1 || channels > kMaxChannels ||
      shape[0] * channels > kMaxSeriesValues) {
    return InvalidField(path, fmt::format("is not [samples] or [samples, up to {} channels] of at "
                                          "most {} values",
                                          kMaxChannels, kMaxSeriesValues));
  }
  Series out;
  const size_t slash = path.find('/');
  out.name = ValidUtf8(path.substr(path.rfind('/') + 1));
  if (slash == std::string::npos) return InvalidField(path, "has no module");
  SAED_ASSIGN_OR_RETURN(out.values, file.ReadNumbers(path + "/data"));
  const double conversion = file.NumberAttribute(path + "/data", "conversion", 1);
  const double offset = file.NumberAttribute(path + "/data", "offset", 0);
  for (double& v : out.values) v = v * conversion + offset;
  const Texts unit = file.TextAttribute(path + "/data", "unit");
  if (!unit.empty()) out.unit = unit[0];
  for (int64_t c = 0; c < channels; ++c) out.channels.push_back(std::to_string(c));
  if (file.Exists(path + "/timestamps")) {
    SAED_ASSIGN_OR_RETURN(out.timestamps, file.ReadNumbers(path + "/timestamps"));
  } else {
    SAED_ASSIGN_OR_RETURN(const auto start, file.ReadNumbers(path + "/starting_time"));
    const double rate = file.NumberAttribute(path + "/starting_time", "rate", 0);
    if (start.size() != 1 || !(rate > 0)) {
      return InvalidField(path + "/starting_time", "needs one time and the attribute rate > 0");
    }
    for (int64_t i = 0; i < shape[0]; ++i) {
      out.timestamps.push_back(start[0] + static_cast<double>(i) / rate);
    }
  }
  if (static_cast<int64_t>(out.timestamps.size()) != shape[0]) {
    return InvalidField(path + "/timestamps", fmt::format("has {} values for {} samples",
                                                          out.timestamps.size(), shape[0]));
  }
  for (size_t i = 0; i < out.timestamps.size(); ++i) {
    if (!std::isfinite(out.timestamps[i]) || (i > 0 && out.timestamps[i] < out.timestamps[i - 1])) {
      return InvalidField(path + "/timestamps", "must be finite and ascending");
    }
  }
  return out;
}

// Every TimeSeries below `group`, however deep its containers are.
void CollectSeries(const Hierarchy& file, const std::string& group, int depth, Recording& out,
                   Notes& notes) {
  if (depth > 4) return;
  for (const std::string& child : file.Children(group)) {
    const std::string path = group + "/" + child;
    if (!file.IsGroup(path)) continue;
    if (!IsSeries(file, path)) {
      CollectSeries(file, path, depth + 1, out, notes);
      continue;
    }
    auto series = ReadSeries(file, path);
    if (!series.ok()) {
      notes.Mended(path, "left out: " + std::string(series.status().message()));
      continue;
    }
    for (const Series& other : out.series) {
      if (other.name == series->name) series->name = ValidUtf8(path);
    }
    out.series.push_back(*std::move(series));
  }
}

}  // namespace

const std::vector<OptionInfo>& NwbOptions() {
  static const std::vector<OptionInfo> options;
  return options;
}

absl::StatusOr<Recording> ReadNwbFrom(const Hierarchy& file, const ImportOptions&, Notes& notes) {
  Recording out;
  out.source = "nwb";
  const Texts version = file.TextAttribute("/", "nwb_version");
  if (version.empty() || !version[0].starts_with("2")) {
    return InvalidField("files", fmt::format("holds an HDF5 file with nwb_version '{}'; NWB 2.x is "
                                             "read",
                                             version.empty() ? "" : version[0]));
  }
  if (!file.IsGroup("units")) {
    return InvalidField("units", "is missing; saed needs sorted units with spike times");
  }
  SAED_RETURN_IF_ERROR(ReadSpikeTimes(file, out));
  SAED_ASSIGN_OR_RETURN(out.unit_columns, ReadTable(file, "units",
                                                    {"spike_times", "obs_intervals", "electrodes",
                                                     "waveform_mean", "waveform_sd", "waveforms"},
                                                    notes));
  for (const Column& column : out.unit_columns.columns) {
    if (column.rows() != out.units.size()) {
      return InvalidField("units/" + column.name, fmt::format("has {} rows; there are {} units",
                                                              column.rows(), out.units.size()));
    }
  }
  const std::string electrodes = "general/extracellular_ephys/electrodes";
  if (file.IsGroup(electrodes)) {
    SAED_ASSIGN_OR_RETURN(out.electrodes, ReadTable(file, electrodes, {}, notes));
  }
  DescribeUnits(file, out);
  if (file.IsGroup("intervals")) {
    for (const std::string& name : file.Children("intervals")) {
      const std::string table_path = "intervals/" + name;
      if (!file.IsGroup(table_path)) continue;
      SAED_ASSIGN_OR_RETURN(Table table, ReadTable(file, table_path, {"timeseries"}, notes));
      SAED_ASSIGN_OR_RETURN(IntervalTable intervals,
                            MakeIntervals(ValidUtf8(name), std::move(table), notes));
      out.intervals.push_back(std::move(intervals));
    }
  }
  for (const char* group : {"processing", "stimulus/presentation", "acquisition"}) {
    if (file.IsGroup(group)) CollectSeries(file, group, 0, out, notes);
  }
  return out;
}

namespace {

// The .nwb file among the files.
std::vector<std::string> Files(const FileSet& files) { return files.Matching("**.nwb"); }

Match Recognise(const FileSet& files) {
  return Files(files).size() == 1 ? Match::kYes : Match::kNo;
}

absl::StatusOr<Recording> ReadNwb(const FileSet& files, const ImportOptions& options,
                                  Notes& notes) {
  auto names = Files(files);
  if (names.empty() && files.names().size() == 1) names = files.names();
  if (names.size() != 1) {
    return InvalidField("files", fmt::format("holds {} .nwb files; one is read", names.size()));
  }
  SAED_ASSIGN_OR_RETURN(const std::string path, files.PathOf(names[0]));
  const std::lock_guard lock(Hdf5Mutex());
  SAED_ASSIGN_OR_RETURN(const Hdf5File file, Hdf5File::Open(names[0], path));
  return ReadNwbFrom(file, options, notes);
}

}  // namespace

const Reader& formats::nwb() {
  static const Reader reader = {"nwb",      "NWB 2.x",    "one .nwb file with a Units table",
                                {"**.nwb"}, NwbOptions(), Recognise,
                                ReadNwb};
  return reader;
}

}  // namespace saed::recordings
