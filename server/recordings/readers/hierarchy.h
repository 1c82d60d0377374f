// Named arrays in nested groups, with attributes: what HDF5 files and Zarr directories have in
// common. Readers of formats built on either read through this.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "server/recordings/recording.h"

namespace saed::recordings {

// Most elements of one array that are read into memory at once.
inline constexpr int64_t kMaxDatasetElements = int64_t{1} << 30;

struct ArrayInfo {
  enum class Kind { kInteger, kUnsigned, kFloat, kBoolean, kText, kReference, kOther };
  Kind kind = Kind::kOther;
  std::string type;            // in words, for messages: "int32", "compound"
  std::vector<int64_t> shape;  // empty for a scalar

  int64_t size() const {
    int64_t n = 1;
    for (int64_t s : shape) n *= s;
    return n;
  }
};

// Paths have no leading slash: "units/spike_times"; "" is the root. Errors are INVALID_ARGUMENT on
// the path. Whatever leads to another file (external links and storage, virtual data sets) is
// refused by name and is never followed. Not thread-safe, two of them neither: hold the mutex that
// the implementation names.
class Hierarchy {
 public:
  virtual ~Hierarchy() = default;

  virtual bool Exists(const std::string& path) const = 0;
  virtual bool IsGroup(const std::string& path) const = 0;
  // Names of what is in a group, ascending; empty for what is no group.
  virtual std::vector<std::string> Children(const std::string& group) const = 0;
  // The same text for all paths that lead to one object.
  virtual std::string Identity(const std::string& path) const = 0;
  virtual absl::StatusOr<ArrayInfo> Describe(const std::string& path) const = 0;

  // All elements in C order: numbers (booleans as 0 and 1), texts, or for object references the
  // texts `path of the object`.
  virtual absl::StatusOr<std::variant<Numbers, Texts>> Read(const std::string& path) const = 0;
  virtual absl::StatusOr<Numbers> ReadNumbers(const std::string& path) const = 0;
  // Integers without a detour over double; INVALID_ARGUMENT for floats that are not whole
  // and for what 64 bits with a sign do not hold.
  virtual absl::StatusOr<std::vector<int64_t>> ReadIntegers(const std::string& path) const = 0;
  // The same of integers from 0 to 2^64 - 1.
  virtual absl::StatusOr<std::vector<uint64_t>> ReadUnsigned(const std::string& path) const = 0;
  // The elements of a one-dimensional numeric array from `first` on, as many as `out` has.
  virtual absl::Status ReadRange(const std::string& path, int64_t first,
                                 std::span<double> out) const = 0;

  // Attribute as texts (references as paths) or number; empty/fallback where missing or of another
  // kind.
  virtual Texts TextAttribute(const std::string& path, const std::string& name) const = 0;
  virtual double NumberAttribute(const std::string& path, const std::string& name,
                                 double fallback) const = 0;
};

}  // namespace saed::recordings
