#include "server/sae/kernels/encode.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <utility>

#include "server/sae/kernels/dispatch.h"

namespace saed::sae {
namespace {

constexpr int kBits = 23;  // -2²³ ≤ integer weight < 2²³

int Panels(int features) { return (features + kPanel - 1) / kPanel; }

// Non-zero counts of a few windows.
struct Found {
  std::vector<uint16_t> offsets;
  std::vector<uint8_t> counts;
  std::vector<CountSpan> spans;
  std::vector<int32_t> totals;
};

int InputBlocks(int inputs) { return (inputs + kInputBlock - 1) / kInputBlock; }
// Inputs of a block; the last may have fewer.
int BlockInputs(int inputs) {
  const int blocks = InputBlocks(inputs);
  return (inputs + blocks - 1) / blocks;
}
// Weights of a panel.
int64_t PanelWeights(int inputs) {
  return int64_t{InputBlocks(inputs)} * (BlockInputs(inputs) + 1) * kPanel;
}

CountRows FindCounts(const uint8_t* x, int rows, int inputs, Found& out) {
  const int blocks = InputBlocks(inputs), block_inputs = BlockInputs(inputs);
  // Every count repeated, and padding.
  const size_t most = static_cast<size_t>(rows) * blocks * (kRepeated * block_inputs + 4);
  if (out.offsets.size() < most) {
    out.offsets.resize(most);
    out.counts.resize(most);
  }
  out.spans.resize(static_cast<size_t>(rows) * blocks);
  out.totals.resize(rows);
  uint16_t* offset = out.offsets.data();
  uint16_t larger_offsets[kInputBlock];
  uint8_t larger[kInputBlock];
  for (int r = 0; r < rows; ++r) {
    out.totals[r] = 0;
    for (int block = 0; block < blocks; ++block) {
      const uint8_t* row = x + static_cast<int64_t>(r) * inputs + block * block_inputs;
      const int width = std::min(block_inputs, inputs - block * block_inputs);
      CountSpan& span = out.spans[static_cast<size_t>(r) * blocks + block];
      span.added = static_cast<int32_t>(offset - out.offsets.data());
      int many = 0, total = 0;
      const auto add = [&](int i) {
        const uint8_t c = row[i];
        total += c;
        if (c > kRepeated) {
          larger_offsets[many] = static_cast<uint16_t>(i * kPanel);
          larger[many++] = c;
          return;
        }
        // Written as often as it could be; how often it counts is hard to guess.
        for (int n = 0; n < kRepeated; ++n) offset[n] = static_cast<uint16_t>(i * kPanel);
        offset += c;
      };
      int i = 0;
      for (; i + 8 <= width; i += 8) {
        uint64_t word;
        std::memcpy(&word, row + i, 8);
        // The highest bit of every byte that is not 0.
        uint64_t set = (word | ((word & 0x7f7f7f7f7f7f7f7full) + 0x7f7f7f7f7f7f7f7full)) &
                       0x8080808080808080ull;
        for (; set != 0; set &= set - 1) add(i + __builtin_ctzll(set) / 8);
      }
      for (; i < width; ++i) {
        if (row[i] != 0) add(i);
      }
      while ((offset - out.offsets.data() - span.added) % 4 != 0) {
        *offset++ = static_cast<uint16_t>(block_inputs * kPanel);
      }
      span.multiplied = static_cast<int32_t>(offset - out.offsets.data());
      std::copy_n(larger_offsets, many, offset);
      std::copy_n(larger, many, out.counts.data() + span.multiplied);
      offset += many;
      span.end = span.multiplied + many;
      span.total = total;
      out.totals[r] += total;
    }
  }
  return {rows,
          blocks,
          block_inputs + 1,
          out.offsets.data(),
          out.counts.data(),
          out.spans.data(),
          out.totals.data()};
}

// Inputs whose scale is far below most: in such a normaliser one count weighs as much as many of
// others.
std::vector<int> RareInputs(const std::vector<float>& scale) {
  constexpr float kFar = 4;  // costs the others two of their 24 bits at most
  std::vector<int> out;
  if (scale.empty()) return out;
  std::vector<float> sorted = scale;
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
  std::nth_element(sorted.begin(), middle, sorted.end());
  for (size_t i = 0; i < scale.size(); ++i) {
    if (scale[i] * kFar < *middle) out.push_back(static_cast<int>(i));
  }
  return out;
}

int DenseBlocks(int inputs) { return (inputs + kDenseBlock - 1) / kDenseBlock; }
// Bytes of a panel's weights.
int64_t DensePanel(int inputs) { return int64_t{3} * kPanel * kDenseBlock * DenseBlocks(inputs); }

float LargestMagnitude(const float* row, int n) {
  float lanes[kLanes] = {};
  int i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int l = 0; l < kLanes; ++l) {
      const float v = std::abs(row[i + l]);
      lanes[l] = v > lanes[l] ? v : lanes[l];
    }
  }
  for (; i < n; ++i) lanes[0] = std::max(lanes[0], std::abs(row[i]));
  return *std::max_element(lanes, lanes + kLanes);
}

}  // namespace

