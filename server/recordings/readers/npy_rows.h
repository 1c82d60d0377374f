// Arrays of one number or a few numbers for each of many things, as .npy files that may be large.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/base/npy.h"
#include "server/recordings/count_file.h"
#include "server/recordings/readers/file_set.h"

namespace saed::recordings {

// A mapped .npy file. Copies share it.
class NpyRows {
 public:
  // Errors are INVALID_ARGUMENT on the file's name.
  static absl::StatusOr<NpyRows> Open(const FileSet& files, const std::string& name);
  // The same for one number each: [n], [n, 1] or [1, n].
  static absl::StatusOr<NpyRows> OpenVector(const FileSet& files, const std::string& name);

  const std::string& name() const { return name_; }
  const std::vector<int64_t>& shape() const { return header_.shape; }
  int64_t size() const { return header_.size(); }
  bool integer() const { return header_.integer(); }
  // Elements in C order from `first` on; integers above 2^53 are rounded.
  void Read(int64_t first, std::span<double> out) const;
  // Calls use(first, values) for piece after piece, with bounded memory.
  template <class Use>
  void ForEachPiece(const Use& use) const {
    std::vector<double> piece(static_cast<size_t>(std::min(size(), kPiece)));
    for (int64_t at = 0; at < size(); at += kPiece) {
      const std::span<double> values(piece.data(), std::min(kPiece, size() - at));
      Read(at, values);
      use(at, std::span<const double>(values));
      if (!header_.fortran_order) file_->Release();
    }
  }
  // Lets go of what is resident of the file.
  void Release() const { file_->Release(); }

 private:
  static constexpr int64_t kPiece = int64_t{1} << 16;  // stays in the cache

  std::string name_;
  NpyArray header_;
  std::shared_ptr<const CountFile> file_;
  size_t data_at_ = 0;
};

// "(3, 4)", as NumPy writes it.
std::string NpyShape(const std::vector<int64_t>& shape);

}  // namespace saed::recordings
