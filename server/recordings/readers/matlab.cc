// MATLAB files whose variables the user names, and CellExplorer's spikes.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <span>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/recordings/readers/hdf5.h"
#include "server/recordings/readers/matlab_file.h"
#include "server/recordings/readers/matlab_trains.h"
#include "server/recordings/readers/matlab_units.h"
#include "server/recordings/readers/matrix.h"
#include "server/recordings/readers/registry.h"

namespace saed::recordings {
namespace {

using Kind = MatValue::Kind;

absl::StatusOr<bool> Flag(const ImportOptions& options, const std::string& name) {
  const std::string value = options.Get(name);
  if (value.empty() || value == "0" || value == "false") return false;
  if (value == "1" || value == "true") return true;
  return InvalidField("options." + name, fmt::format("is '{}'; must be 0 or 1", ValidUtf8(value)));
}

// What an option names; refused by the option's name.
absl::StatusOr<MatValue> Named(MatFile& file, const std::string& option, const std::string& path) {
  auto value = file.Read(path);
  if (value.ok()) return value;
  const auto faults = FaultsOf(value.status());
  return InvalidField("options." + option,
                      fmt::format("names {}, which {}", ValidUtf8(path),
                                  faults.empty() ? std::string(value.status().message())
                                                 : faults[0].field + " " + faults[0].description));
}

// Which variables are what.
struct Choice {
  std::string spike_times, spike_clusters, counts, unit_ids, labels, regions;
  std::vector<std::pair<std::string, std::string>> columns;  // name and path
};

absl::Status ReadSpikes(MatFile& file, const Choice& choice, const ImportOptions& options,
                        Notes& notes, Recording& out) {
  const std::string& name = choice.spike_times;
  SAED_ASSIGN_OR_RETURN(MatValue times, Named(file, "spike_times", name));
  std::optional<MatValue> ids;
  if (!choice.unit_ids.empty()) {
    SAED_ASSIGN_OR_RETURN(ids, Named(file, "unit_ids", choice.unit_ids));
  }
  SayRounded(name, times, notes);
  Trains trains;
  if (times.kind == Kind::kCell) {
    SAED_ASSIGN_OR_RETURN(trains, TrainsFromCell(name, std::move(times)));
  } else if (times.kind != Kind::kNumbers) {
    return InvalidField("options.spike_times",
                        fmt::format("names {} ({}); must be a cell array of vectors, a vector or a "
                                    "matrix of times",
                                    name, times.Text()));
  } else if (!choice.spike_clusters.empty()) {
    SAED_ASSIGN_OR_RETURN(const MatValue clusters,
                          Named(file, "spike_clusters", choice.spike_clusters));
    SAED_ASSIGN_OR_RETURN(trains, TrainsFromClusters(name, times, clusters, notes));
  } else if (times.vector()) {
    trains = {{std::move(times.numbers)}, {}, times.integer()};
    notes.Said(name, "is one vector without spike_clusters; read as one unit");
  } else {
    const auto count = static_cast<size_t>(ids ? ids->size() : 0);
    SAED_ASSIGN_OR_RETURN(trains, TrainsFromMatrix(name, times, options, count, notes));
  }
  SAED_RETURN_IF_ERROR(ToSeconds(name, options, trains, out));
  if (static_cast<int64_t>(trains.trains.size()) > kMaxUnits) {
    return InvalidField(
        name, fmt::format("has {} units; at most {} are allowed", trains.trains.size(), kMaxUnits));
  }
  for (size_t i = 0; i < trains.trains.size(); ++i) {
    Unit& unit = out.units.emplace_back();
    unit.id = trains.ids.empty() ? static_cast<int64_t>(i) + 1 : trains.ids[i];
    unit.spike_times = std::move(trains.trains[i]);
  }
  // The clusters are the ids; a list of ids beside them only gives their order.
  if (trains.ids.empty()) SetMatUnitIds(choice.unit_ids, ids ? &*ids : nullptr, out, notes);
  return absl::OkStatus();
}

absl::Status ReadCounts(MatFile& file, const Choice& choice, const ImportOptions& options,
                        Notes& notes, Recording& out) {
  const std::string& name = choice.counts;
  SAED_RETURN_IF_ERROR(CheckBinWidth(options.bin_width));
  SAED_ASSIGN_OR_RETURN(const bool transposed, Flag(options, "transpose"));
  SAED_ASSIGN_OR_RETURN(const MatValue matrix, Named(file, "counts", name));
  if (matrix.kind != Kind::kNumbers || matrix.shape.size() != 2 || matrix.size() == 0) {
    return InvalidField(
        "options.counts",
        fmt::format("names {} ({}); must be a full matrix [bins, units], or [units, "
                    "bins] with transpose=1",
                    name, matrix.Text()));
  }
  const int64_t rows = matrix.shape[0], columns = matrix.shape[1];
  const int64_t bins = transposed ? columns : rows, units = transposed ? rows : columns;
  if (units > kMaxUnits) {
    return InvalidField(name, fmt::format("has {} units; at most {} are allowed, is it [units, "
                                          "bins] (transpose=1)?",
                                          units, kMaxUnits));
  }
  MatrixSource source;
  source.name = name;
  source.bins = bins;
  source.units = units;
  source.counted_from = 1;
  source.wide = matrix.type == "int64" || matrix.type == "uint64";
  source.read = [&](int64_t first, std::span<double> to) {
    for (size_t i = 0; i < to.size(); ++i) {
      const int64_t bin = first + static_cast<int64_t>(i) / units;
      const int64_t unit = static_cast<int64_t>(i) % units;
      to[i] =
          matrix.numbers[static_cast<size_t>(transposed ? unit + bin * rows : bin + unit * rows)];
    }
  };
  SAED_RETURN_IF_ERROR(
      ReadMatrix(source, {.negative = true}, options.bin_width, notes, out).status());
  for (Unit& unit : out.units) ++unit.id;  // as MATLAB counts
  if (choice.unit_ids.empty()) return absl::OkStatus();
  SAED_ASSIGN_OR_RETURN(const MatValue ids, Named(file, "unit_ids", choice.unit_ids));
  SetMatUnitIds(choice.unit_ids, &ids, out, notes);
  return absl::OkStatus();
}

void DescribeUnits(MatFile& file, const Choice& choice, Recording& out, Notes& notes) {
  if (!choice.labels.empty()) {
    const Texts labels = MatUnitTexts(file, choice.labels, out, notes);
    for (size_t i = 0; i < labels.size(); ++i) out.units[i].label = labels[i];
  }
  if (!choice.regions.empty()) {
    const Texts regions = MatUnitTexts(file, choice.regions, out, notes);
    for (size_t i = 0; i < regions.size(); ++i) out.units[i].region = regions[i];
  }
  for (const auto& [name, path] : choice.columns) {
    const auto value = file.Read(path);
    if (value.ok() && value->kind == Kind::kNumbers && value->numbers.size() == out.units.size() &&
        std::all_of(value->exact.begin(), value->exact.end(),
                    [](int64_t v) { return v > -(int64_t{1} << 53) && v < (int64_t{1} << 53); }) &&
        !(value->wide() && value->exact.empty())) {
      out.unit_columns.columns.push_back({name, value->numbers});
    } else if (Texts texts = MatUnitTexts(file, path, out, notes); !texts.empty()) {
      out.unit_columns.columns.push_back({name, std::move(texts)});
    }
  }
}

// Variables, and the fields of structs.
std::vector<std::pair<std::string, MatValue>> Everything(MatFile& file) {
  constexpr size_t kMost = 500;
  std::vector<std::pair<std::string, MatValue>> out;
  for (const std::string& name : file.variables()) {
    auto value = file.Describe(name);
    if (!value.ok()) continue;
    const Texts fields = value->fields;
    if (out.size() >= kMost) break;
    out.emplace_back(name, *std::move(value));
    for (const std::string& field : fields) {
      if (out.size() >= kMost) break;
      auto inner = file.Describe(name + "." + field);
      if (inner.ok()) out.emplace_back(name + "." + field, *std::move(inner));
    }
  }
  return out;
}

std::string Listed(const std::vector<std::pair<std::string, MatValue>>& all) {
  constexpr size_t kShown = 40;
  std::string out;
  for (size_t i = 0; i < all.size() && i < kShown; ++i) {
    out +=
        fmt::format("{}{} ({})", i == 0 ? "" : ", ", ValidUtf8(all[i].first), all[i].second.Text());
  }
  if (all.size() > kShown) out += fmt::format(" and {} more", all.size() - kShown);
  return out.empty() ? "nothing that can be read" : out;
}

// CellExplorer's spikes.
bool TakeCellExplorer(MatFile& file, Choice& choice) {
  const auto times = file.Describe("spikes.times");
  if (!times.ok() || !IsTrains(*times)) return false;
  choice.spike_times = "spikes.times";
  const auto take = [&](const char* path, std::string& to) {
    if (to.empty() && file.Describe(path).ok()) to = path;
  };
  take("spikes.UID", choice.unit_ids);
  take("spikes.region", choice.regions);
  for (const char* name : {"shankID", "cluID", "maxWaveformCh1"}) {
    const std::string path = std::string("spikes.") + name;
    if (file.Describe(path).ok()) choice.columns.emplace_back(name, path);
  }
  return true;
}

// What is read: what the options name, else what can only be meant.
absl::StatusOr<Choice> Choose(MatFile& file, const ImportOptions& options, Notes& notes) {
  Choice out;
  out.spike_times = options.Get("spike_times");
  out.spike_clusters = options.Get("spike_clusters");
  out.counts = options.Get("counts");
  out.unit_ids = options.Get("unit_ids");
  out.labels = options.Get("labels");
  out.regions = options.Get("regions");
  if (!out.spike_times.empty() && !out.counts.empty()) {
    return InvalidField("options.counts", "is given beside spike_times; must be one of them");
  }
  if (!out.spike_times.empty() || !out.counts.empty()) return out;
  if (TakeCellExplorer(file, out)) return out;
  const auto all = Everything(file);
  std::vector<std::string> trains;
  for (const auto& [name, value] : all) {
    if (IsTrains(value)) trains.push_back(name);
  }
  if (trains.size() == 1) {
    out.spike_times = trains[0];
    notes.Said(trains[0], "is the only cell array of vectors, so it is taken for spike_times");
    return out;
  }
  return InvalidField(
      "options.spike_times",
      fmt::format("is not given and {}; the file holds {}. Give spike_times=NAME (a "
                  "cell array of vectors, a matrix, or a vector with "
                  "spike_clusters=NAME), or counts=NAME and the width of its bins",
                  trains.empty() ? "no variable is a cell array of vectors"
                                 : "several variables could be it",
                  Listed(all)));
}

std::vector<std::string> Files(const FileSet& files) {
  auto names = files.Matching("**.spikes.cellinfo.mat");
  if (names.size() != 1) names = files.Matching("**.mat");
  return names;
}

Match Recognise(const FileSet& files) {
  const auto names = Files(files);
  if (names.size() != 1) return Match::kNo;
  const bool alone = files.names().size() == 1;
  return alone || names[0].ends_with(".spikes.cellinfo.mat") ? Match::kYes : Match::kMaybe;
}

absl::StatusOr<Recording> ReadMatlab(const FileSet& files, const ImportOptions& options,
                                     Notes& notes) {
  auto names = Files(files);
  if (names.empty()) names = files.names();
  if (names.size() != 1) {
    std::string seen;
    for (size_t i = 0; i < names.size() && i < 12; ++i) {
      seen += (i == 0 ? ": " : ", ") + ValidUtf8(names[i]);
    }
    return InvalidField("files", fmt::format("holds {} .mat files{}; name the one that is meant",
                                             names.size(), seen));
  }
  SAED_ASSIGN_OR_RETURN(const std::string path, files.PathOf(names[0]));
  const std::lock_guard lock(Hdf5Mutex());
  SAED_ASSIGN_OR_RETURN(const auto file, OpenMatFile(ValidUtf8(names[0]), path));
  SAED_ASSIGN_OR_RETURN(const Choice choice, Choose(*file, options, notes));
  Recording out;
  out.source = "matlab";
  SAED_RETURN_IF_ERROR(choice.counts.empty() ? ReadSpikes(*file, choice, options, notes, out)
                                             : ReadCounts(*file, choice, options, notes, out));
  DescribeUnits(*file, choice, out, notes);
  return out;
}

std::vector<OptionInfo> Options() {
  return {
      {"spike_times",
       "the variable with the spikes: a cell array with a vector for each unit, a vector with "
       "spike_clusters, or a matrix padded with NaN; without it CellExplorer's spikes.times, or "
       "the "
       "only cell array of vectors",
       "spikes.times"},
      {"spike_clusters", "the variable with the unit of each spike, as long as spike_times", "clu"},
      {"counts", "the variable with counts [bins, units]; needs the width of the bins", "counts"},
      {"transpose", "1 where counts is [units, bins]", "1"},
      {"units_in", "rows or columns of a matrix of times; without it what NaN and order tell",
       "rows"},
      {"unit_ids", "the variable with the id of each unit; without it they are numbered from 1",
       "spikes.UID"},
      {"labels", "the variable with the quality of each unit", "quality"},
      {"regions", "the variable with the brain area of each unit", "spikes.region"},
      {"time_unit", "s, ms, or samples with a sampling_rate; without it seconds, if not all whole",
       "ms"},
  };
}

}  // namespace

const Reader& formats::matlab() {
  static const Reader reader = {
      "matlab",   "MATLAB files", "one .mat file with spike times or counts, version 5 to 7.3",
      {"**.mat"}, Options(),      Recognise,
      ReadMatlab};
  return reader;
}

}  // namespace saed::recordings