template <class T>
T EffectiveBias(const Parameters<T>& p, bool subtract_bias, int64_t j) {
  if (!subtract_bias) return p.encoder_bias[j];
  return p.encoder_bias[j] - Kernels<T>().dot(p.encoder_row(j), p.decoder_bias.data(), p.inputs);
}

std::vector<float> PerInput(const std::vector<float>& per_unit, int S) {
  std::vector<float> out;
  for (int s = 0; s < S; ++s) out.insert(out.end(), per_unit.begin(), per_unit.end());
  return out;
}

template <class T>
FloatEncoder<T>::FloatEncoder(int features, int inputs)
    : features_(features),
      inputs_(inputs),
      weights_(static_cast<size_t>(Panels(features)) * inputs * kPanel, T(0)),
      bias_(static_cast<size_t>(Panels(features)) * kPanel, T(0)) {}

template <class T>
void FloatEncoder<T>::Pack(const Parameters<T>& p, bool subtract_bias, int64_t begin, int64_t end) {
  // Tiles of 16 inputs keep both sides in the first-level cache.
  for (int i0 = 0; i0 < inputs_; i0 += 16) {
    const int i1 = std::min(inputs_, i0 + 16);
    for (int64_t j = begin; j < end; ++j) {
      const T* row = p.encoder_row(j);
      T* out = weights_.data() + (j / kPanel) * inputs_ * kPanel + j % kPanel;
      for (int i = i0; i < i1; ++i) out[static_cast<int64_t>(i) * kPanel] = row[i];
    }
  }
  for (int64_t j = begin; j < end; ++j) bias_[j] = EffectiveBias(p, subtract_bias, j);
}

template <class T>
void FloatEncoder<T>::Encode(const T* x, int rows, T* z) const {
  const auto& k = Kernels<T>();
  for (int panel = 0; panel < Panels(features_); ++panel) {
    const int first = panel * kPanel;
    k.encode_floats(weights_.data() + static_cast<int64_t>(panel) * inputs_ * kPanel,
                    bias_.data() + first, x, rows, inputs_, std::min(kPanel, features_ - first),
                    features_, z + first);
  }
}

CountEncoder::CountEncoder(int features, int inputs, std::vector<float> offset,
                           std::vector<float> scale, std::optional<double> mean_count)
    : kernels_(&Kernels<float>()),
      features_(features),
      inputs_(inputs),
      offset_(std::move(offset)),
      scale_(std::move(scale)),
      rare_(RareInputs(scale_)),
      rare_weights_(rare_.size() * features, 0),
      step_(static_cast<size_t>(Panels(features)) * kPanel, 0),
      bias_(static_cast<size_t>(Panels(features)) * kPanel, 0) {
  const auto panels = static_cast<size_t>(Panels(features));
  const bool dense = kernels_->encode_dense != nullptr && inputs <= kDenseInputs &&
                     mean_count.value_or(kernels_->dense_from) >= kernels_->dense_from;
  if (dense) digits_.resize(panels * DensePanel(inputs));
  if (!dense || !mean_count) weights_.resize(panels * PanelWeights(inputs));
}

