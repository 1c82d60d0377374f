// A thin owner around the HDF5 C interface: handles close themselves, errors are statuses that name
// the path in the file. The caller holds Hdf5Mutex(), because the library is not thread-safe.
#pragma once

#include <hdf5.h>

#include <mutex>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "server/recordings/readers/hierarchy.h"

namespace saed::recordings {

std::mutex& Hdf5Mutex();

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

class Hdf5File : public Hierarchy {
 public:
  // INVALID_ARGUMENT on `name`, the file's name in messages, where it is not HDF5.
  static absl::StatusOr<Hdf5File> Open(const std::string& name, const std::string& path);

  bool Exists(const std::string& path) const override;
  bool IsGroup(const std::string& path) const override;
  std::vector<std::string> Children(const std::string& group) const override;
  absl::StatusOr<ArrayInfo> Describe(const std::string& path) const override;
  absl::StatusOr<std::variant<Numbers, Texts>> Read(const std::string& path) const override;
  absl::StatusOr<Numbers> ReadNumbers(const std::string& path) const override;
  absl::StatusOr<std::vector<int64_t>> ReadIntegers(const std::string& path) const override;
  absl::StatusOr<Numbers> ReadRange(const std::string& path, int64_t first,
                                    int64_t count) const override;
  Texts TextAttribute(const std::string& path, const std::string& name) const override;
  double NumberAttribute(const std::string& path, const std::string& name,
                         double fallback) const override;

 private:
  explicit Hdf5File(hid_t id) : file_(id, H5Fclose) {}
  absl::StatusOr<Handle> OpenDataset(const std::string& path) const;

  Handle file_;
};

}  // namespace saed::recordings
