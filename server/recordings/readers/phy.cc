// Folders that Kilosort writes and Phy curates.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/recordings/readers/cluster_depths.h"
#include "server/recordings/readers/cluster_tables.h"
#include "server/recordings/readers/phy_spikes.h"
#include "server/recordings/readers/registry.h"

namespace saed::recordings {
namespace {

// Folders with the spikes of a sorting, "" or "name/", ascending.
std::vector<std::string> Sortings(const FileSet& files) {
  std::vector<std::string> out;
  for (const std::string& name : files.WithBase("spike_times.npy")) {
    const std::string folder = name.substr(0, name.rfind('/') + 1);
    if (files.Has(ClusterFile(files, folder))) out.push_back(folder);
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::string Shown(const std::string& folder) { return folder.empty() ? "." : ValidUtf8(folder); }

Match Recognise(const FileSet& files) {
  for (const std::string& folder : Sortings(files)) {
    for (const char* mark : {"params.py", "spike_templates.npy", "templates.npy"}) {
      if (files.Has(folder + mark)) return Match::kYes;
    }
    if (!files.Matching(folder + "cluster_*").empty()) return Match::kYes;
  }
  return Match::kNo;
}

// Without a word, the folder that was named where it is a sorting itself.
absl::StatusOr<std::string> ChooseFolder(const FileSet& files, std::string wanted, Notes& notes) {
  const auto folders = Sortings(files);
  if (folders.empty()) {
    return InvalidField("files",
                        "holds no spike_times.npy with a spike_clusters.npy or spike_templates.npy "
                        "beside it; a sorting of Kilosort or Phy must have them");
  }
  std::string names;
  for (const std::string& folder : folders) {
    names += (names.empty() ? "" : ", ") + Shown(folder);
  }
  if (!wanted.empty()) {
    if (wanted == ".") wanted = "";
    if (!wanted.empty() && wanted.back() != '/') wanted += '/';
    if (std::find(folders.begin(), folders.end(), wanted) != folders.end()) return wanted;
    return InvalidField("options.folder",
                        fmt::format("is '{}'; must be one of {}", ValidUtf8(wanted), names));
  }
  if (folders.size() == 1) return folders[0];
  if (folders[0].empty()) {
    notes.Mended(Shown(folders[1]),
                 fmt::format("left out, as the folder above it is a sorting itself; there are {} "
                             "sortings, and the option folder chooses one of {}",
                             folders.size(), names));
    return folders[0];
  }
  return InvalidField("options.folder", fmt::format("is not given, and there are several sortings, "
                                                    "each with a clock of its own; must be one of "
                                                    "{}",
                                                    names));
}

absl::StatusOr<Recording> Read(const FileSet& files, const ImportOptions& options, Notes& notes) {
  SAED_ASSIGN_OR_RETURN(const std::string folder,
                        ChooseFolder(files, options.Get("folder"), notes));
  SAED_ASSIGN_OR_RETURN(Recording out, ReadPhySpikes(files, folder, options, notes));
  out.source = "phy";
  AddClusterTables(files, folder, out, notes);
  AddClusterDepths(files, folder, out, notes);
  return out;
}

// Each here and in folders below.
std::vector<std::string> Files() {
  std::vector<std::string> out;
  for (const char* file :
       {"spike_times.npy", "spike_clusters.npy", "spike_templates.npy", "params.py",
        "cluster_*.tsv", "cluster_*.csv", "templates.npy", "templates_ind.npy", "template_ind.npy",
        "channel_map.npy", "channel_positions.npy", "spike_positions.npy"}) {
    out.emplace_back(file);
    out.push_back(std::string("**/") + file);
  }
  return out;
}

}  // namespace

const Reader& formats::phy() {
  static const Reader reader = {
      "phy",
      "Kilosort 1 to 4 and Phy",
      "a folder with spike_times.npy and spike_clusters.npy or spike_templates.npy, and params.py "
      "or a sampling rate",
      Files(),
      {{"folder", "which folder, where there are several sortings; without it the only one",
        "probe_a/sorter_output"},
       {"time_unit",
        "what spike_times.npy counts, samples or seconds; without it whole numbers are samples",
        "samples"}},
      Recognise,
      Read,
      true};  // units_by_spikes
  return reader;
}

}  // namespace saed::recordings
