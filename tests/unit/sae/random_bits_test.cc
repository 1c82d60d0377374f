#include "server/sae/random_bits.h"

#include <gtest/gtest.h>

#include <vector>

#include "server/sae/random.h"

namespace saed::sae {
namespace {

// Whole blocks, the rest, and indices whose upper half is not 0.
TEST(RandomBits, AreThoseOfTheCounters) {
  for (const uint64_t first :
       {uint64_t{0}, uint64_t{5}, (uint64_t{1} << 32) - 7, ~uint64_t{0} - 40}) {
    for (const uint64_t stream : {uint64_t{3}, uint64_t{1} << 33}) {
      const CounterRandom random(0x123456789abcdefU, stream);
      std::vector<uint64_t> bits(37);
      RandomBits(0x123456789abcdefU, stream, first, bits);
      for (size_t i = 0; i < bits.size(); ++i) {
        ASSERT_EQ(bits[i], random.Bits(first + i)) << first << " " << i;
        ASSERT_EQ(BelowOf(bits[i], 11), random.Below(first + i, 11));
      }
    }
  }
}

}  // namespace
}  // namespace saed::sae
