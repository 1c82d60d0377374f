// Tells libFuzzer what ran in code that GCC compiled with -fsanitize-coverage=trace-pc, which calls
// a function at every branch where clang counts in place: each caller has a counter, by its
// address.
#include <cstddef>
#include <cstdint>

extern "C" void __sanitizer_cov_8bit_counters_init(uint8_t* start, uint8_t* stop);

namespace {

constexpr size_t kBits = 16;  // far more counters than callers
uint8_t counters[size_t{1} << kBits];

[[gnu::constructor]] void Announce() {
  __sanitizer_cov_8bit_counters_init(counters, counters + sizeof counters);
}

}  // namespace

extern "C" void __sanitizer_cov_trace_pc() {
  constexpr uint64_t kGolden = 0x9e3779b97f4a7c15;  // Fibonacci hashing (Knuth, TAOCP 3, 6.4)
  const auto caller = reinterpret_cast<uint64_t>(__builtin_return_address(0));
  ++counters[caller * kGolden >> (64 - kBits)];
}
