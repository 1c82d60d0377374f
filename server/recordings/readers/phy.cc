// Spike arrays: Phy folders and plain .npy pairs.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <optional>

#include "server/base/faults.h"
#include "server/base/npy.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/recordings/readers/csv.h"
#include "server/recordings/readers/registry.h"

namespace saed::recordings {
namespace {

constexpr int64_t kMaxArrayBytes = int64_t{1} << 35;

absl::StatusOr<NpyArray> ReadArray(const FileSet& files, std::string_view name) {
  if (!files.Has(name)) {
    return InvalidField("files", fmt::format("holds no {}; a spike sorting needs spike_times.npy "
                                             "and spike_clusters.npy",
                                             name));
  }
  SAED_ASSIGN_OR_RETURN(std::string bytes, files.Read(name, kMaxArrayBytes));
  return ParseNpy(name, std::move(bytes));
}

// [n] or [n, 1].
absl::Status CheckVector(std::string_view name, const NpyArray& a) {
  const bool vector = a.shape.size() == 1 || (a.shape.size() == 2 && a.shape[1] == 1);
  if (!vector || a.size() > kMaxSpikes) {
    return InvalidField(name, fmt::format("has {} dimensions and {} items; must be [n] or [n, 1] "
                                          "with n at most {}",
                                          a.shape.size(), a.size(), kMaxSpikes));
  }
  return absl::OkStatus();
}

// `sample_rate = 30000.` in params.py, read as text; the file is never run.
std::optional<double> SampleRateOf(std::string_view text) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size() - 1);
    std::string_view line = Trim(text.substr(0, end + 1));
    text.remove_prefix(end + 1);
    if (!line.starts_with("sample_rate")) continue;
    line = Trim(line.substr(std::strlen("sample_rate")));
    if (!line.starts_with('=')) continue;
    return std::strtod(std::string(Trim(line.substr(1))).c_str(), nullptr);
  }
  return std::nullopt;
}

absl::StatusOr<double> SamplingRate(const ImportOptions& options, const FileSet& files) {
  double rate = options.sampling_rate;
  std::string from = "sampling_rate";
  if (rate == 0) {
    if (files.Has("params.py")) {
      SAED_ASSIGN_OR_RETURN(std::string text, files.Read("params.py", kMaxTextBytes));
      rate = SampleRateOf(text).value_or(0);
      from = "params.py";
    }
  }
  if (rate == 0) {
    return InvalidField("sampling_rate",
                        "is not given and there is no params.py with sample_rate; spike_times.npy "
                        "holds sample numbers, so give the rate in Hz, e.g. 30000");
  }
  if (!std::isfinite(rate) || rate <= 0 || rate > 1e9) {
    return InvalidField(from,
                        fmt::format("gives a sampling rate of {} Hz; must be in (0, 1e9]", rate));
  }
  return rate;
}

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

absl::StatusOr<Recording> ReadArrays(const ImportOptions& options, const FileSet& files) {
  SAED_ASSIGN_OR_RETURN(NpyArray times, ReadArray(files, "spike_times.npy"));
  SAED_ASSIGN_OR_RETURN(NpyArray clusters, ReadArray(files, "spike_clusters.npy"));
  SAED_RETURN_IF_ERROR(CheckVector("spike_times.npy", times));
  SAED_RETURN_IF_ERROR(CheckVector("spike_clusters.npy", clusters));
  if (times.size() != clusters.size()) {
    return InvalidField("spike_clusters.npy",
                        fmt::format("has {} items but spike_times.npy has {}; must be as many",
                                    clusters.size(), times.size()));
  }
  SAED_ASSIGN_OR_RETURN(const auto ids, ToIntegers("spike_clusters.npy", clusters));

  Recording out;
  std::vector<double> seconds;
  if (times.integer()) {
    SAED_ASSIGN_OR_RETURN(const double rate, SamplingRate(options, files));
    SAED_ASSIGN_OR_RETURN(const auto samples, ToIntegers("spike_times.npy", times));
    out.sampling_rate = rate;
    seconds.reserve(samples.size());
    for (int64_t s : samples) seconds.push_back(static_cast<double>(s) / rate);
  } else {
    seconds = ToDoubles(times);
  }
  std::map<int64_t, size_t> index;
  for (int64_t id : ids) index.emplace(id, 0);
  if (static_cast<int64_t>(index.size()) > kMaxUnits) {
    return InvalidField("spike_clusters.npy", fmt::format("holds {} clusters; at most {} are "
                                                          "allowed",
                                                          index.size(), kMaxUnits));
  }
  for (auto& [id, at] : index) {
    at = out.units.size();
    out.units.emplace_back().id = id;
  }
  for (size_t i = 0; i < ids.size(); ++i) {
    out.units[index[ids[i]]].spike_times.push_back(seconds[i]);
  }
  SAED_RETURN_IF_ERROR(AddClusterColumns(files, out));
  return out;
}

bool HasArrays(const FileSet& files) {
  return files.Has("spike_times.npy") && files.Has("spike_clusters.npy");
}

Match RecognisePhy(const FileSet& files) {
  if (!HasArrays(files)) return Match::kNo;
  return files.Has("params.py") || !files.Matching("cluster_*").empty() ? Match::kYes : Match::kNo;
}

absl::StatusOr<Recording> ReadPhy(const FileSet& files, const ImportOptions& options, Notes&) {
  SAED_ASSIGN_OR_RETURN(Recording out, ReadArrays(options, files));
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
