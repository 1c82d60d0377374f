#include "server/recordings/readers/nwb_units.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/recordings/readers/nwb_spikes.h"
#include "server/recordings/readers/nwb_table.h"
#include "server/recordings/readers/tidy_spans.h"

namespace saed::recordings {
namespace {

constexpr char kElectrodes[] = "general/extracellular_ephys/electrodes";
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

struct Electrodes {
  Table table;
  std::map<int64_t, size_t> rows;  // by id
};

struct Part {
  std::string path;
  NwbSpikes spikes;
  Table columns;
};

Electrodes ReadElectrodes(const Hierarchy& file, Notes& notes) {
  Electrodes out;
  if (!file.IsGroup(kElectrodes)) return out;
  out.table = ReadNwbTable(file, {kElectrodes}, notes);
  const auto ids = file.ReadIntegers(std::string(kElectrodes) + "/id");
  if (!ids.ok()) return out;
  for (size_t i = 0; i < ids->size(); ++i) out.rows.emplace((*ids)[i], i);
  return out;
}

constexpr int64_t kNoElectrode = std::numeric_limits<int64_t>::min();

// Rows of the electrodes table, the first that each unit names; kNoElectrode where it names none.
std::vector<int64_t> FirstElectrodes(const Hierarchy& file, const Part& part,
                                     const Electrodes& electrodes, Notes& notes) {
  const size_t units = part.spikes.units.size();
  std::vector<int64_t> out(units, kNoElectrode);
  const std::string path = part.path + "/electrodes";
  if (file.Exists(path)) {
    const auto left_out = [&](const std::string& why) {
      notes.Mended(path, "left out: " + why);
      return out;
    };
    const auto rows = file.ReadIntegers(path);
    if (!rows.ok()) return left_out(FaultText(rows.status(), path));
    std::vector<int64_t> ends;
    for (size_t i = 0; i < rows->size(); ++i) ends.push_back(static_cast<int64_t>(i) + 1);
    if (file.Exists(path + "_index")) {
      const auto index = ReadIndex(file, path + "_index", static_cast<int64_t>(rows->size()));
      if (!index.ok()) return left_out(FaultText(index.status(), path));
      ends = *index;
    }
    if (ends.size() != units) {
      return left_out(fmt::format("has {} rows; the table has {}", ends.size(), units));
    }
    for (size_t i = 0; i < units; ++i) {
      const int64_t begin = i == 0 ? 0 : ends[i - 1];
      if (begin < ends[i]) out[i] = (*rows)[static_cast<size_t>(begin)];
    }
  } else if (const Numbers* peaks = NumbersOf(part.columns, "peak_channel_id")) {
    // Allen's files name the electrode of the largest waveform by its id.
    for (size_t i = 0; i < units; ++i) {
      const double id = (*peaks)[i];
      if (!(std::abs(id) < 9e15)) continue;
      const auto it = electrodes.rows.find(static_cast<int64_t>(id));
      if (it != electrodes.rows.end()) out[i] = static_cast<int64_t>(it->second);
    }
  }
  return out;
}

template <class Values>
const Values* FirstOf(const Table& table, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    const Column* column = table.Find(name);
    if (column == nullptr) continue;
    if (const auto* values = std::get_if<Values>(&column->values)) return values;
  }
  return nullptr;
}

// Label, region and depth of every unit: from the units table, else from its electrodes, else from
// its electrode group.
void DescribeUnits(const Hierarchy& file, const Electrodes& electrodes, Part& part, Notes& notes) {
  const auto first = FirstElectrodes(file, part, electrodes, notes);
  const auto* label =
      FirstOf<Texts>(part.columns, {"quality", "label", "KSLabel", "group", "cluster_quality"});
  const auto* region = FirstOf<Texts>(part.columns, {"location", "region", "brain_area"});
  const auto* depth = FirstOf<Numbers>(part.columns, {"depth"});
  const auto* groups = FirstOf<Texts>(part.columns, {"electrode_group"});
  const auto* sites = FirstOf<Texts>(electrodes.table, {"location"});
  const auto* heights = FirstOf<Numbers>(electrodes.table, {"rel_y", "probe_vertical_position"});
  Tally outside;
  for (size_t i = 0; i < part.spikes.units.size(); ++i) {
    Unit& unit = part.spikes.units[i];
    if (label != nullptr) unit.label = (*label)[i];
    if (region != nullptr) unit.region = (*region)[i];
    if (depth != nullptr) unit.depth = (*depth)[i];
    const auto row = static_cast<size_t>(first[i]);  // of what is below 0 beyond every table
    if (!electrodes.table.columns.empty() && first[i] != kNoElectrode &&
        row >= electrodes.table.columns[0].rows()) {
      outside.Add([&] { return fmt::format("row {} of unit {}", first[i], unit.id); });
    }
    if (unit.region.empty() && sites != nullptr && row < sites->size()) unit.region = (*sites)[row];
    if (std::isnan(unit.depth) && heights != nullptr && row < heights->size()) {
      unit.depth = (*heights)[row];
    }
    if (unit.region.empty() && groups != nullptr && !(*groups)[i].empty()) {
      const Texts location = file.TextAttribute((*groups)[i], "location");
      const std::string at = (*groups)[i] + "/location";
      if (!location.empty()) unit.region = location[0];
      if (unit.region.empty() && file.Exists(at)) {  // a data set in files of NWB 2.x, an attribute
        const auto values = file.Read(at);           // in converted ones
        const auto* texts = values.ok() ? std::get_if<Texts>(&*values) : nullptr;
        if (texts != nullptr && texts->size() == 1) unit.region = (*texts)[0];
      }
    }
  }
  outside.Mend(notes, part.path + "/electrodes", "rows", "beyond the electrodes table left out");
}

void ReadObserved(const Hierarchy& file, Part& part, Notes& notes) {
  const std::string path = part.path + "/obs_intervals";
  if (!file.Exists(path)) return;
  const auto left_out = [&](const std::string& why) { notes.Mended(path, "left out: " + why); };
  const auto info = file.Describe(path);
  if (!info.ok()) return left_out(FaultText(info.status(), path));
  if (info->shape.size() != 2 || info->shape[1] != 2) {
    return left_out("must be [intervals, 2]: start and stop");
  }
  const size_t units = part.spikes.units.size();
  std::vector<int64_t> ends;
  if (file.Exists(path + "_index")) {
    const auto index = ReadIndex(file, path + "_index", info->shape[0]);
    if (!index.ok()) return left_out(FaultText(index.status(), path));
    ends = *index;
  } else {
    for (int64_t i = 0; i < info->shape[0] && i < kMaxUnits; ++i) ends.push_back(i + 1);
  }
  if (ends.size() != units) {
    return left_out(fmt::format("has {} rows; the table has {}", ends.size(), units));
  }
  if (info->shape[0] == 0) return left_out("holds no interval of any unit");
  const auto values = file.ReadNumbers(path);
  if (!values.ok()) return left_out(FaultText(values.status(), path));
  Tally bad;
  int64_t begin = 0;
  for (size_t i = 0; i < units; ++i) {
    Spans spans;
    for (; begin < ends[i]; ++begin) {
      const size_t at = 2 * static_cast<size_t>(begin);
      spans.emplace_back((*values)[at], (*values)[at + 1]);
    }
    part.spikes.units[i].observed = TidySpans(spans, bad);
  }
  bad.Mend(notes, path, "intervals", "dropped");
}

absl::StatusOr<Part> ReadPart(const Hierarchy& file, const std::string& path,
                              const Electrodes& electrodes, const ImportOptions& options,
                              Notes& notes) {
  static const std::set<std::string> kWaveforms = {"waveform_mean", "waveform_sd", "waveforms"};
  Part part;
  part.path = path;
  SAED_ASSIGN_OR_RETURN(part.spikes, ReadNwbSpikes(file, path, options, notes));
  NwbTableSpec spec;
  spec.path = path;
  spec.skip = {"spike_times", "obs_intervals", "electrodes"};
  std::string skipped;
  for (const std::string& name : kWaveforms) {
    spec.skip.insert(name);
    if (file.Exists(path + "/" + name)) skipped += (skipped.empty() ? "" : ", ") + name;
  }
  if (!skipped.empty()) notes.Said(path, skipped + ": waveforms, which are not read");
  spec.rows = static_cast<int64_t>(part.spikes.units.size());
  spec.spike_ends = &part.spikes.ends;
  part.columns = ReadNwbTable(file, spec, notes);
  DescribeUnits(file, electrodes, part, notes);
  ReadObserved(file, part, notes);
  return part;
}

std::string WithoutSlashes(std::string text) {
  while (text.starts_with('/')) text.erase(0, 1);
  while (text.ends_with('/')) text.pop_back();
  return text;
}

// The tables that are read, by path.
absl::StatusOr<std::vector<std::string>> ChooseTables(const Hierarchy& file,
                                                      const std::vector<NwbNode>& nodes,
                                                      const ImportOptions& options) {
  std::vector<std::string> paths;
  std::string choices;
  for (const NwbNode& node : nodes) {
    if (node.kind != NwbKind::kUnits) continue;
    paths.push_back(node.path);
    const auto ids = file.Describe(node.path + "/id");
    choices += (choices.empty() ? "" : ", ") + ValidUtf8(node.path);
    if (ids.ok()) choices += fmt::format(" ({} units)", FlatSize(*ids));
  }
  const std::string wanted = WithoutSlashes(options.Get("units_table"));
  if (paths.empty()) {
    if (file.Exists("units") && !file.IsGroup("units")) {
      SAED_RETURN_IF_ERROR(file.Describe("units").status());
    }
    return InvalidField("units",
                        file.IsGroup("units")
                            ? "has no spike_times; must be a Units table of sorted units"
                            : "is missing, and there is no Units table anywhere else; must "
                              "be sorted units with spike times");
  }
  if (wanted == "all" || (wanted.empty() && paths.size() == 1)) return paths;
  if (std::find(paths.begin(), paths.end(), wanted) != paths.end()) return std::vector{wanted};
  for (const std::string& path : paths) {  // by another path that leads to it
    if (file.Exists(wanted) && file.Identity(wanted) == file.Identity(path)) {
      return std::vector{path};
    }
  }
  return InvalidField(
      "options.units_table",
      wanted.empty()
          ? fmt::format("is not given and the file has several Units tables; must "
                        "be one of {}, or all",
                        choices)
          : fmt::format("is '{}'; must be one of {}, or all", ValidUtf8(wanted), choices));
}

// A table may be copied to elsewhere in the file.
bool SameSpikes(const Part& a, const Part& b) {
  if (a.spikes.units.size() != b.spikes.units.size() || a.spikes.ends != b.spikes.ends) {
    return false;
  }
  for (size_t i = 0; i < a.spikes.units.size(); ++i) {
    const Unit &x = a.spikes.units[i], &y = b.spikes.units[i];
    if (x.id != y.id || !(x.spike_times == y.spike_times)) return false;
  }
  return true;
}

// The values of `column` in all parts, empty where a part does not have it.
Column JoinColumn(const std::vector<Part>& parts, const std::string& name) {
  bool lists = false, texts = false;
  for (const Part& part : parts) {
    const Column* c = part.columns.Find(name);
    if (c == nullptr) continue;
    lists = lists || std::holds_alternative<TextLists>(c->values);
    texts = texts || std::holds_alternative<Texts>(c->values);
  }
  Numbers as_numbers;
  Texts as_texts;
  TextLists as_lists;
  for (const Part& part : parts) {
    const Column* c = part.columns.Find(name);
    const auto* numbers = c == nullptr ? nullptr : std::get_if<Numbers>(&c->values);
    const auto* strings = c == nullptr ? nullptr : std::get_if<Texts>(&c->values);
    const auto* ragged = c == nullptr ? nullptr : std::get_if<TextLists>(&c->values);
    for (size_t i = 0; i < part.spikes.units.size(); ++i) {
      const std::string text = strings != nullptr   ? (*strings)[i]
                               : numbers != nullptr ? NumberText((*numbers)[i])
                                                    : "";
      if (lists) {
        as_lists.push_back(ragged != nullptr ? (*ragged)[i]
                                             : (c == nullptr ? Texts{} : Texts{text}));
      } else if (texts) {
        as_texts.push_back(text);
      } else {
        as_numbers.push_back(numbers != nullptr ? (*numbers)[i] : kNan);
      }
    }
  }
  if (lists) return {name, std::move(as_lists)};
  if (texts) return {name, std::move(as_texts)};
  return {name, std::move(as_numbers)};
}

// Several tables one after the other, numbered anew.
void Join(std::vector<Part> parts, Recording& out, Notes& notes) {
  Texts original, probe;
  std::vector<std::string> names;
  for (const Part& part : parts) {
    for (size_t i = 0; i < part.spikes.units.size(); ++i) {
      original.push_back(part.spikes.original_ids.empty() ? std::to_string(part.spikes.units[i].id)
                                                          : part.spikes.original_ids[i]);
      probe.push_back(ValidUtf8(part.path));
    }
    for (const Column& c : part.columns.columns) {
      if (std::find(names.begin(), names.end(), c.name) == names.end()) names.push_back(c.name);
    }
  }
  out.unit_columns.columns = {{"original_id", std::move(original)}, {"probe", std::move(probe)}};
  for (const std::string& name : names) {
    out.unit_columns.columns.push_back(JoinColumn(parts, name));
  }
  std::string paths;
  for (Part& part : parts) {
    paths += (paths.empty() ? "" : ", ") + ValidUtf8(part.path);
    for (Unit& unit : part.spikes.units) {
      unit.id = static_cast<int64_t>(out.units.size());
      out.units.push_back(std::move(unit));
    }
  }
  notes.Mended("units", fmt::format("{} units of {} are numbered from 0; their own ids are in the "
                                    "column original_id, their tables in probe",
                                    out.units.size(), paths));
}

// What holds for every unit is said of the recording.
void LiftObserved(Recording& out) {
  if (out.units.empty()) return;
  const Observed first = out.units[0].observed;
  for (const Unit& unit : out.units) {
    if (unit.observed != first) return;
  }
  out.observed = first;
  for (Unit& unit : out.units) unit.observed.reset();
}

}  // namespace

