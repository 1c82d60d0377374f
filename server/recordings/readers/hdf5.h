// HDF5 files as a Hierarchy, through a thin owner around the C interface: handles close themselves,
// errors are statuses that name the path in the file. No other file is ever opened (hdf5_links.h).
// The caller holds Hdf5Mutex(), because the library is not thread-safe.
#pragma once

#include <hdf5.h>

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "server/recordings/readers/hierarchy.h"
#include "server/recordings/readers/notes.h"

namespace saed::recordings {

std::mutex& Hdf5Mutex();

// Loads the filters that are installed as plug-ins, so that a process that may open no further
// files can use them. Takes Hdf5Mutex().
void PreloadHdf5Filters();

class Handle {
 public:
  Handle(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
  ~Handle() {
    if (id_ >= 0) close_(id_);
  }
  Handle(Handle&& o) noexcept : id_(o.id_), close_(o.close_) { o.id_ = -1; }
  Handle& operator=(Handle&&) = delete;
  hid_t get() const { return id_; }
  bool ok() const { return id_ >= 0; }

 private:
  hid_t id_;
  herr_t (*close_)(hid_t);
};

// Exists() is true of a link that leads to another file, so that whoever reads it is told why not.
// An enumeration of FALSE and TRUE (h5py's booleans) reads as 0 and 1, any other as the texts of
// its members' names, a value without a name as its number.
class Hdf5File : public Hierarchy {
 public:
  // INVALID_ARGUMENT on `name`, the file's name in messages, where it is not HDF5, with what it is
  // instead.
  static absl::StatusOr<Hdf5File> Open(const std::string& name, const std::string& path);

  bool Exists(const std::string& path) const override;
  bool IsGroup(const std::string& path) const override;
  std::vector<std::string> Children(const std::string& group) const override;
  std::string Identity(const std::string& path) const override;
  absl::StatusOr<ArrayInfo> Describe(const std::string& path) const override;
  absl::StatusOr<std::variant<Numbers, Texts>> Read(const std::string& path) const override;
  absl::StatusOr<Numbers> ReadNumbers(const std::string& path) const override;
  absl::StatusOr<std::vector<int64_t>> ReadIntegers(const std::string& path) const override;
  absl::StatusOr<std::vector<uint64_t>> ReadUnsigned(const std::string& path) const override;
  // Keeps the data set open, so that the pieces of one are unpacked once when read in order.
  absl::Status ReadRange(const std::string& path, int64_t first,
                         std::span<double> out) const override;
  Texts TextAttribute(const std::string& path, const std::string& name) const override;
  double NumberAttribute(const std::string& path, const std::string& name,
                         double fallback) const override;

  // Notes the texts that were read so far and are not UTF-8, of which the rest was replaced.
  void NoteTexts(Notes& notes) const;

 private:
  explicit Hdf5File(hid_t id) : file_(id, H5Fclose) {}
  // A data set whose values are inside the file, not yet known to be readable.
  absl::StatusOr<Handle> OpenDataset(const std::string& path) const;
  // One that can be read, and the number of its elements.
  absl::StatusOr<std::pair<Handle, int64_t>> OpenReadable(const std::string& path) const;
  std::string PathOf(hobj_ref_t reference) const;
  // The attribute, where it and what it belongs to are there.
  std::optional<Handle> OpenAttribute(const std::string& path, const std::string& name) const;

  void MendTexts(const std::string& part, Texts& texts) const;

  Handle file_;
  mutable std::map<std::string, int64_t> mended_;  // texts that are not UTF-8, by the part
  mutable std::optional<std::map<haddr_t, std::string>> paths_;   // made when first asked
  mutable std::optional<std::pair<std::string, Handle>> ranged_;  // what ReadRange() has open
};

}  // namespace saed::recordings
