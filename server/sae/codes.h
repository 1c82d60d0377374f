// Sparse codes of windows.
#pragma once

#include <cstdint>
#include <vector>

namespace saed::sae {

// In row order: entries of row b are [row_begin[b], row_begin[b+1]), latents ascending.
template <class T>
struct Codes {
  std::vector<int64_t> row_begin;  // [rows + 1]
  std::vector<int32_t> latent;
  std::vector<T> value;

  int64_t rows() const { return static_cast<int64_t>(row_begin.size()) - 1; }
};

}  // namespace saed::sae
