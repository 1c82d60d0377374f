// Spike times and the units they are of, one of each for every spike: pairs of .npy, .npz, .csv.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <unordered_map>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/recordings/readers/array_file.h"
#include "server/recordings/readers/npz.h"
#include "server/recordings/readers/rates.h"
#include "server/recordings/readers/registry.h"
#include "server/recordings/readers/spike_pairs.h"
#include "server/recordings/readers/text_cells.h"
#include "server/recordings/readers/text_layout.h"
#include "server/recordings/readers/text_matrix.h"
#include "server/recordings/readers/text_sketch.h"
#include "server/recordings/readers/text_table.h"
#include "server/recordings/readers/unit_ids.h"

namespace saed::recordings {
namespace {

using Names = std::vector<std::string_view>;
const Names kTimes = {"spike_times", "times", "spike_time", "time", "t", "timestamps", "timestamp"};
const Names kUnits = {"spike_clusters", "clusters", "cluster",     "units",      "unit",
                      "unit_ids",       "unit_id",  "cluster_ids", "cluster_id", "spike_units",
                      "neuron",         "neurons",  "neuron_id",   "id"};

// At most this many bytes of text.
constexpr int64_t kMaxSpikeText = int64_t{256} << 20;

// As the files have them.
struct Spikes : SpikePairs {
  bool whole = false;  // times are integers
  // Ids that are no whole numbers, in the order in which they come; `units` are places in it.
  Texts names;
};

// Ids as texts: whole numbers, or numbered by first appearance.
void TakeNames(std::string name, const Texts& ids, Spikes& out) {
  out.units_name = std::move(name);
  std::vector<int64_t> numbers;
  for (const std::string& id : ids) {
    int64_t number = 0;
    if (!WholeId(id, number)) break;
    numbers.push_back(number);
  }
  if (numbers.size() != ids.size()) {
    numbers.clear();
    std::unordered_map<std::string, int64_t> places;
    for (const std::string& id : ids) {
      const auto [at, added] = places.emplace(id, static_cast<int64_t>(places.size()));
      if (added) out.names.push_back(id);
      numbers.push_back(at->second);
    }
  }
  out.units = [numbers = std::move(numbers)](int64_t first, std::span<int64_t> to) {
    std::copy_n(numbers.begin() + first, to.size(), to.begin());
    return absl::OkStatus();
  };
}

// The one of `known` that `has`; empty where there is none.
template <class Has>
std::string FirstOf(const Names& known, const std::string& ending, const Has& has) {
  for (const std::string_view name : known) {
    if (has(std::string(name) + ending)) return std::string(name) + ending;
  }
  return "";
}

std::string TimesFile(const FileSet& files) {
  return FirstOf(kTimes, ".npy", [&](const std::string& name) { return files.Has(name); });
}

std::string UnitsFile(const FileSet& files) {
  return FirstOf(kUnits, ".npy", [&](const std::string& name) { return files.Has(name); });
}

absl::StatusOr<Spikes> FromNpy(const FileSet& files, const ImportOptions& options) {
  const auto name = [&](const char* option, const std::string& found) {
    return options.Get(option).empty() ? found : options.Get(option);
  };
  const std::string times_name = name("times", TimesFile(files));
  const std::string units_name = name("clusters", UnitsFile(files));
  if (times_name.empty() || units_name.empty()) {
    return InvalidField("files",
                        fmt::format("holds no {}; must be spike_times.npy and "
                                    "spike_clusters.npy, or be named by the options "
                                    "times and clusters",
                                    times_name.empty() ? "spike_times.npy" : "spike_clusters.npy"));
  }
  SAED_ASSIGN_OR_RETURN(const ArrayFile times, ArrayFile::Open(files, times_name));
  SAED_ASSIGN_OR_RETURN(const ArrayFile units, ArrayFile::Open(files, units_name));
  SAED_RETURN_IF_ERROR(CheckPair(times, units));
  Spikes out;
  TakeTimes(times, out);
  out.whole = times.header().integer();
  TakeUnits(units, out);
  return out;
}

absl::StatusOr<Spikes> FromNpz(const FileSet& files, const std::string& file,
                               const ImportOptions& options, Notes& notes) {
  SAED_ASSIGN_OR_RETURN(const Npz npz, Npz::Open(files, file));
  const auto has = [&](const std::string& array) { return npz.Has(array); };
  const auto name = [&](const char* option, const Names& known) {
    return options.Get(option).empty() ? FirstOf(known, "", has) : options.Get(option);
  };
  const std::string times_name = name("times", kTimes), units_name = name("clusters", kUnits);
  if (times_name.empty() || units_name.empty()) {
    return InvalidField(times_name.empty() ? "options.times" : "options.clusters",
                        fmt::format("must say which array of {} holds the {} of the spikes: {}",
                                    file, times_name.empty() ? "times" : "units",
                                    ValidUtf8(fmt::format("{}", fmt::join(npz.names(), ", ")))));
  }
  SAED_ASSIGN_OR_RETURN(const ArrayFile times, npz.Read(times_name));
  SayUnreadArrays(npz, {times_name, units_name}, "", notes);
  Spikes out;
  TakeTimes(times, out);
  out.whole = times.header().integer();
  const auto units = npz.Read(units_name);
  if (units.ok()) {
    SAED_RETURN_IF_ERROR(CheckPair(times, *units));
    TakeUnits(*units, out);
    return out;
  }
  const auto ids = npz.ReadTexts(units_name);
  if (!ids.ok()) return units.status();
  SAED_RETURN_IF_ERROR(CheckVector(times, kMaxSpikes));
  const std::string field = fmt::format("{}[{}]", file, units_name);
  if (static_cast<int64_t>(ids->size()) != times.size()) {
    return InvalidField(field, fmt::format("has {} items but {} has {}; must be as many",
                                           ids->size(), times.name(), times.size()));
  }
  TakeNames(field, *ids, out);
  return out;
}

std::string Lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

absl::StatusOr<const Column*> FindColumn(const Table& table, const std::string& given,
                                         const char* option, const Names& known) {
  const auto find = [&](const std::string& name) {
    const auto at = std::find_if(table.columns.begin(), table.columns.end(),
                                 [&](const Column& c) { return Lower(c.name) == Lower(name); });
    return at == table.columns.end() ? nullptr : &*at;
  };
  const std::string name =
      given.empty() ? FirstOf(known, "", [&](const auto& n) { return find(n) != nullptr; }) : given;
  if (const Column* exact = table.Find(name)) return exact;
  if (!name.empty() && find(name) != nullptr) return find(name);
  std::string columns;
  for (const Column& c : table.columns) columns += (columns.empty() ? "" : ", ") + c.name;
  return InvalidField(fmt::format("options.{}", option),
                      fmt::format("{}; must be one of the columns of {}: {}",
                                  given.empty() ? "is not given and no column has a usual name, "
                                                  "e.g. " +
                                                      std::string(known[0])
                                                : fmt::format("is '{}'", ValidUtf8(given)),
                                  table.name, columns));
}

// A table of one column that is called as spikes are, or whose file is: the times of one unit.
bool IsOneTrain(const std::string& file, const std::vector<std::string>& columns) {
  if (columns.size() != 1) return false;
  const std::string stem = file.substr(file.rfind('/') + 1);
  return Lower(columns[0]).find("spike") != std::string::npos ||
         Lower(stem).find("spike") != std::string::npos;
}

std::vector<std::string> Titles(const Table& table) {
  std::vector<std::string> out;
  for (const Column& c : table.columns) out.push_back(c.name);
  return out;
}

// The times and the ids of the rows that have both.
absl::Status TakeRows(const std::string& file, const TextTable& text, const Column& times,
                      const Texts& units, Spikes& out, Notes& notes) {
  const auto& cells = std::get<Texts>(times.values);
  Numbers numbers;
  Texts ids;
  Tally missing, rounded;
  bool whole = !cells.empty();
  for (size_t row = 0; row < cells.size(); ++row) {
    const std::string& cell = cells[row];
    const auto value = ParseNumber(cell, text.decimal_comma);
    if (!value && !cell.empty()) {
      return InvalidField(file, fmt::format("has '{}' in line {}, column {}; must be a number",
                                            ShownCell(cell), text.lines[row], times.name));
    }
    if (!value || !std::isfinite(*value) || units[row].empty()) {
      missing.Add([&] { return fmt::format("line {}", text.lines[row]); });
      continue;
    }
    whole = whole && cell.find_first_of(".,eE") == std::string::npos;
    if (IsRounded(cell)) {
      rounded.Add([&] { return fmt::format("'{}' in line {}", cell, text.lines[row]); });
    }
    numbers.push_back(*value);
    ids.push_back(units[row]);
  }
  missing.Mend(notes, file, "rows", "without a time or a unit dropped");
  rounded.Mend(notes, file, "times", "above 2^53 rounded, as numbers have 53 bits here");
  TakeNames(out.units_name, ids, out);
  out.size = static_cast<int64_t>(numbers.size());
  out.whole = whole;
  out.times = [numbers = std::move(numbers)](int64_t first, std::span<double> to) {
    std::copy_n(numbers.begin() + first, to.size(), to.begin());
    return absl::OkStatus();
  };
  return absl::OkStatus();
}

absl::StatusOr<Spikes> FromText(const FileSet& files, const std::string& file,
                                const ImportOptions& options, Notes& notes) {
  SAED_ASSIGN_OR_RETURN(const std::string bytes, files.Read(file, kMaxSpikeText));
  TextRules rules;
  rules.headless = true;
  rules.words = [](size_t, std::string_view) { return true; };  // ids keep all their digits
  SAED_ASSIGN_OR_RETURN(TextTable text, ReadTextTable(file, bytes, notes, rules));
  text.table.name = file;
  Spikes out;
  const bool train = options.Get("units_column").empty() && IsOneTrain(file, Titles(text.table));
  if (!text.headed && !train) {
    return InvalidField(file, fmt::format("has no header, and {} columns; must start with a line "
                                          "that names the columns, e.g. unit,time",
                                          text.table.columns.size()));
  }
  const Column* times = &text.table.columns[0];
  Texts units(times->rows(), "0");
  if (train) {
    out.units_name = file;
    notes.Said(file, fmt::format("has one column, '{}': the times of one unit", times->name));
  } else {
    SAED_ASSIGN_OR_RETURN(
        times, FindColumn(text.table, options.Get("times_column"), "times_column", kTimes));
    SAED_ASSIGN_OR_RETURN(
        const Column* const column,
        FindColumn(text.table, options.Get("units_column"), "units_column", kUnits));
    units = std::get<Texts>(column->values);
    out.units_name = fmt::format("{}/{}", file, column->name);
  }
  out.times_name = fmt::format("{}/{}", file, times->name);
  SAED_RETURN_IF_ERROR(TakeRows(file, text, *times, units, out, notes));
  return out;
}

// How the numbers become seconds: divided by this.
struct TimeScale {
  double divisor = 1;
  bool samples = false;
};

absl::StatusOr<TimeScale> ScaleOf(const Spikes& spikes, const ImportOptions& options) {
  const std::string unit = options.Get("time_unit");
  if (unit == "s" || (unit.empty() && !spikes.whole)) return TimeScale{};
  if (unit == "ms") return TimeScale{1000, false};
  if (!unit.empty() && unit != "samples") {
    return InvalidField("options.time_unit",
                        fmt::format("is '{}'; must be s, ms or samples", ValidUtf8(unit)));
  }
  const double rate = options.sampling_rate;
  if (rate == 0) {
    return InvalidField("sampling_rate",
                        fmt::format("is not given; {} holds whole numbers, which are taken as "
                                    "samples: give the rate in Hz, e.g. 30000, or say with the "
                                    "option time_unit that they are s or ms",
                                    spikes.times_name));
  }
  SAED_RETURN_IF_ERROR(CheckRate("sampling_rate", rate));
  return TimeScale{rate, true};
}

std::string FileEnding(const FileSet& files, std::string_view ending) {
  std::string only;
  for (const std::string& name : files.names()) {
    if (!name.ends_with(ending)) continue;
    if (!only.empty()) return "";
    only = name;
  }
  return only;
}

// A text file of spikes: called so, or the only one.
std::string TextFile(const FileSet& files) {
  for (const std::string ending : {".csv", ".tsv", ".txt"}) {
    if (files.Has("spikes" + ending)) return "spikes" + ending;
  }
  return files.names().size() == 1 && IsTextName(files.names()[0]) ? files.names()[0] : "";
}

absl::StatusOr<Spikes> Open(const FileSet& files, const ImportOptions& options, Notes& notes) {
  const bool pair = !TimesFile(files).empty() && !UnitsFile(files).empty();
  if (pair || (files.Has(options.Get("times")) && files.Has(options.Get("clusters")))) {
    return FromNpy(files, options);
  }
  if (const std::string npz = FileEnding(files, ".npz"); !npz.empty()) {
    return FromNpz(files, npz, options, notes);
  }
  if (const std::string text = TextFile(files); !text.empty()) {
    return FromText(files, text, options, notes);
  }
  return FromNpy(files, options);
}

absl::StatusOr<Recording> Read(const FileSet& files, const ImportOptions& options, Notes& notes) {
  SAED_ASSIGN_OR_RETURN(const Spikes spikes, Open(files, options, notes));
  SAED_ASSIGN_OR_RETURN(const TimeScale scale, ScaleOf(spikes, options));
  Recording out;
  SAED_ASSIGN_OR_RETURN(const Grouped saw, GroupSpikes(spikes, scale.divisor, {}, out));
  if (scale.samples && saw.whole) out.sampling_rate = scale.divisor;
  if (!spikes.names.empty()) SetUnitIds(spikes.units_name, spikes.names, out, notes);
  out.source = "spikes";
  return out;
}

bool Contains(const Names& known, const std::vector<std::string>& names) {
  return std::any_of(known.begin(), known.end(), [&](std::string_view k) {
    return std::any_of(names.begin(), names.end(),
                       [&](const std::string& name) { return Lower(name) == k; });
  });
}

Match Recognise(const FileSet& files) {
  if (!TimesFile(files).empty() && !UnitsFile(files).empty()) return Match::kMaybe;
  // One without the other is refused with what is missing.
  const bool half = files.Has("spike_times.npy") || files.Has("spike_clusters.npy");
  if (half && !files.Has("spike_templates.npy")) return Match::kMaybe;
  const std::string called = TextFile(files);
  if (files.names().size() != 1) {
    const bool units =
        files.Has(called) && Contains(kUnits, SketchText(files.Sketch(called)).names);
    return units ? Match::kMaybe : Match::kNo;
  }
  const FileSketch& file = files.Sketch(files.names()[0]);
  if (file.name.ends_with(".npz")) {
    const auto names = NpzNames(file);
    return Contains(kTimes, names) && Contains(kUnits, names) ? Match::kYes : Match::kNo;
  }
  if (!IsTextName(file.name)) return Match::kNo;
  const TextSketch text = SketchText(file);
  const bool spikes = Contains(kTimes, text.names) && Contains(kUnits, text.names);
  return spikes || IsOneTrain(file.name, text.names) ? Match::kYes : Match::kNo;
}

}  // namespace

const Reader& formats::spikes() {
  static const Reader reader = {
      "spikes",
      "Spike times and the units they are of",
      "spike_times.npy and spike_clusters.npy; or one .npz with such arrays; or one .csv or .tsv "
      "with a column of times and one of units, or with one column of spike times",
      {"*.npy", "*.npz", "*.csv", "*.tsv", "*.txt"},
      {{"times", "The file or .npz array of the times; without it one with a usual name",
        "spike_times.npy"},
       {"clusters", "The file or .npz array of the units, one for each time; likewise",
        "spike_clusters.npy"},
       {"times_column", "The column of the times in a text file; likewise", "time"},
       {"units_column", "The column of the units in a text file; likewise", "unit"},
       {"time_unit",
        "s, ms or samples; without it whole numbers are samples, for which sampling_rate is "
        "needed, and others seconds",
        "ms"}},
      Recognise,
      Read,
      true};  // units_by_spikes
  return reader;
}

}  // namespace saed::recordings
