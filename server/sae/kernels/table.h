// The hot loops of a training step, as a table of plain functions: one table per instruction set,
// chosen once at start-up by what the processor has (see dispatch.h). Nothing outside this folder
// knows which one runs.
//
// Every kernel is a function of its arguments' values alone: sums run over 16 lanes (element i goes
// to lane i mod 16, each lane in ascending order with fused multiply-adds), then over the lanes in
// a fixed tree. All float tables give the same bits; reference.h states the meaning in plain loops.
#pragma once

#include <cstdint>

#include "server/sae/kinds.h"

namespace saed::sae {

inline constexpr int kLanes = 16;
inline constexpr int kPanel = 32;  // latents that an encode kernel handles together
// Weights of counts lie in blocks of inputs that about fit the first cache, [blocks][inputs +
// 1][32]: the same number of inputs in each, at most this, then a row of zeros, to which padding
// entries point.
inline constexpr int kInputBlock = 252;
inline constexpr int kRepeated = 3;  // counts up to this are added that often, larger multiplied
inline constexpr int32_t kLargestWeight = (1 << 23) - 1;  // -2²³ is the smallest
inline constexpr int kDenseInputs = 1 << 16;              // of the dense encode, at most
inline constexpr int kDenseBlock = 64;                    // inputs that it takes together
inline constexpr int kCountRows = 128;  // windows that an encode kernel handles together, at most

// The non-zero counts of a few windows, by window and block of inputs. Of window r and block i,
// `spans[r·blocks + i]` says which entries are to be added once (as often as they are there; a
// multiple of four, thanks to padding) and which are to be multiplied by their count. An entry's
// offset is kPanel times its input's row within the block.
struct CountSpan {
  int32_t added, multiplied, end;  // [added, multiplied), [multiplied, end)
  int32_t total;                   // Σ counts
};
struct CountRows {
  int count, blocks, block_rows;  // block_rows: rows of weights in a block, that of zeros included
  const uint16_t* offsets;
  const uint8_t* counts;  // beside offsets
  const CountSpan* spans;
  const int32_t* totals;  // Σ counts of each window
};

// Constants of one optimiser update; t counts from 1 (see optimiser.h).
template <class T>
struct UpdateConstants {
  T learning_rate = 0, beta1 = 0, beta2 = 0, step_size = 0, root_correction = 0, epsilon = 0;
  T decay = 0;     // learning rate times decoupled weight decay
  T gradient = 1;  // factor of every gradient: clipping
};

template <class T>
struct KernelTable {
  const char* name;

  // Σ a_i·b_i.
  T (*dot)(const T* a, const T* b, int64_t n);
  // y += s·x.
  void (*add_scaled)(T s, const T* x, int64_t n, T* y);
  // y *= s.
  void (*scale)(T s, int64_t n, T* y);

  // out = start + Σ_e value[e]·rows[index[e]·stride + …], entries in order; a null start is 0, and
  // start may be out. The decoder of one window, and the gradients of one latent.
  void (*weighted_rows)(const T* start, const T* rows, int64_t stride, const int32_t* index,
                        const T* value, int count, int n, T* out);
  // The same over rows of counts, of which up to 15 bytes behind the last row are read.
  void (*weighted_counts)(const T* start, const uint8_t* rows, int64_t stride, const int32_t* index,
                          const T* value, int count, int n, T* out);
  // out[e] = v · rows[index[e]·stride + …].
  void (*dots)(const T* v, const T* rows, int64_t stride, const int32_t* index, int count, int n,
               T* out);

  // a (before the output function) becomes scale·∂loss/∂a in place; where residual is not null it
  // gets y − ŷ. Returns Σ loss.
  double (*loss_slope)(Loss loss, Output output, const T* y, T scale, int n, T* a, T* residual);

  // score_i = −∂ℓ/∂a_i and, where it is not null, information_i (see ScoreAndInformation).
  void (*scores)(Loss loss, Output output, const T* a, const T* y, int n, T* score, T* information);
  // The same of a − value·row, summed along the row: Σ row_i·score_i, and in *information
  // Σ row_i²·information_i.
  T(*score_without)
  (Loss loss, Output output, const T* a, const T* y, const T* row, T value, int n, T* information);

  // Adam (Kingma & Ba 2015) in PyTorch's order, with decoupled weight decay (AdamW).
  void (*adam)(const UpdateConstants<T>& c, const T* gradient, int64_t n, T* m, T* v, T* p);
  // m = β₁·m + g, p −= η·m (PyTorch's SGD with momentum).
  void (*momentum)(const UpdateConstants<T>& c, const T* gradient, int64_t n, T* m, T* p);

  // The k largest positive z, lower index first among equals, written in ascending order of index.
  // Returns how many there are (fewer than k where fewer are positive). NaN is never chosen.
  // `scratch` holds 2·(width + 16) elements.
  int (*top_k)(const T* z, int width, int k, T* scratch, int32_t* index, T* value);
  // Every z > 0 with z ≥ bound, in order; returns how many. index and value have room for
  // width + 16 elements.
  int (*at_least)(const T* z, int width, T bound, int32_t* index, T* value);

  // z[r·stride + j] = fma(float(Σ count·w_j), scale_j, bias_j), j < width ≤ kPanel, for one panel
  // of int32 weights, |w| ≤ 2²³. The sum is exact, whatever the order.
  void (*encode_counts)(const int32_t* weights, const CountRows& rows, const float* scale,
                        const float* bias, int width, int64_t stride, float* z);
  // z[r·stride + j] = bias_j + Σ_i x[r·inputs + i]·w[i][j], i ascending, for `rows` rows and one
  // panel of weights [inputs][kPanel].
  void (*encode_floats)(const T* weights, const T* bias, const T* x, int rows, int inputs,
                        int width, int64_t stride, T* z);
  // `count` latents' weights for n inputs, transposed and rounded to integers:
  // out[i·kPanel + j] = min(rint(rows[j·stride + i]·factor[j]), kLargestWeight).
  void (*pack_counts)(const float* rows, int64_t stride, int n, int count, const float* factor,
                      int32_t* out);

  // encode_counts without skipping zeros, for machines that have it; null elsewhere. The
  // weights of a panel are three bytes each: by 16 latents, by blocks of 64 inputs and by byte,
  // lowest first, [16 quadruples of inputs][16 latents][4 inputs]; the table's pack_dense may shift
  // the two lower ones. Of each row `blocks`·64 counts
  // are read, the weights beyond its inputs being 0.
  void (*encode_dense)(const uint8_t* digits, int blocks, const uint8_t* counts, int64_t inputs,
                       int rows, const int32_t* totals, const float* scale, const float* bias,
                       int width, int64_t stride, float* z) = nullptr;
  // pack_counts in that layout.
  void (*pack_dense)(const float* rows, int64_t stride, int n, int count, const float* factor,
                     uint8_t* out) = nullptr;
  // The mean count of an input from which encode_dense is the faster one on many rows.
  double dense_from = 0;
};

}  // namespace saed::sae
