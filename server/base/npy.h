// NumPy's .npy files, format 1.0 to 3.0: integer, unsigned, boolean and float arrays of either byte
// order, C or Fortran order; texts apart. Object arrays (pickles) are never read.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace saed {

struct NpyArray {
  char kind = 'f';    // 'i', 'u', 'b' or 'f'
  int item_size = 8;  // bytes
  bool big_endian = false;
  bool fortran_order = false;
  std::vector<int64_t> shape;
  std::string data;

  int64_t size() const;
  bool integer() const { return kind == 'i' || kind == 'u'; }
};

// `name` names the file in errors, which are INVALID_ARGUMENT on that field.
absl::StatusOr<NpyArray> ParseNpy(std::string_view name, std::string bytes);
// The same without a copy of the data, which begin at `data_at` of the file.
absl::StatusOr<NpyArray> ParseNpyHeader(std::string_view name, std::string_view file,
                                        size_t& data_at);
// The same from the first bytes of a file of `file_size`, which must hold its whole header.
absl::StatusOr<NpyArray> ParseNpyHeader(std::string_view name, std::string_view head,
                                        size_t file_size, size_t& data_at);

// Elements in C order. Integers above 2^53 lose precision in ToDoubles; ToIntegers refuses floats
// and unsigned values above the int64 range.
std::vector<double> ToDoubles(const NpyArray& array);
// Fills `out` with the elements from `first` on, for an array whose data lie elsewhere, at `data`.
void ReadDoubles(const NpyArray& array, const char* data, int64_t first, std::span<double> out);
absl::StatusOr<std::vector<int64_t>> ToIntegers(std::string_view name, const NpyArray& array);
// As ReadDoubles; errors as ToIntegers, but floats that are whole are taken.
absl::Status ReadIntegers(std::string_view name, const NpyArray& array, const char* data,
                          int64_t first, std::span<int64_t> out);

// The items of a file of texts (dtype 'U' or 'S'), as valid UTF-8 in C order.
absl::StatusOr<std::vector<std::string>> ParseNpyTexts(std::string_view name,
                                                       std::string_view file);

// What a C-order .npy begins with; its numbers follow. `descr` is NumPy's: "<f8".
std::string NpyHeader(std::string_view descr, const std::vector<int64_t>& shape);
// A C-order, little-endian .npy of float64 values, for tests and exports.
std::string MakeNpy(const std::vector<double>& values, const std::vector<int64_t>& shape);

}  // namespace saed
