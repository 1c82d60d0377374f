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
#include "server/recordings/recording.h"

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

// Most elements of one data set that saed reads into memory.
inline constexpr int64_t kMaxDatasetElements = int64_t{1} << 30;

class Hdf5File {
 public:
  static absl::StatusOr<Hdf5File> Open(const std::string& path);

  bool Exists(const std::string& path) const;
  bool IsGroup(const std::string& path) const;
  std::vector<std::string> Children(const std::string& group) const;
  // Sizes per dimension; empty for a scalar.
  absl::StatusOr<std::vector<int64_t>> Shape(const std::string& path) const;

  // Numbers (booleans as 0 and 1), texts, or for object references the texts `path of the object`.
  absl::StatusOr<std::variant<Numbers, Texts>> Read(const std::string& path) const;
  absl::StatusOr<Numbers> ReadNumbers(const std::string& path) const;
  // Integers without a detour over double; INVALID_ARGUMENT for floats.
  absl::StatusOr<std::vector<int64_t>> ReadIntegers(const std::string& path) const;

  // Attribute as texts or number; empty/fallback where missing or of another kind.
  Texts TextAttribute(const std::string& path, const std::string& name) const;
  double NumberAttribute(const std::string& path, const std::string& name, double fallback) const;

 private:
  explicit Hdf5File(hid_t id) : file_(id, H5Fclose) {}
  absl::StatusOr<Handle> OpenDataset(const std::string& path) const;

  Handle file_;
};

}  // namespace saed::recordings
