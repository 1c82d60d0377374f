#include "server/sae/window_product.h"

#include <algorithm>
#include <memory>
#include <vector>

namespace saed::sae {
namespace {

// Whether a window holds only integers from 0 to 255, and then these.
template <class In>
bool AsCounts(const In* in, int64_t n, uint8_t* out) {
  // Blocks, so that it runs in vectors and most other windows are left at once.
  constexpr int64_t kBlock = 64;
  for (int64_t first = 0; first < n; first += kBlock) {
    const int64_t end = std::min(n, first + kBlock);
    int wrong = 0;
    for (int64_t i = first; i < end; ++i) {
      const auto value = static_cast<float>(in[i]);
      const bool fits = value >= 0 && value <= 255;
      const auto integer = static_cast<int32_t>(fits ? value : 0.0f);
      out[i] = static_cast<uint8_t>(integer);
      wrong |= !fits | (static_cast<float>(integer) != value);
    }
    if (wrong != 0) return false;
  }
  return true;
}

}  // namespace

WindowProduct::WindowProduct(const Parameters<float>& parameters, bool subtract_bias,
                             Normaliser normaliser, int S)
    : features_(parameters.features),
      inputs_(parameters.inputs),
      S_(S),
      normaliser_(std::move(normaliser)),
      counts_(parameters.features, parameters.inputs, PerInput(normaliser_.offset, S),
              PerInput(normaliser_.scale, S)),
      floats_(parameters.features, parameters.inputs) {
  for (int64_t begin = 0; begin < features_; begin += kPackLatents) {
    const int64_t end = std::min<int64_t>(features_, begin + kPackLatents);
    counts_.Pack(parameters, subtract_bias, begin, end);
    floats_.Pack(parameters, subtract_bias, begin, end);
  }
}

void WindowProduct::Multiply(const CountView& counts, Starts starts, float* z) const {
  const auto rows = static_cast<int64_t>(starts.size());
  const auto x = std::make_unique_for_overwrite<uint8_t[]>(rows * inputs_ + CountEncoder::kSlack);
  std::vector<int64_t> integer, other;  // rows by what their windows hold
  for (int64_t b = 0; b < rows; ++b) {
    const int64_t at = starts[b] * counts.units;
    uint8_t* out = x.get() + static_cast<int64_t>(integer.size()) * inputs_;
    bool fits = true;
    if (counts.dtype == DType::kU8) {
      std::copy_n(static_cast<const uint8_t*>(counts.data) + at, inputs_, out);
    } else {
      fits = counts.dtype == DType::kU16
                 ? AsCounts(static_cast<const uint16_t*>(counts.data) + at, inputs_, out)
                 : AsCounts(static_cast<const float*>(counts.data) + at, inputs_, out);
    }
    (fits ? integer : other).push_back(b);
  }
  Grouped(integer, rows, z,
          [&](float* out) { counts_.Encode(x.get(), static_cast<int>(integer.size()), out); });
  Grouped(other, rows, z, [&](float* out) {
    const auto window = std::make_unique_for_overwrite<float[]>(other.size() * inputs_);
    for (size_t i = 0; i < other.size(); ++i) {
      ReadWindow(counts, normaliser_, starts[other[i]], S_,
                 window.get() + static_cast<int64_t>(i) * inputs_);
    }
    floats_.Encode(window.get(), static_cast<int>(other.size()), out);
  });
}

// Kernels are fastest on many rows at once, which need not lie together.
template <class Fn>
void WindowProduct::Grouped(const std::vector<int64_t>& some, int64_t rows, float* z,
                            const Fn& multiply) const {
  if (some.empty()) return;
  if (static_cast<int64_t>(some.size()) == rows) return multiply(z);
  const auto part = std::make_unique_for_overwrite<float[]>(some.size() * features_);
  multiply(part.get());
  for (size_t i = 0; i < some.size(); ++i) {
    std::copy_n(part.get() + static_cast<int64_t>(i) * features_, features_,
                z + some[i] * features_);
  }
}

}  // namespace saed::sae
