#include "server/sae/select.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "server/sae/parallel.h"

namespace saed::sae {
namespace {

constexpr int64_t kRowBlock = 32;

// Joins per-row counts and per-row entries (at most `most` a row, at row·most) into `out`.
template <class T>
void Compact(const std::vector<int32_t>& counts, const std::vector<int32_t>& latents,
             const std::vector<T>& values, int64_t most, Codes<T>& out) {
  const int64_t rows = static_cast<int64_t>(counts.size());
  out.row_begin.resize(rows + 1);
  out.row_begin[0] = 0;
  for (int64_t b = 0; b < rows; ++b) out.row_begin[b + 1] = out.row_begin[b] + counts[b];
  out.latent.resize(out.row_begin[rows]);
  out.value.resize(out.row_begin[rows]);
  ForBlocks(rows, kRowBlock, [&](int64_t, int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      std::copy_n(latents.data() + b * most, counts[b], out.latent.data() + out.row_begin[b]);
      std::copy_n(values.data() + b * most, counts[b], out.value.data() + out.row_begin[b]);
    }
  });
}

// A value that at least k of the row's entries reach: the least of the maxima of k disjoint groups.
template <class T>
T LowerBound(const T* z, int width, int k) {
  const int group = width / k;
  T bound = std::numeric_limits<T>::max();
  for (int g = 0; g < k; ++g) {
    T most = T(0);  // not z[g·group]: a NaN would hide its group
    for (int i = 0; i < group; ++i) most = z[g * group + i] > most ? z[g * group + i] : most;
    bound = std::min(bound, most);
  }
  return bound;
}

// Writes the k best (value, then lower latent) positive entries, ascending by latent.
template <class T>
int TopKOfRow(const T* z, int width, int k, const int32_t* names,
              std::vector<std::pair<T, int32_t>>& scratch, int32_t* latent, T* value) {
  scratch.clear();
  const T bound = names == nullptr && width >= 4 * k ? LowerBound(z, width, k) : T(0);
  for (int i = 0; i < width; ++i) {
    const int32_t j = names == nullptr ? i : names[i];
    if (z[j] > T(0) && z[j] >= bound) scratch.emplace_back(z[j], j);
  }
  if (static_cast<int>(scratch.size()) > k) {
    std::nth_element(scratch.begin(), scratch.begin() + (k - 1), scratch.end(),
                     [](const auto& a, const auto& b) {
                       return a.first != b.first ? a.first > b.first : a.second < b.second;
                     });
    scratch.resize(k);
    std::sort(scratch.begin(), scratch.end(),
              [](const auto& a, const auto& b) { return a.second < b.second; });
  }
  for (size_t e = 0; e < scratch.size(); ++e) {
    latent[e] = scratch[e].second;
    value[e] = scratch[e].first;
  }
  return static_cast<int>(scratch.size());
}

template <class T>
void TopKRows(const T* z, int64_t rows, int64_t stride, int width, int k, const int32_t* names,
              Codes<T>& out) {
  // Not thread_local: a worker that waits below may begin another selection.
  std::vector<int32_t> latents(rows * k), counts(rows);
  std::vector<T> values(rows * k);
  ForBlocks(rows, kRowBlock, [&](int64_t, int64_t begin, int64_t end) {
    thread_local std::vector<std::pair<T, int32_t>> scratch;
    for (int64_t b = begin; b < end; ++b) {
      counts[b] = TopKOfRow(z + b * stride, width, k, names, scratch, latents.data() + b * k,
                            values.data() + b * k);
    }
  });
  Compact(counts, latents, values, k, out);
}

// Positive floats order as their bit patterns do.
uint64_t Bits(float v) { return std::bit_cast<uint32_t>(v); }
uint64_t Bits(double v) { return std::bit_cast<uint64_t>(v); }

// The n-th largest positive value of z (n ≥ 1), by radix selection on the bit patterns, with the
// number of strictly larger values. Returns 0 and the count of all positives where there are fewer.
template <class T>
std::pair<T, int64_t> NthLargest(const T* z, int64_t rows, int64_t stride, int width, int64_t n) {
  constexpr int kDigit = 11, kBuckets = 1 << kDigit;
  constexpr int kBits = static_cast<int>(sizeof(T) * 8) - 1;  // without the sign
  uint64_t prefix = 0;
  int64_t larger = 0;
  for (int done = 0; done < kBits;) {
    const int digit = std::min(kDigit, kBits - done);
    const int shift = kBits - done - digit;
    std::vector<std::vector<int64_t>> histograms(BlockCount(rows, kRowBlock));
    ForBlocks(rows, kRowBlock, [&](int64_t block, int64_t begin, int64_t end) {
      auto& histogram = histograms[block];
      histogram.assign(kBuckets, 0);
      for (int64_t b = begin; b < end; ++b) {
        const T* row = z + b * stride;
        for (int j = 0; j < width; ++j) {
          if (!(row[j] > T(0))) continue;
          const uint64_t bits = Bits(row[j]);
          if (done > 0 && (bits >> (shift + digit)) != prefix) continue;
          ++histogram[(bits >> shift) & ((1u << digit) - 1)];
        }
      }
    });
    int64_t at = larger;
    int bucket = (1 << digit) - 1;
    for (; bucket >= 0; --bucket) {
      int64_t count = 0;
      for (const auto& h : histograms) count += h[bucket];
      if (at + count >= n) break;
      at += count;
    }
    if (bucket < 0) return {T(0), at};
    larger = at;
    prefix = (prefix << digit) | static_cast<uint64_t>(bucket);
    done += digit;
  }
  if constexpr (sizeof(T) == 4) {
    return {std::bit_cast<float>(static_cast<uint32_t>(prefix)), larger};
  } else {
    return {std::bit_cast<double>(prefix), larger};
  }
}

}  // namespace

