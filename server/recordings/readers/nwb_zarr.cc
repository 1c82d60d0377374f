// NWB in Zarr directory stores, as hdmf-zarr writes them.
#include <fmt/format.h>

#include <algorithm>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/recordings/readers/nwb.h"
#include "server/recordings/readers/registry.h"
#include "server/recordings/readers/zarr.h"

namespace saed::recordings {
namespace {

// All metadata, and the chunks of what NWB keeps behaviour and sorted units in. Raw data lie in
// acquisition: of its arrays only those of a single chunk and the times are sent.
const std::vector<std::string>& SentFiles() {
  static const std::vector<std::string> patterns = {
      "**.zgroup",
      "**.zattrs",
      "**.zarray",
      "**.zmetadata",
      "**zarr.json",
      "**units/**",
      "**intervals/**",
      "**processing/**",
      "**general/**",
      "**stimulus/**",
      "**analysis/**",
      "**scratch/**",
      "**acquisition/**/timestamps/**",
      "**acquisition/**/timestamp/**",
      "**acquisition/**/starting_time/**",
      "**acquisition/**/duration/**",
      "**acquisition/**/data/0",
      "**acquisition/**/data/0.0",
      "**acquisition/**/data/0.0.0",
      "**acquisition/**/labels/**",
      "**timestamps_reference_time/**",
      "**session_start_time/**",
  };
  return patterns;
}

// The prefixes of the stores among the files: folders with metadata that lie in no other such.
std::vector<std::string> Stores(const FileSet& files) {
  std::vector<std::string> folders;
  for (const char* base : {".zgroup", ".zmetadata"}) {
    for (const std::string& name : files.WithBase(base)) folders.push_back(FolderOf(name));
  }
  std::sort(folders.begin(), folders.end());
  std::vector<std::string> out;
  for (const std::string& folder : folders) {
    if (out.empty() || !folder.starts_with(out.back())) out.push_back(folder);
  }
  return out;
}

// Whether the store says in its head that it is NWB, or has units where NWB has them.
bool IsNwb(const FileSet& files, const std::string& prefix) {
  for (const char* name : {".zattrs", ".zmetadata"}) {
    const FileSketch& sketch = files.Sketch(prefix + name);
    for (const std::string& part : {sketch.head, sketch.tail}) {
      if (part.find("\"nwb_version\"") != std::string::npos) return true;
    }
  }
  return files.Has(prefix + "units/.zgroup");
}

std::vector<std::string> NwbStores(const FileSet& files) {
  std::vector<std::string> out;
  for (const std::string& prefix : Stores(files)) {
    if (IsNwb(files, prefix)) out.push_back(prefix);
  }
  return out;
}

Match Recognise(const FileSet& files) {
  const auto stores = NwbStores(files);
  if (!stores.empty()) return Match::kYes;
  // Zarr v3 is named and refused when it is read.
  for (const std::string& name : files.WithBase("zarr.json")) {
    if (files.Sketch(name).head.find("\"nwb_version\"") != std::string::npos) return Match::kMaybe;
  }
  return Match::kNo;
}

std::string Name(const std::string& prefix) {
  return prefix.empty() ? "." : ValidUtf8(prefix.substr(0, prefix.size() - 1));
}

// The store that is meant; its prefix.
absl::StatusOr<std::string> ChooseStore(const FileSet& files, std::string wanted) {
  auto stores = NwbStores(files);
  if (stores.empty()) stores = Stores(files);
  if (stores.empty() && !files.WithBase("zarr.json").empty()) {
    return InvalidField("files", fmt::format("holds {}, so it is Zarr v3; v2 is read",
                                             ValidUtf8(files.WithBase("zarr.json")[0])));
  }
  if (stores.empty()) {
    return InvalidField("files", "holds no .zgroup and no .zmetadata; must hold a Zarr v2 store");
  }
  if (wanted.empty() && stores.size() == 1) return stores[0];
  std::string names;
  for (const std::string& prefix : stores) names += (names.empty() ? "" : ", ") + Name(prefix);
  if (wanted.empty()) {
    return InvalidField("options.store", fmt::format("is not given and there are {} stores; must "
                                                     "be one of {}",
                                                     stores.size(), names));
  }
  if (!wanted.ends_with('/')) wanted += '/';
  if (wanted == "./") wanted.clear();
  if (std::find(stores.begin(), stores.end(), wanted) != stores.end()) return wanted;
  return InvalidField("options.store",
                      fmt::format("is '{}'; must be one of {}", ValidUtf8(wanted), names));
}

absl::StatusOr<Recording> ReadZarr(const FileSet& files, const ImportOptions& options,
                                   Notes& notes) {
  SAED_ASSIGN_OR_RETURN(const std::string prefix, ChooseStore(files, options.Get("store")));
  SAED_ASSIGN_OR_RETURN(const ZarrStore store, ZarrStore::Open(files, prefix, SentFiles(), notes));
  SAED_ASSIGN_OR_RETURN(Recording out, ReadNwbFrom(store, options, notes));
  out.source = "nwb_zarr";
  return out;
}

std::vector<OptionInfo> Options() {
  std::vector<OptionInfo> out = NwbOptions();
  out.push_back({"store",
                 "which store is read where there are several; without it there must be one",
                 "session.nwb.zarr"});
  return out;
}

}  // namespace

const Reader& formats::nwb_zarr() {
  static const Reader reader = {
      "nwb_zarr",  "NWB 2.x in Zarr", "a folder that is a Zarr v2 store with a Units table",
      SentFiles(), Options(),         Recognise,
      ReadZarr};
  return reader;
}

}  // namespace saed::recordings