void CountEncoder::Pack(const Parameters<float>& p, bool subtract_bias, int64_t begin,
                        int64_t end) {
  const bool identity = offset_.empty();
  thread_local std::vector<float> folded;
  const float* rows = p.encoder_row(begin);
  if (!identity) {
    folded.resize((end - begin) * inputs_);
    for (int64_t j = 0; j < end - begin; ++j) {
      for (int i = 0; i < inputs_; ++i) {
        folded[j * inputs_ + i] = rows[j * inputs_ + i] / scale_[i];
      }
    }
    rows = folded.data();
  }
  for (int64_t j = begin; j < end; ++j) {
    bias_[j] = EffectiveBias(p, subtract_bias, j);
    if (identity) continue;
    const float* row = rows + (j - begin) * inputs_;
    double shift = 0;
    for (int i = 0; i < inputs_; ++i) shift += static_cast<double>(row[i]) * offset_[i];
    bias_[j] = static_cast<float>(bias_[j] - shift);
  }
  if (!rare_.empty()) TakeOutRare(begin, end, folded.data());
  float factor[kPackLatents];
  for (int64_t j = begin; j < end; ++j) {
    const float* row = rows + (j - begin) * inputs_;
    const float largest = LargestMagnitude(row, inputs_);
    const bool usable = std::isfinite(largest) && largest > 1e-30f;
    // A power of two, so that scaling rounds nothing by itself: largest·factor in [2²², 2²³].
    const int exponent = usable ? std::ilogb(largest) + 1 : 0;
    factor[j - begin] = usable ? std::ldexp(1.0f, kBits - exponent) : 0;
    step_[j] = usable ? std::ldexp(1.0f, exponent - kBits) : 0;
  }
  const int count = static_cast<int>(end - begin);
  if (!digits_.empty()) {
    kernels_->pack_dense(rows, inputs_, inputs_, count, factor,
                         digits_.data() + begin / kPanel * DensePanel(inputs_));
  }
  if (weights_.empty()) return;
  int32_t* packed = weights_.data() + begin / kPanel * PanelWeights(inputs_);
  const int step = BlockInputs(inputs_);
  for (int first = 0; first < inputs_; first += step, packed += (step + 1) * kPanel) {
    kernels_->pack_counts(rows + first, inputs_, std::min(step, inputs_ - first), count, factor,
                          packed);
  }
}

void CountEncoder::TakeOutRare(int64_t begin, int64_t end, float* folded) {
  for (size_t r = 0; r < rare_.size(); ++r) {
    for (int64_t j = begin; j < end; ++j) {
      rare_weights_[r * features_ + j] = std::exchange(folded[(j - begin) * inputs_ + rare_[r]], 0);
    }
  }
}

void CountEncoder::AddRare(const uint8_t* counts, int rows, float* z) const {
  for (int row = 0; row < rows; ++row, counts += inputs_, z += features_) {
    for (size_t r = 0; r < rare_.size(); ++r) {
      const uint8_t count = counts[rare_[r]];
      if (count == 0) continue;
      kernels_->add_scaled(count, rare_weights_.data() + r * features_, features_, z);
    }
  }
}

void CountEncoder::Encode(const uint8_t* counts, int rows, float* z) const {
  if (Dense(counts, rows)) {
    EncodeDense(counts, rows, z);
    return AddRare(counts, rows, z);
  }
  thread_local Found found;
  const auto& k = *kernels_;
  for (int r0 = 0; r0 < rows; r0 += kCountRows) {
    const CountRows some = FindCounts(counts + static_cast<int64_t>(r0) * inputs_,
                                      std::min(kCountRows, rows - r0), inputs_, found);
    for (int panel = 0; panel < Panels(features_); ++panel) {
      const int first = panel * kPanel;
      k.encode_counts(weights_.data() + panel * PanelWeights(inputs_), some, step_.data() + first,
                      bias_.data() + first, std::min(kPanel, features_ - first), features_,
                      z + static_cast<int64_t>(r0) * features_ + first);
    }
  }
  AddRare(counts, rows, z);
}

bool CountEncoder::Dense(const uint8_t* counts, int rows) const {
  if (digits_.empty() || weights_.empty()) return weights_.empty();
  constexpr int kEnough = 8;  // rows that share the weights
  if (rows < kEnough) return false;
  const int64_t n = int64_t{rows} * inputs_;
  return static_cast<double>(std::accumulate(counts, counts + n, int64_t{0})) >=
         kernels_->dense_from * static_cast<double>(n);
}

void CountEncoder::EncodeDense(const uint8_t* counts, int rows, float* z) const {
  int32_t totals[kCountRows];
  for (int r0 = 0; r0 < rows; r0 += kCountRows) {
    const int n = std::min(kCountRows, rows - r0);
    const uint8_t* x = counts + static_cast<int64_t>(r0) * inputs_;
    for (int r = 0; r < n; ++r) {
      totals[r] = std::accumulate(x + static_cast<int64_t>(r) * inputs_,
                                  x + static_cast<int64_t>(r + 1) * inputs_, 0);
    }
    for (int panel = 0; panel < Panels(features_); ++panel) {
      const int first = panel * kPanel;
      kernels_->encode_dense(digits_.data() + panel * DensePanel(inputs_), DenseBlocks(inputs_), x,
                             inputs_, n, totals, step_.data() + first, bias_.data() + first,
                             std::min(kPanel, features_ - first), features_,
                             z + static_cast<int64_t>(r0) * features_ + first);
    }
  }
}

template float EffectiveBias<float>(const Parameters<float>&, bool, int64_t);
template double EffectiveBias<double>(const Parameters<double>&, bool, int64_t);
template class FloatEncoder<float>;
template class FloatEncoder<double>;

}  // namespace saed::sae
