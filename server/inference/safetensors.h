// The safetensors container: an 8-byte little-endian length, JSON {name: {dtype, shape,
// data_offsets}} and the raw little-endian data, contiguous and without overlap.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/models_table.h"

namespace saed::inference {

// Tensors as float32, with free text beside them.
struct Safetensors {
  std::vector<storage::TensorRow> tensors;
  std::map<std::string, std::string> metadata;
  // Tensors of types that no weight has, "step (I64)": checked as the others, but not read.
  std::vector<std::string> unread = {};

  const storage::TensorRow* Find(std::string_view name) const;
};

// Everything before the data of `tensors`, padded to 8 bytes.
std::string SafetensorsHeader(const std::vector<storage::TensorRow>& tensors,
                              const std::map<std::string, std::string>& metadata);
std::string WriteSafetensors(const Safetensors& file);

// Reads F32, F64, F16 and BF16 into float32 and leaves integers, booleans and 8-bit floats unread;
// any other type, and every inconsistency of header, shape and offsets, is INVALID_ARGUMENT on the
// field `name`.
absl::StatusOr<Safetensors> ReadSafetensors(std::string_view name, std::string_view bytes);

}  // namespace saed::inference
