#include "server/recordings/readers/open_ephys_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <span>
#include <string_view>
#include <utility>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/recordings/readers/left_out.h"
#include "server/recordings/readers/rates.h"
#include "server/recordings/readers/spikeinterface_units.h"
#include "server/recordings/recording.h"

namespace saed::recordings {
namespace {

using Part = OpenEphysPart;
using Segment = OpenEphysSegment;

constexpr int64_t kMaxSyncBytes = int64_t{1} << 20;

// The files of a folder of spikes, lines or messages; those before 0.6 have names of their own.
struct Names {
  const char *samples, *values, *electrodes;
};
constexpr Names kSpikes[] = {
    {"sample_numbers.npy", "clusters.npy", "electrode_indices.npy"},
    {"spike_times.npy", "spike_clusters.npy", "spike_electrode_indices.npy"}};
constexpr Names kLines[] = {{"sample_numbers.npy", "states.npy", ""},
                            {"timestamps.npy", "channel_states.npy", ""}};
constexpr Names kMessages[] = {{"sample_numbers.npy", "text.npy", ""},
                               {"timestamps.npy", "text.npy", ""}};

std::string TextOf(const nlohmann::json& object, const char* key) {
  const auto it = object.find(key);
  return object.is_object() && it != object.end() && it->is_string() ? it->get<std::string>() : "";
}

double NumberOf(const nlohmann::json& object, const char* key) {
  const auto it = object.find(key);
  return object.is_object() && it != object.end() && it->is_number() ? it->get<double>() : 0;
}

// The entry of a folder in one of the lists of structure.oebin.
nlohmann::json EntryOf(const nlohmann::json& structure, const char* list, const std::string& key) {
  const auto entries = structure.find(list);
  if (entries == structure.end() || !entries->is_array()) return {};
  for (const nlohmann::json& entry : *entries) {
    for (const char* name : {"folder", "folder_name"}) {
      std::string folder = TextOf(entry, name);
      if (!folder.empty() && !folder.ends_with('/')) folder += '/';
      if (!folder.empty() && fmt::format("{}/{}", list, folder) == key) return entry;
    }
  }
  return {};
}

// What the clock of a part belongs to: "Rhythm_Data", before 0.6 "100.0" (processor and its part).
std::string StreamOf(const std::string& key, const nlohmann::json& info, bool old) {
  const size_t from = key.find('/') + 1;
  const std::string top = key.substr(from, key.find('/', from) - from);
  const size_t dot = top.find('.');
  if (!old) return dot == std::string::npos ? "" : top.substr(dot + 1);
  const auto channels = info.find("channels");
  if (info.is_object() && channels != info.end() && channels->is_array() && !channels->empty()) {
    const nlohmann::json& first = channels->front();
    const auto sources = first.is_object() ? first.find("source_channel_info") : first.end();
    if (first.is_object() && sources != first.end() && sources->is_array() && !sources->empty()) {
      return fmt::format("{}.{}", NumberOf(sources->front(), "source_processor_id"),
                         NumberOf(sources->front(), "source_processor_sub_idx"));
    }
  }
  return top.substr(top.rfind('-') + 1);
}

enum class Kind { kWhole, kNumbers, kTexts };

// One item of a kind for each spike or event.
absl::Status OpenItems(const FileSet& files, const std::string& name, Kind kind,
                       std::optional<NpyFile>& out) {
  SAED_ASSIGN_OR_RETURN(out, NpyFile::Open(files, name));
  SAED_ASSIGN_OR_RETURN(const NpyField field, out->Plain());
  const bool fits = kind == Kind::kWhole     ? field.integer()
                    : kind == Kind::kNumbers ? field.number()
                                             : field.text();
  if (fits && out->items().width() == 1 && out->items().rows() <= kMaxSpikes) {
    return absl::OkStatus();
  }
  return InvalidField(name, fmt::format("is no list of at most {} {}", kMaxSpikes,
                                        kind == Kind::kWhole     ? "whole numbers"
                                        : kind == Kind::kNumbers ? "numbers"
                                                                 : "texts"));
}

// Whether a time is there at all: streams that were not synchronised have -1.
bool AnyTime(const NpyFile& file, int64_t size) {
  std::vector<double> piece(static_cast<size_t>(std::min(size, kItemsAtOnce)));
  for (int64_t at = 0; at < size; at += kItemsAtOnce) {
    const std::span<double> values(piece.data(),
                                   static_cast<size_t>(std::min(kItemsAtOnce, size - at)));
    file.ReadNumbers(*file.Plain(), at, values);
    if (std::any_of(values.begin(), values.end(), [](double t) { return t >= 0; })) return true;
  }
  return size == 0;
}

absl::Status OpenPart(const FileSet& files, const Names& names, bool old, Part& part,
                      Notes& notes) {
  const bool texts = std::string_view(names.values) == "text.npy";
  SAED_RETURN_IF_ERROR(OpenItems(files, part.folder + names.samples, Kind::kWhole, part.samples));
  SAED_RETURN_IF_ERROR(OpenItems(files, part.folder + names.values,
                                 texts ? Kind::kTexts : Kind::kWhole, part.values));
  if (*names.electrodes != '\0' && files.Has(part.folder + names.electrodes)) {
    SAED_RETURN_IF_ERROR(
        OpenItems(files, part.folder + names.electrodes, Kind::kWhole, part.electrodes));
  }
  if (!old && files.Has(part.folder + "timestamps.npy")) {
    SAED_RETURN_IF_ERROR(
        OpenItems(files, part.folder + "timestamps.npy", Kind::kNumbers, part.times));
  }
  part.size = part.samples->items().rows();
  int64_t most = part.size;
  for (const auto* file : {&part.times, &part.values, &part.electrodes}) {
    if (!*file) continue;
    part.size = std::min(part.size, (*file)->items().rows());
    most = std::max(most, (*file)->items().rows());
  }
  if (most != part.size) {
    notes.Mended(part.folder, fmt::format("its arrays have from {} to {} items; the first {} of "
                                          "each are taken",
                                          part.size, most, part.size));
  }
  part.synchronised = part.times && AnyTime(*part.times, part.size);
  return absl::OkStatus();
}

// The parts of a kind in a recording; those that cannot be read are left out.
template <size_t N>
std::vector<Part> PartsOf(const FileSet& files, const std::string& recording,
                          const nlohmann::json& structure, const char* list,
                          const Names (&kinds)[N], Notes& notes) {
  std::vector<Part> out;
  for (const Names& names : kinds) {
    for (const std::string& name :
         files.Matching(fmt::format("{}{}/**{}", recording, list, names.values))) {
      const std::string folder = FolderOf(name);
      const bool old = &names != &kinds[0];
      if (!name.starts_with(recording) || name != folder + names.values ||
          !files.Has(folder + names.samples) || (old && files.Has(folder + kinds[0].samples))) {
        continue;
      }
      Part part;
      part.folder = folder;
      part.key = folder.substr(recording.size());
      part.info = EntryOf(structure, list, part.key);
      part.rate = NumberOf(part.info, "sample_rate");
      part.stream = StreamOf(part.key, part.info, old);
      const absl::Status opened = OpenPart(files, names, old, part, notes);
      if (opened.ok()) {
        out.push_back(std::move(part));
      } else {
        LeaveOut(folder, opened, notes);
      }
    }
  }
  return out;
}

double NumberAt(std::string_view text) {
  text = Trim(text);
  double out = -1;
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}

}  // namespace

// Lines of sync_messages.txt:
// "Start Time for Acquisition Board (100) - Rhythm Data @ 30000 Hz: 12345", before 0.6
// "Processor: Rhythm FPGA Id: 100 subProcessor: 0 start time: 12345@30000Hz".
Began BeganOf(const OpenEphysSegment& segment, const std::string& stream) {
  const std::string& sync = segment.sync;
  for (size_t at = 0; at < sync.size();) {
    const size_t end = std::min(sync.find('\n', at), sync.size());
    std::string line(Trim(std::string_view(sync).substr(at, end - at)));
    at = end + 1;
    std::replace(line.begin(), line.end(), ' ', '_');
    const size_t where = line.rfind('@'), colon = line.rfind(':');
    if (where == std::string::npos || colon == std::string::npos) continue;
    std::string_view rest = std::string_view(line).substr(colon + 1);
    while (rest.starts_with('_')) rest.remove_prefix(1);
    std::string_view rate = std::string_view(line).substr(where + 1);
    while (rate.starts_with('_')) rate.remove_prefix(1);
    if (line.starts_with("Start_Time_for_")) {
      if (std::string_view(line).substr(0, where).ends_with("-_" + stream + "_")) {
        return {NumberAt(rest), NumberAt(rate)};
      }
    } else if (const size_t id = line.find("Id:_"), sub = line.find("subProcessor:_");
               id != std::string::npos && sub != std::string::npos) {
      const std::string named =
          fmt::format("{}.{}", NumberAt(std::string_view(line).substr(id + 4)),
                      NumberAt(std::string_view(line).substr(sub + 14)));
      if (named == stream) return {NumberAt(rest), NumberAt(rate)};
    }
  }
  return {};
}

absl::StatusOr<Segment> OpenOpenEphys(const FileSet& files, const std::string& folder,
                                      Notes& notes) {
  Segment out;
  out.folder = folder;
  auto structure = ReadPythonJson(files, folder + kOpenEphysStructure);
  if (!structure.ok() || !structure->is_object()) {
    LeaveOut(folder + kOpenEphysStructure,
             structure.ok() ? InvalidField(folder + kOpenEphysStructure, "is no JSON object")
                            : structure.status(),
             notes);
    structure = nlohmann::json::object();
  }
  if (files.Has(folder + "sync_messages.txt")) {
    auto sync = files.Read(folder + "sync_messages.txt", kMaxSyncBytes);
    if (!sync.ok()) LeaveOut(folder + "sync_messages.txt", sync.status(), notes);
    out.sync = std::move(sync).value_or("");
  }
  out.spikes = PartsOf(files, folder, *structure, "spikes", kSpikes, notes);
  out.lines = PartsOf(files, folder, *structure, "events", kLines, notes);
  out.messages = PartsOf(files, folder, *structure, "events", kMessages, notes);
  for (auto* parts : {&out.spikes, &out.lines, &out.messages}) {
    for (Part& part : *parts) {
      if (!(part.rate > 0)) part.rate = BeganOf(out, part.stream).rate;
      if (!IsRate(part.rate)) part.rate = 0;
    }
  }
  return out;
}

std::string ElectrodeName(const Part& part, int64_t electrode) {
  std::string name = TextOf(part.info, "name");
  const auto channels = part.info.find("channels");
  if (name.empty() && part.info.is_object() && channels != part.info.end() &&
      channels->is_array() && electrode > 0 &&
      electrode <= static_cast<int64_t>(channels->size())) {
    name = TextOf((*channels)[static_cast<size_t>(electrode - 1)], "channel_name");
  }
  if (!name.empty()) return ValidUtf8(name);
  const std::string folder = part.key.substr(0, part.key.size() - 1);
  return ValidUtf8(folder.substr(folder.rfind('/') + 1));
}

}  // namespace saed::recordings
