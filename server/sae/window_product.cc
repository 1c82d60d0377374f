#include "server/sae/window_product.h"

#include <algorithm>
#include <vector>

namespace saed::sae {
namespace {

// Whether a window holds only integers from 0 to 255, and these.
template <class In>
bool AsCounts(const In* in, int64_t n, uint8_t* out) {
  bool counts = true;
  for (int64_t i = 0; i < n; ++i) {
    const auto value = static_cast<float>(in[i]);
    const bool fits = value >= 0 && value <= 255;
    out[i] = fits ? static_cast<uint8_t>(value) : 0;
    counts = counts && fits && static_cast<float>(out[i]) == value;
  }
  return counts;
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
  std::vector<uint8_t> x(rows * inputs_);
  std::vector<int64_t> others;  // rows that are not counts
  for (int64_t b = 0; b < rows; ++b) {
    const int64_t at = starts[b] * counts.units;
    uint8_t* out = x.data() + b * inputs_;
    if (counts.dtype == DType::kU8) {
      std::copy_n(static_cast<const uint8_t*>(counts.data) + at, inputs_, out);
    } else if (counts.dtype == DType::kU16
                   ? !AsCounts(static_cast<const uint16_t*>(counts.data) + at, inputs_, out)
                   : !AsCounts(static_cast<const float*>(counts.data) + at, inputs_, out)) {
      others.push_back(b);
    }
  }
  if (static_cast<int64_t>(others.size()) < rows) {
    counts_.Encode(x.data(), static_cast<int>(rows), z);
  }
  std::vector<float> window(others.empty() ? 0 : inputs_);
  for (int64_t b : others) {
    ReadWindow(counts, normaliser_, starts[b], S_, window.data());
    floats_.Encode(window.data(), 1, z + b * features_);
  }
}

}  // namespace saed::sae