absl::Status ReadNwbUnits(const Hierarchy& file, const std::vector<NwbNode>& nodes,
                          const ImportOptions& options, Recording& out, Notes& notes) {
  SAED_ASSIGN_OR_RETURN(const auto paths, ChooseTables(file, nodes, options));
  Electrodes electrodes = ReadElectrodes(file, notes);
  std::vector<Part> parts;
  for (const std::string& path : paths) {
    SAED_ASSIGN_OR_RETURN(Part part, ReadPart(file, path, electrodes, options, notes));
    bool twice = false;
    for (const Part& other : parts) twice = twice || SameSpikes(part, other);
    if (twice) {
      notes.Said(ValidUtf8(path), "left out: the same units as in a table before it");
    } else {
      parts.push_back(std::move(part));
    }
  }
  if (parts.size() > 1) {
    Join(std::move(parts), out, notes);
  } else {
    NwbSpikes& spikes = parts[0].spikes;
    out.units = std::move(spikes.units);
    if (!spikes.original_ids.empty()) {
      out.unit_columns.columns.push_back({"original_id", std::move(spikes.original_ids)});
    }
    for (Column& c : parts[0].columns.columns) out.unit_columns.columns.push_back(std::move(c));
  }
  out.unit_columns.name = "units";
  out.electrodes = std::move(electrodes.table);
  LiftObserved(out);
  return absl::OkStatus();
}

}  // namespace saed::recordings
