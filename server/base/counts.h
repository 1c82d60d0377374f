// A count matrix as it lies in memory: the one shape that readers, the trainer and inference share.
#pragma once

#include <cstddef>
#include <cstdint>

namespace saed {

enum class DType { kU8, kU16, kF32 };

inline size_t SizeOf(DType type) { return type == DType::kU8 ? 1 : type == DType::kU16 ? 2 : 4; }

// A row-major matrix [bins, units] owned by someone else.
struct CountView {
  const void* data = nullptr;
  DType dtype = DType::kU8;
  int64_t bins = 0;
  int units = 0;
};

}  // namespace saed
