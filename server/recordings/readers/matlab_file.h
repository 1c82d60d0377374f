// Variables of a MATLAB file, whichever of its two containers it is: version 5 to 7.2 (libmatio) or
// 7.3, which is HDF5.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/recordings/recording.h"

namespace saed::recordings {

struct MatValue {
  enum class Kind { kNumbers, kText, kCell, kStruct, kOther };
  Kind kind = Kind::kOther;
  std::string type;            // MATLAB's class: "double", "logical", "cell"
  std::vector<int64_t> shape;  // as MATLAB shows it
  // What it holds, by kind; column-major, as MATLAB keeps it. Empty where it was only described.
  Numbers numbers;
  // The same where they are of a class of 64 bits, of which a double has not all; empty where one
  // is beyond an int64.
  std::vector<int64_t> exact = {};
  Texts rows;  // of a char array
  std::vector<MatValue> cells;
  Texts fields;  // names of a struct's, described or not

  int64_t size() const {
    int64_t n = 1;
    for (int64_t s : shape) n *= s;
    return n;
  }
  bool vector() const;   // [n], [n, 1] or [1, n], or empty
  bool integer() const;  // of an integer class
  bool wide() const { return type == "int64" || type == "uint64"; }
  std::string Text() const;  // "double 3x5"
};

// Fields of structs are named with dots: "spikes.times"; of an array of structs, and of a cell of
// them, this is a cell with the field of each. Errors are INVALID_ARGUMENT on the path. Not
// thread-safe.
class MatFile {
 public:
  virtual ~MatFile() = default;
  virtual const Texts& variables() const = 0;
  // Class, shape and fields; the cells of a cell, described.
  virtual absl::StatusOr<MatValue> Describe(const std::string& path) = 0;
  virtual absl::StatusOr<MatValue> Read(const std::string& path) = 0;
};

// Most of one file: elements and cells that are read, all calls together, cells of one array, and
// how deep cells lie in cells.
inline constexpr int64_t kMaxMatElements = int64_t{1} << 30;
inline constexpr int64_t kMaxMatCells = 1'000'000;
inline constexpr int kMaxMatDepth = 4;
inline constexpr size_t kMaxMatVariables = 100'000;

// `name` is the file's in messages. INVALID_ARGUMENT on it where it is no such file. The caller
// holds Hdf5Mutex().
absl::StatusOr<std::unique_ptr<MatFile>> OpenMatFile(const std::string& name,
                                                     const std::string& path);
absl::StatusOr<std::unique_ptr<MatFile>> OpenMat5(const std::string& name, const std::string& path,
                                                  int64_t bytes);
absl::StatusOr<std::unique_ptr<MatFile>> OpenMat73(const std::string& name,
                                                   const std::string& path);

// The parts of a dotted path.
std::vector<std::string> MatPathParts(const std::string& path);
// UTF-16 code units as UTF-8, those of each of `rows` rows in column-major order.
Texts MatRows(const std::vector<int64_t>& units, int64_t rows);

}  // namespace saed::recordings
