// Counter-based random numbers: Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as
// easy as 1, 2, 3"). Draw i of stream s under a seed is a pure function of (seed, s, i), so results
// depend neither on threads nor on what was drawn before.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <numbers>

namespace saed::sae {

// One Philox block: four 32-bit words.
inline std::array<uint32_t, 4> Philox(uint64_t key, uint64_t stream, uint64_t index) {
  std::array<uint32_t, 4> c = {static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32),
                               static_cast<uint32_t>(stream), static_cast<uint32_t>(stream >> 32)};
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53} * c[0];
    const uint64_t p1 = uint64_t{0xCD9E8D57} * c[2];
    c = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k0, static_cast<uint32_t>(p1),
         static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k1, static_cast<uint32_t>(p0)};
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  return c;
}

class CounterRandom {
 public:
  CounterRandom(uint64_t seed, uint64_t stream) : seed_(seed), stream_(stream) {}

  uint64_t Bits(uint64_t index) const {
    const auto w = Philox(seed_, stream_, index);
    return (uint64_t{w[1]} << 32) | w[0];
  }
  // Uniform in [0, 1).
  double Uniform(uint64_t index) const {
    return static_cast<double>(Bits(index) >> 11) * 0x1.0p-53;
  }
  // Standard normal by Box and Muller.
  double Normal(uint64_t index) const {
    const auto w = Philox(seed_, stream_, index);
    const uint64_t a = (uint64_t{w[1]} << 32) | w[0], b = (uint64_t{w[3]} << 32) | w[2];
    const double u = (static_cast<double>(a >> 11) + 1) * 0x1.0p-53;  // (0, 1]
    const double v = static_cast<double>(b >> 11) * 0x1.0p-53;
    return std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * v);
  }
  // Uniform integer in [0, n), n > 0, by multiplication (bias below 2^-32 for n < 2^32).
  uint64_t Below(uint64_t index, uint64_t n) const {
    return static_cast<uint64_t>((static_cast<Wide>(Bits(index)) * n) >> 64);
  }

 private:
  __extension__ typedef unsigned __int128 Wide;
  uint64_t seed_, stream_;
};

// Streams of one training run.
enum RandomStream : uint64_t {
  kEncoderStream = 1,
  kDecoderStream = 2,
  kResampleStream = 3,
  kShuffleStream = uint64_t{1} << 32,  // plus the epoch
  kHiddenStream = uint64_t{1} << 33,   // plus the step
};

}  // namespace saed::sae
