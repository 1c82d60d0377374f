// A Zarr v2 directory store (.zgroup, .zattrs, .zarray, chunks; consolidated or not) among the
// files of an import, with hdmf-zarr's links and references. Only files of the set are ever opened:
// no name in the store's metadata becomes a path on this machine.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/recordings/readers/file_set.h"
#include "server/recordings/readers/hierarchy.h"
#include "server/recordings/readers/notes.h"
#include "server/recordings/readers/zarr_array.h"

namespace saed::recordings {

// Chunks that are not there have the array's fill value, and a note says so. Not thread-safe; there
// is no mutex to hold.
class ZarrStore : public Hierarchy {
 public:
  // The store whose root's files are called `prefix` + ".zgroup" and so on: "" or
  // "session.nwb.zarr/". `sent` are the patterns of the files that a client sends: a chunk that is
  // not there and would not have been sent makes its array unreadable instead. `files` and `notes`
  // must outlive the store. A damaged file of metadata is left out with a note; INVALID_ARGUMENT
  // where there is too much of it.
  static absl::StatusOr<ZarrStore> Open(const FileSet& files, std::string prefix,
                                        std::vector<std::string> sent, Notes& notes);

  bool Exists(const std::string& path) const override;
  bool IsGroup(const std::string& path) const override;
  std::vector<std::string> Children(const std::string& group) const override;
  std::string Identity(const std::string& path) const override;
  absl::StatusOr<ArrayInfo> Describe(const std::string& path) const override;
  absl::StatusOr<std::variant<Numbers, Texts>> Read(const std::string& path) const override;
  absl::StatusOr<Numbers> ReadNumbers(const std::string& path) const override;
  absl::StatusOr<std::vector<int64_t>> ReadIntegers(const std::string& path) const override;
  absl::StatusOr<std::vector<uint64_t>> ReadUnsigned(const std::string& path) const override;
  absl::Status ReadRange(const std::string& path, int64_t first,
                         std::span<double> out) const override;
  Texts TextAttribute(const std::string& path, const std::string& name) const override;
  double NumberAttribute(const std::string& path, const std::string& name,
                         double fallback) const override;

 private:
  struct Node {
    bool group = false;
    nlohmann::json zarray;  // null where it is no array
    nlohmann::json attributes;
  };

  ZarrStore(const FileSet& files, std::string prefix, std::vector<std::string> sent, Notes& notes);
  // Takes a piece of metadata by its name within the store: "units/.zattrs".
  void Take(const std::string& name, nlohmann::json value);
  absl::Status ReadMetadata();
  void CollectLinks();

  // Where the path leads once its links are followed; INVALID_ARGUMENT where that is nowhere, or
  // outside the store.
  absl::StatusOr<std::string> Resolve(const std::string& path) const;
  const Node* Find(const std::string& path) const;
  absl::StatusOr<ZarrArray> Array(const std::string& real) const;

  // The rows [first, first + count) of the first dimension, all of the others; the only element of
  // a scalar.
  template <class T, class Decode>
  absl::StatusOr<std::vector<T>> ReadRows(const std::string& real, const ZarrArray& array,
                                          int64_t first, int64_t count, T fill,
                                          const Decode& decode) const;
  // Whether clients leave files of this name out.
  bool NotSent(const std::string& name) const;
  // INVALID_ARGUMENT where most of a large array is not there: a few bytes would become gigabytes.
  absl::Status CheckThere(const std::string& real, const ZarrArray& array) const;
  void SayMissing(const std::string& real, const ZarrArray& array, int64_t missing,
                  const std::string& first) const;

  const FileSet& files_;
  std::string prefix_;
  std::vector<std::string> sent_;
  Notes& notes_;
  std::map<std::string, Node> nodes_;            // by path, "" the root
  std::map<std::string, nlohmann::json> links_;  // by the path of the link
  mutable std::set<std::string> there_;          // arrays whose chunks are there
  mutable std::set<std::string> said_;           // arrays and links of which something was said
};

}  // namespace saed::recordings
