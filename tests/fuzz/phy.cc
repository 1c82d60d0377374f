// Phy folders: their files in the order of kNames, with lines of "----" between.
#include "server/recordings/import.h"
#include "tests/fuzz/target.h"
#include "tests/tools/temp_dir.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace saed;
  static const test_tools::TempDir dir;
  static const char* const kNames[] = {
      "params.py",          "cluster_group.tsv",   "spike_times.npy",
      "spike_clusters.npy", "cluster_info.tsv",    "spike_templates.npy",
      "templates.npy",      "templates_ind.npy",   "channel_positions.npy",
      "channel_map.npy",    "spike_positions.npy", "cluster_groups.csv"};
  std::vector<recordings::ImportFile> files;
  for (const std::string& part : fuzz::Parts(fuzz::Text(data, size))) {
    if (files.size() == std::size(kNames)) break;
    const char* name = kNames[files.size()];
    files.push_back({recordings::Role::kMain, name, dir.Write(name, part)});
  }
  (void)recordings::Import({"phy", 0, 0}, files);
  return 0;
}
