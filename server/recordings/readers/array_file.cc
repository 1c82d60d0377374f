#include "server/recordings/readers/array_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "server/base/faults.h"
#include "server/base/status_macros.h"

namespace saed::recordings {

absl::StatusOr<ArrayFile> ArrayFile::Open(const FileSet& files, const std::string& name) {
  SAED_ASSIGN_OR_RETURN(const std::string path, files.PathOf(name));
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (error) return absl::UnavailableError(fmt::format("cannot open {}", name));
  if (size == 0) return InvalidField(name, "is empty; must be a .npy array");
  SAED_ASSIGN_OR_RETURN(auto file, CountFile::Open(path, 0));
  return Make(name, std::move(file));
}

absl::StatusOr<ArrayFile> ArrayFile::Make(std::string name, std::string bytes) {
  ArrayFile out;
  SAED_ASSIGN_OR_RETURN(out.header_, ParseNpyHeader(name, bytes, out.data_at_));
  out.name_ = std::move(name);
  out.bytes_ = std::make_shared<const std::string>(std::move(bytes));
  return out;
}

absl::StatusOr<ArrayFile> ArrayFile::Make(std::string name, std::shared_ptr<const CountFile> file) {
  ArrayFile out;
  const std::string_view bytes(reinterpret_cast<const char*>(file->data()), file->size());
  SAED_ASSIGN_OR_RETURN(out.header_, ParseNpyHeader(name, bytes, out.data_at_));
  out.name_ = std::move(name);
  out.file_ = std::move(file);
  return out;
}

const char* ArrayFile::data() const {
  return (file_ ? reinterpret_cast<const char*>(file_->data()) : bytes_->data()) + data_at_;
}

void ArrayFile::Transpose() {
  std::reverse(header_.shape.begin(), header_.shape.end());
  header_.fortran_order = !header_.fortran_order;
}

void ArrayFile::ReadDoubles(int64_t first, std::span<double> out) const {
  saed::ReadDoubles(header_, data(), first, out);
}

absl::Status ArrayFile::ReadIntegers(int64_t first, std::span<int64_t> out) const {
  return saed::ReadIntegers(name_, header_, data(), first, out);
}

void ArrayFile::Release() const {
  // Pieces of a matrix in Fortran order lie all over the file: its pages stay while there is room
  // for them, and go back by themselves.
  if (file_ && !header_.fortran_order) file_->Release();
}

std::string ShapeText(const std::vector<int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

absl::Status CheckVector(const ArrayFile& array, int64_t most) {
  const auto& shape = array.shape();
  const bool vector = shape.size() == 1 || (shape.size() == 2 && shape[1] == 1);
  if (vector && array.size() <= most) return absl::OkStatus();
  return InvalidField(array.name(),
                      fmt::format("has the shape {}; must be [n] or [n, 1] with n at most {}",
                                  ShapeText(shape), most));
}

std::vector<double> AllDoubles(const ArrayFile& array) {
  std::vector<double> out(static_cast<size_t>(array.size()));
  array.ReadDoubles(0, out);
  return out;
}

absl::StatusOr<std::vector<int64_t>> AllIntegers(const ArrayFile& array) {
  std::vector<int64_t> out(static_cast<size_t>(array.size()));
  SAED_RETURN_IF_ERROR(array.ReadIntegers(0, out));
  return out;
}

}  // namespace saed::recordings
