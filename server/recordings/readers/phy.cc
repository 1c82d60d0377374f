// Folders that Kilosort writes and Phy curates.
#include <fmt/format.h>

#include <map>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/recordings/readers/csv.h"
#include "server/recordings/readers/registry.h"
#include "server/recordings/readers/spike_arrays.h"

namespace saed::recordings {
namespace {

// Column `column` of a cluster table, by cluster id.
absl::StatusOr<std::map<int64_t, std::string>> ClusterColumn(const FileSet& files,
                                                             std::string_view file,
                                                             std::string_view column) {
  std::map<int64_t, std::string> out;
  if (!files.Has(file)) return out;
  SAED_ASSIGN_OR_RETURN(std::string bytes, files.Read(file, kMaxTextBytes));
  SAED_ASSIGN_OR_RETURN(Table table, ParseSeparated(file, bytes, '\t'));
  const Column* id = table.Find("cluster_id");
  const Column* value = table.Find(column);
  if (value == nullptr) return out;
  if (id == nullptr) return InvalidField(file, "has no column cluster_id");
  const auto& ids = std::get<Texts>(id->values);
  for (size_t i = 0; i < ids.size(); ++i) {
    char* end = nullptr;
    const int64_t number = std::strtoll(ids[i].c_str(), &end, 10);
    if (ids[i].empty() || *end != '\0') {
      return InvalidField(file, fmt::format("has the cluster_id '{}'; must be an integer", ids[i]));
    }
    out[number] = std::get<Texts>(value->values)[i];
  }
  return out;
}

// Quality labels: what a person curated wins over what the sorter proposed.
absl::StatusOr<std::map<int64_t, std::string>> Labels(const FileSet& files) {
  const std::pair<std::string_view, std::string_view> sources[] = {
      {"cluster_group.tsv", "group"},
      {"cluster_group.tsv", "KSLabel"},
      {"cluster_info.tsv", "group"},
      {"cluster_KSLabel.tsv", "KSLabel"}};
  for (const auto& [file, column] : sources) {
    SAED_ASSIGN_OR_RETURN(auto labels, ClusterColumn(files, file, column));
    if (!labels.empty()) return labels;
  }
  return std::map<int64_t, std::string>{};
}

absl::Status AddClusterColumns(const FileSet& files, Recording& recording) {
  SAED_ASSIGN_OR_RETURN(const auto labels, Labels(files));
  SAED_ASSIGN_OR_RETURN(const auto depths, ClusterColumn(files, "cluster_info.tsv", "depth"));
  SAED_ASSIGN_OR_RETURN(const auto regions, ClusterColumn(files, "cluster_info.tsv", "region"));
  for (Unit& unit : recording.units) {
    if (const auto it = labels.find(unit.id); it != labels.end()) unit.label = it->second;
    if (const auto it = regions.find(unit.id); it != regions.end()) unit.region = it->second;
    if (const auto it = depths.find(unit.id); it != depths.end() && !it->second.empty()) {
      unit.depth = std::strtod(it->second.c_str(), nullptr);
    }
  }
  return absl::OkStatus();
}

Match RecognisePhy(const FileSet& files) {
  if (!HasSpikeArrays(files)) return Match::kNo;
  return files.Has("params.py") || !files.Matching("cluster_*").empty() ? Match::kYes : Match::kNo;
}

absl::StatusOr<Recording> ReadPhy(const FileSet& files, const ImportOptions& options, Notes&) {
  SAED_ASSIGN_OR_RETURN(Recording out, ReadSpikeArrays(options, files));
  SAED_RETURN_IF_ERROR(AddClusterColumns(files, out));
  out.source = "phy";
  return out;
}

}  // namespace

const Reader& formats::phy() {
  static const Reader reader = {"phy",
                                "Kilosort and Phy folders",
                                "a folder with spike_times.npy and spike_clusters.npy",
                                {"spike_times.npy", "spike_clusters.npy", "params.py", "cluster_*"},
                                {},
                                RecognisePhy,
                                ReadPhy};
  return reader;
}

}  // namespace saed::recordings
