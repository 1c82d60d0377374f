// Arrays of numbers that are read a piece at a time, wherever they lie: a .npy file, or a member of
// a .npz.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/base/npy.h"
#include "server/recordings/count_file.h"
#include "server/recordings/readers/file_set.h"

namespace saed::recordings {

// Copies share the data. Reading is thread-safe.
class ArrayFile {
 public:
  // A .npy file of the set, mapped. Errors are INVALID_ARGUMENT on the file's name.
  static absl::StatusOr<ArrayFile> Open(const FileSet& files, const std::string& name);
  // The whole .npy lies in `bytes`, or in `file`.
  static absl::StatusOr<ArrayFile> Make(std::string name, std::string bytes);
  static absl::StatusOr<ArrayFile> Make(std::string name, std::shared_ptr<const CountFile> file);

  const std::string& name() const { return name_; }   // as the user knows it
  const NpyArray& header() const { return header_; }  // without data
  const std::vector<int64_t>& shape() const { return header_.shape; }
  int64_t size() const { return header_.size(); }
  // Where its data begin in a mapped file; 0 where it is in memory.
  size_t mapped_at() const { return file_ ? data_at_ : 0; }

  // [n, m] as the array [m, n] that it is when read the other way round.
  void Transpose();

  // Elements in C order from `first` on. INVALID_ARGUMENT where they are no whole numbers.
  void ReadDoubles(int64_t first, std::span<double> out) const;
  absl::Status ReadIntegers(int64_t first, std::span<int64_t> out) const;
  // Lets go of what is resident of a mapped file.
  void Release() const;

 private:
  const char* data() const;

  std::string name_;
  NpyArray header_;
  std::shared_ptr<const std::string> bytes_;
  std::shared_ptr<const CountFile> file_;
  size_t data_at_ = 0;
};

// "[3, 4]"; "[]" for a single number.
std::string ShapeText(const std::vector<int64_t>& shape);

// INVALID_ARGUMENT where an array is not [n] or [n, 1] with at most `most` items.
absl::Status CheckVector(const ArrayFile& array, int64_t most);

// All elements; for what is small or was checked to be.
std::vector<double> AllDoubles(const ArrayFile& array);
absl::StatusOr<std::vector<int64_t>> AllIntegers(const ArrayFile& array);

// Elements that are worked on at once.
inline constexpr int64_t kPiece = int64_t{1} << 20;

}  // namespace saed::recordings
