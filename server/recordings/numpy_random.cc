#include "server/recordings/numpy_random.h"

#include <array>
#include <cmath>
#include <numbers>

namespace saed::recordings {
namespace {

// NumPy's SeedSequence for one integer: a pool of four hashed words, from which eight are drawn.
std::array<uint64_t, 4> SeedWords(uint64_t seed) {
  uint32_t constant = 0x43b0d7e5;
  const auto hash = [&constant](uint32_t v) {
    v ^= constant;
    constant *= 0x931e8875;
    v *= constant;
    return v ^ (v >> 16);
  };
  const auto mix = [](uint32_t a, uint32_t b) {
    const uint32_t r = 0xca01f9ddu * a - 0x4973f715u * b;
    return r ^ (r >> 16);
  };
  const uint32_t words[4] = {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32), 0, 0};
  uint32_t pool[4];
  for (int i = 0; i < 4; ++i) pool[i] = hash(words[i]);
  for (int source = 0; source < 4; ++source) {
    for (int target = 0; target < 4; ++target) {
      if (source != target) pool[target] = mix(pool[target], hash(pool[source]));
    }
  }
  constant = 0x8b51f9dd;
  uint32_t out[8];
  for (int j = 0; j < 8; ++j) {
    uint32_t v = pool[j % 4] ^ constant;
    constant *= 0x58f38ded;
    v *= constant;
    out[j] = v ^ (v >> 16);
  }
  std::array<uint64_t, 4> wide;
  for (int i = 0; i < 4; ++i) wide[i] = (uint64_t{out[2 * i + 1]} << 32) | out[2 * i];
  return wide;
}

// Tables of the 256-layer ziggurat for the standard normal (Marsaglia & Tsang 2000).
struct Ziggurat {
  static constexpr double kTail = 3.6541528853610088;
  double width[256], height[256];
  uint64_t inside[256];

  Ziggurat() {
    const auto density = [](double t) { return std::exp(-0.5 * t * t); };
    const double area = kTail * density(kTail) +
                        std::sqrt(std::numbers::pi / 2) * std::erfc(kTail / std::numbers::sqrt2);
    double x[256];
    x[255] = kTail;
    for (int i = 254; i >= 1; --i)
      x[i] = std::sqrt(-2 * std::log(area / x[i + 1] + density(x[i + 1])));
    for (int i = 255; i >= 1; --i) {
      width[i] = x[i] * 0x1.0p-52;
      height[i] = density(x[i]);
    }
    for (int i = 254; i >= 1; --i) {
      inside[i + 1] = static_cast<uint64_t>(x[i] / x[i + 1] * 0x1.0p52);
    }
    inside[1] = 0;
    width[0] = area / density(kTail) * 0x1.0p-52;
    inside[0] = static_cast<uint64_t>(kTail * density(kTail) / area * 0x1.0p52);
    height[0] = 1;
  }
};

const Ziggurat& Tables() {
  static const Ziggurat tables;
  return tables;
}

}  // namespace

NumpyRandom::NumpyRandom(uint64_t seed) {
  const auto w = SeedWords(seed);
  const Wide initial = (Wide{w[0]} << 64) | w[1];
  increment_ = (((Wide{w[2]} << 64) | w[3]) << 1) | 1;
  Next();
  state_ += initial;
  Next();
}

uint64_t NumpyRandom::Next() {
  const Wide multiplier = (Wide{0x2360ED051FC65DA4ULL} << 64) | 0x4385DF649FCCF645ULL;
  state_ = state_ * multiplier + increment_;
  const uint64_t folded = static_cast<uint64_t>(state_ >> 64) ^ static_cast<uint64_t>(state_);
  const int turn = static_cast<int>(state_ >> 122);
  return (folded >> turn) | (folded << ((64 - turn) & 63));
}

double NumpyRandom::Normal() {
  const Ziggurat& z = Tables();
  while (true) {
    const uint64_t bits = Next();
    const int layer = static_cast<int>(bits & 0xff);
    const bool negative = (bits >> 8) & 1;
    const uint64_t m = (bits >> 9) & 0xfffffffffffffULL;
    const double x = static_cast<double>(m) * z.width[layer];
    if (m < z.inside[layer]) return negative ? -x : x;
    if (layer == 0) {
      while (true) {
        const double a = -std::log1p(-Uniform()) / Ziggurat::kTail;
        const double b = -std::log1p(-Uniform());
        if (2 * b > a * a) {
          return ((m >> 8) & 1) ? -(Ziggurat::kTail + a) : Ziggurat::kTail + a;
        }
      }
    }
    if ((z.height[layer - 1] - z.height[layer]) * Uniform() + z.height[layer] <
        std::exp(-0.5 * x * x)) {
      return negative ? -x : x;
    }
  }
}

}  // namespace saed::recordings
