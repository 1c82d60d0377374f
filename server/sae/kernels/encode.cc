#include "server/sae/kernels/encode.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "server/sae/kernels/vector_ops.h"

namespace saed::sae {
namespace {

// Non-zero inputs of a row block, row after row.
template <class T>
struct Nonzeros {
  std::vector<int32_t> index;
  std::vector<T> value;
  int begin[kEncodeRows + 1];
};

template <class T>
void FindNonzeros(const T* x, int rows, int inputs, Nonzeros<T>& out) {
  const size_t most = static_cast<size_t>(rows) * inputs;
  if (out.index.size() < most) {
    out.index.resize(most);
    out.value.resize(most);
  }
  int count = 0;
  for (int r = 0; r < rows; ++r) {
    out.begin[r] = count;
    const T* row = x + static_cast<int64_t>(r) * inputs;
    for (int i = 0; i < inputs; ++i) {
      out.index[count] = i;
      out.value[count] = row[i];
      count += row[i] != T(0);
    }
  }
  out.begin[rows] = count;
}

template <class T>
void EncodeRow(const T* weights, const T* bias, const int32_t* index, const T* value, int count,
               T* z, int width) {
  using V = typename Vec<T>::type;
  constexpr int kVectors = kPanel / kLanes<T>;
  V sum[kVectors];
#pragma GCC unroll 16
  for (int v = 0; v < kVectors; ++v) sum[v] = Load(bias + v * kLanes<T>);
  for (int e = 0; e < count; ++e) {
    const T* w = weights + static_cast<int64_t>(index[e]) * kPanel;
    const V x = value[e] - V{};
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) sum[v] += x * Load(w + v * kLanes<T>);
  }
  if (width == kPanel) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) Store(z + v * kLanes<T>, sum[v]);
  } else {
    std::memcpy(z, sum, sizeof(T) * width);
  }
}

}  // namespace

template <class T>
PackedEncoder<T>::PackedEncoder(int features, int inputs) : features_(features), inputs_(inputs) {
  weights_.assign(static_cast<size_t>(panels()) * inputs * kPanel, T(0));
  bias_.assign(static_cast<size_t>(panels()) * kPanel, T(0));
}

template <class T>
void PackedEncoder<T>::PackPanel(int panel, const T* encoder, const T* bias) {
  const int first = panel * kPanel, width = std::min(kPanel, features_ - first);
  T* out = weights_.data() + static_cast<size_t>(panel) * inputs_ * kPanel;
  // Tiles of 16 inputs keep both sides in the first-level cache.
  for (int i0 = 0; i0 < inputs_; i0 += 16) {
    const int i1 = std::min(inputs_, i0 + 16);
    for (int j = 0; j < width; ++j) {
      const T* row = encoder + static_cast<int64_t>(first + j) * inputs_;
      for (int i = i0; i < i1; ++i) out[static_cast<int64_t>(i) * kPanel + j] = row[i];
    }
  }
  std::copy_n(bias + first, width, bias_.data() + first);
}

template <class T>
void PackedEncoder<T>::Pack(const T* encoder, const T* bias) {
  for (int p = 0; p < panels(); ++p) PackPanel(p, encoder, bias);
}

template <class T>
void PackedEncoder<T>::Encode(const T* x, int rows, T* z) const {
  thread_local Nonzeros<T> nonzeros;
  FindNonzeros(x, rows, inputs_, nonzeros);
  for (int p = 0; p < panels(); ++p) {
    const T* weights = weights_.data() + static_cast<size_t>(p) * inputs_ * kPanel;
    const int first = p * kPanel, width = std::min(kPanel, features_ - first);
    for (int r = 0; r < rows; ++r) {
      const int begin = nonzeros.begin[r];
      EncodeRow(weights, bias_.data() + first, nonzeros.index.data() + begin,
                nonzeros.value.data() + begin, nonzeros.begin[r + 1] - begin,
                z + static_cast<int64_t>(r) * features_ + first, width);
    }
  }
}

template class PackedEncoder<float>;
template class PackedEncoder<double>;

}  // namespace saed::sae