template <class T>
Selected<T> SelectTopK(const T* z, int64_t rows, int64_t stride, int width, int k, Codes<T>& out) {
  TopKRows(z, rows, stride, width, std::min(k, width), nullptr, out);
  double sum = 0;
  for (int64_t b = 0; b < rows; ++b) {
    const auto begin = out.value.begin() + out.row_begin[b];
    const auto end = out.value.begin() + out.row_begin[b + 1];
    if (begin != end) sum += *std::min_element(begin, end);
  }
  return {static_cast<T>(rows > 0 ? sum / static_cast<double>(rows) : 0)};
}

template <class T>
Selected<T> SelectBatchTopK(const T* z, int64_t rows, int64_t stride, int width, int k,
                            Codes<T>& out) {
  const int64_t n = rows * std::min(k, width);
  const auto [cutoff, larger] = NthLargest(z, rows, stride, width, n);
  SelectThreshold(z, rows, stride, width, cutoff, out);
  const int64_t surplus = out.row_begin[rows] - n;
  if (surplus > 0) {
    // More entries equal the cutoff than fit: keep the first ones in row order.
    int64_t keep_equal = n - larger, write = 0;
    for (int64_t b = 0; b < rows; ++b) {
      const int64_t begin = out.row_begin[b], end = out.row_begin[b + 1];
      out.row_begin[b] = write;
      for (int64_t e = begin; e < end; ++e) {
        if (out.value[e] == cutoff && keep_equal-- <= 0) continue;
        out.latent[write] = out.latent[e];
        out.value[write++] = out.value[e];
      }
    }
    out.row_begin[rows] = write;
    out.latent.resize(write);
    out.value.resize(write);
  }
  if (cutoff > T(0)) return {cutoff};
  if (out.value.empty()) return {};
  return {*std::min_element(out.value.begin(), out.value.end())};
}

template <class T>
void SelectThreshold(const T* z, int64_t rows, int64_t stride, int width, T threshold,
                     Codes<T>& out) {
  const auto kept = [threshold](T v) { return v > T(0) && v >= threshold; };
  out.row_begin.assign(rows + 1, 0);
  ForBlocks(rows, kRowBlock, [&](int64_t, int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      const T* row = z + b * stride;
      int64_t count = 0;
      for (int j = 0; j < width; ++j) count += kept(row[j]);
      out.row_begin[b + 1] = count;
    }
  });
  for (int64_t b = 0; b < rows; ++b) out.row_begin[b + 1] += out.row_begin[b];
  out.latent.resize(out.row_begin[rows]);
  out.value.resize(out.row_begin[rows]);
  ForBlocks(rows, kRowBlock, [&](int64_t, int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      const T* row = z + b * stride;
      int64_t e = out.row_begin[b];
      for (int j = 0; j < width; ++j) {
        if (!kept(row[j])) continue;
        out.latent[e] = j;
        out.value[e++] = row[j];
      }
    }
  });
}

template <class T>
void SelectTopKAmong(const T* z, int64_t rows, int64_t stride, const std::vector<int32_t>& latents,
                     int k, Codes<T>& out) {
  const int width = static_cast<int>(latents.size());
  TopKRows(z, rows, stride, width, std::min(k, width), latents.data(), out);
}

#define SAED_INSTANTIATE(T)                                                                      \
  template Selected<T> SelectTopK<T>(const T*, int64_t, int64_t, int, int, Codes<T>&);           \
  template Selected<T> SelectBatchTopK<T>(const T*, int64_t, int64_t, int, int, Codes<T>&);      \
  template void SelectThreshold<T>(const T*, int64_t, int64_t, int, T, Codes<T>&);               \
  template void SelectTopKAmong<T>(const T*, int64_t, int64_t, const std::vector<int32_t>&, int, \
                                   Codes<T>&);
SAED_INSTANTIATE(float)
SAED_INSTANTIATE(double)
#undef SAED_INSTANTIATE

}  // namespace saed::sae
