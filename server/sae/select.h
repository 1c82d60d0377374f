// Selection of the sparse code from pre-activations. Only positive values are ever selected; of
// equal values the lower (row, latent) wins, so the choice is a function of z alone.
#pragma once

#include <cstdint>
#include <vector>

namespace saed::sae {

// A sparse code in row order: entries of row b are [row_begin[b], row_begin[b+1]), latents
// ascending.
template <class T>
struct Codes {
  std::vector<int64_t> row_begin;  // [rows + 1]
  std::vector<int32_t> latent;
  std::vector<T> value;

  int64_t rows() const { return static_cast<int64_t>(row_begin.size()) - 1; }
};

// The smallest selected value of a minibatch ("cutoff"); 0 where nothing was positive.
template <class T>
struct Selected {
  T cutoff = T(0);
};

// The k largest positive values among the first `width` of each of `rows` rows (stride `stride`).
// The cutoff is the mean over rows of each row's smallest selected value.
template <class T>
Selected<T> SelectTopK(const T* z, int64_t rows, int64_t stride, int width, int k, Codes<T>& out);

// The rows·k largest positive values among the first `width` of all rows together.
// The cutoff is the smallest selected value.
template <class T>
Selected<T> SelectBatchTopK(const T* z, int64_t rows, int64_t stride, int width, int k,
                            Codes<T>& out);

// Every value with z > 0 and z ≥ threshold among the first `width` of each row.
template <class T>
void SelectThreshold(const T* z, int64_t rows, int64_t stride, int width, T threshold,
                     Codes<T>& out);

// As SelectTopK, but only among the listed latents (ascending).
template <class T>
void SelectTopKAmong(const T* z, int64_t rows, int64_t stride, const std::vector<int32_t>& latents,
                     int k, Codes<T>& out);

}  // namespace saed::sae
