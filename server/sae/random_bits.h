// Many random numbers of one stream at once.
#pragma once

#include <cstdint>
#include <span>

namespace saed::sae {

// out[i] = CounterRandom(seed, stream).Bits(first + i), several at a time. Thread-safe.
void RandomBits(uint64_t seed, uint64_t stream, uint64_t first, std::span<uint64_t> out);

// As CounterRandom::Below of these bits.
inline uint64_t BelowOf(uint64_t bits, uint64_t n) {
  __extension__ typedef unsigned __int128 Wide;
  return static_cast<uint64_t>((static_cast<Wide>(bits) * n) >> 64);
}

}  // namespace saed::sae
