// A sparse matrix, row after row.
#pragma once

#include <cstdint>
#include <vector>

namespace saed::features {

struct SparseRows {
  std::vector<int64_t> begin = {0};  // [rows + 1]
  std::vector<int32_t> column;
  std::vector<float> value;
  int32_t columns = 0;

  int64_t rows() const { return static_cast<int64_t>(begin.size()) - 1; }
  void Add(int32_t at, float v) {
    column.push_back(at);
    value.push_back(v);
  }
  void EndRow() { begin.push_back(static_cast<int64_t>(column.size())); }
};

}  // namespace saed::features
