#include "server/recordings/readers/spikeinterface_units.h"

#include <fmt/format.h>

#include <cmath>
#include <map>
#include <set>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/recordings/readers/left_out.h"
#include "server/recordings/readers/npy_items.h"
#include "server/recordings/readers/text_table.h"
#include "server/recordings/readers/unit_values.h"

namespace saed::recordings {
namespace {

constexpr int64_t kMaxJsonBytes = int64_t{64} << 20;
// Properties of more numbers a unit are no columns.
constexpr int64_t kMaxWidth = 16;

// What Python's json module writes for numbers that JSON does not have.
std::string WithoutNan(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (!quoted) {
      bool replaced = false;
      for (const std::string_view word : {"NaN", "-Infinity", "Infinity"}) {
        if (!text.substr(i).starts_with(word)) continue;
        out += "null";
        i += word.size() - 1;
        replaced = true;
        break;
      }
      if (replaced) continue;
    } else if (text[i] == '\\' && i + 1 < text.size()) {
      out += text[i++];
      out += text[i];
      continue;
    }
    if (text[i] == '"') quoted = !quoted;
    out += text[i];
  }
  return out;
}

// "quality" of "sorting/properties/quality.npy".
std::string StemOf(const std::string& name) {
  const size_t at = name.rfind('/') + 1;
  return ValidUtf8(name.substr(at, name.rfind('.') - at));
}

absl::Status AddProperty(const FileSet& files, const std::string& name, Recording& recording,
                         Notes& notes) {
  SAED_ASSIGN_OR_RETURN(const NpyFile file, NpyFile::Open(files, name));
  const auto units = static_cast<int64_t>(recording.units.size());
  const int64_t width = file.items().width();
  if (file.items().shape.empty() || file.items().rows() != units || width > kMaxWidth) {
    return InvalidField(name, fmt::format("has {} rows of {} values; must have one row for each of "
                                          "the {} units and at most {} values in each",
                                          file.items().rows(), width, units, kMaxWidth));
  }
  SAED_ASSIGN_OR_RETURN(auto values, file.ReadAll(kMaxUnits * kMaxWidth, notes));
  if (width == 1) {
    AddUnitColumn(recording, StemOf(name), std::move(values));
    return absl::OkStatus();
  }
  for (int64_t c = 0; c < width; ++c) {
    const auto column = std::visit(
        [&](const auto& all) -> std::variant<Numbers, Texts> {
          std::decay_t<decltype(all)> out;
          for (int64_t n = 0; n < units; ++n)
            out.push_back(all[static_cast<size_t>(n * width + c)]);
          return out;
        },
        values);
    AddUnitColumn(recording, fmt::format("{}_{}", StemOf(name), c), column);
  }
  return absl::OkStatus();
}

absl::Status AddMetrics(const FileSet& files, const std::string& name,
                        const std::map<std::string, size_t>& units, Recording& recording,
                        Notes& notes) {
  SAED_ASSIGN_OR_RETURN(const std::string bytes, files.Read(name, kMaxTextBytes));
  TextRules rules;
  rules.words = [](size_t place, std::string_view) { return place == 0; };  // the ids
  SAED_ASSIGN_OR_RETURN(const TextTable text, ReadTextTable(name, bytes, notes, rules));
  SayDoubts(name, text, notes);
  AddColumnsById(recording, name, text.table, 0, units, notes);
  return absl::OkStatus();
}

// Places that SpikeInterface estimated: [units, 2 or 3], x, y (along the probe) and z in µm.
absl::Status AddLocations(const FileSet& files, const std::string& name, Recording& recording) {
  SAED_ASSIGN_OR_RETURN(const NpyFile file, NpyFile::Open(files, name));
  SAED_ASSIGN_OR_RETURN(const NpyField field, file.Plain());
  const auto units = static_cast<int64_t>(recording.units.size());
  const int64_t width = file.items().width();
  if (!field.number() || file.items().rows() != units || width < 2 || width > 4) {
    return InvalidField(name, fmt::format("has {} rows of {} values; must have x, y and perhaps z "
                                          "for each of the {} units",
                                          file.items().rows(), width, units));
  }
  Numbers all(static_cast<size_t>(units * width));
  file.ReadNumbers(field, 0, all);
  for (int64_t c = 0; c < std::min<int64_t>(width, 3); ++c) {
    Numbers column;
    for (int64_t n = 0; n < units; ++n) column.push_back(all[static_cast<size_t>(n * width + c)]);
    AddUnitColumn(recording, std::string("location_") + "xyz"[c], std::move(column));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<nlohmann::json> ReadPythonJson(const FileSet& files, const std::string& name) {
  SAED_ASSIGN_OR_RETURN(const std::string text, files.Read(name, kMaxJsonBytes));
  nlohmann::json out = nlohmann::json::parse(WithoutNan(text), nullptr, false);
  if (!out.is_object()) return InvalidField(name, "is not a JSON object, or is damaged");
  return out;
}

absl::StatusOr<std::vector<std::string>> MakeUnits(const nlohmann::json& ids,
                                                   const std::string& part, Recording& recording,
                                                   Notes& notes) {
  if (!ids.is_array() || ids.size() > static_cast<size_t>(kMaxUnits)) {
    return InvalidField(part, fmt::format("has no list unit_ids of at most {} units", kMaxUnits));
  }
  std::vector<std::string> out;
  std::set<std::string> seen;
  std::string renumbered;
  for (const nlohmann::json& id : ids) {
    const bool small = id.is_number_integer() &&
                       (!id.is_number_unsigned() || id.get<uint64_t>() <= (uint64_t{1} << 62));
    if (id.is_string()) {
      out.push_back(ValidUtf8(id.get<std::string>()));
    } else if (id.is_number()) {
      out.push_back(small ? std::to_string(id.get<int64_t>()) : id.dump());
    } else {
      return InvalidField(part, fmt::format("has a unit id that is neither a number nor a text, at "
                                            "{} of unit_ids",
                                            out.size()));
    }
    if (renumbered.empty() && !small) renumbered = "are not whole numbers";
    if (!seen.insert(out.back()).second) renumbered = fmt::format("come twice ('{}')", out.back());
  }
  for (size_t n = 0; n < out.size(); ++n) {
    recording.units.emplace_back().id =
        renumbered.empty() ? ids[n].get<int64_t>() : static_cast<int64_t>(n);
  }
  recording.unit_columns.name = "units";
  if (renumbered.empty()) return out;
  AddUnitColumn(recording, "original_id", out);
  notes.Mended(part, fmt::format("{} units numbered from 0 in the file's order because their ids "
                                 "{}; the column original_id has the file's own",
                                 out.size(), renumbered));
  return out;
}

void AddSpikeInterfaceColumns(const FileSet& files, const std::string& sorting,
                              const std::string& analyzer, const std::vector<std::string>& ids,
                              Recording& recording, Notes& notes) {
  const std::string properties = sorting + "properties/";
  for (const std::string& name : files.names()) {
    if (!name.starts_with(properties) || !name.ends_with(".npy")) continue;
    if (name.find('/', properties.size()) != std::string::npos) continue;
    LeaveOut(name, AddProperty(files, name, recording, notes), notes);
  }
  std::map<std::string, size_t> units;
  for (size_t n = 0; n < ids.size(); ++n) units.emplace(ids[n], n);
  for (const char* table : {"quality_metrics", "template_metrics"}) {
    const std::string name = analyzer + "extensions/" + table + "/metrics.csv";
    if (!files.Has(name)) continue;
    LeaveOut(name, AddMetrics(files, name, units, recording, notes), notes);
  }
  const std::string locations = analyzer + "extensions/unit_locations/unit_locations.npy";
  if (files.Has(locations)) LeaveOut(locations, AddLocations(files, locations, recording), notes);
  SetLabels(recording, {"quality", "curation_label", "KSLabel", "ks_label", "label"});
  SetRegions(recording, {"brain_area", "region", "acronym"});
  if (SetDepths(recording, {"depth"}).empty()) SetDepths(recording, {"location_y"});
}

}  // namespace saed::recordings
