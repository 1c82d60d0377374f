// Parallel loops whose results do not depend on the number of threads: work is cut into blocks by
// the problem's size alone. The caller's TBB arena decides how many threads take part.
#pragma once

#include <tbb/parallel_for.h>
#ifdef SAED_THREAD_SANITIZER
#include <sanitizer/tsan_interface.h>
#endif

#include <algorithm>
#include <cstdint>

#include "server/base/make_way.h"

namespace saed::sae {

inline int64_t BlockCount(int64_t n, int64_t block) { return (n + block - 1) / block; }

// Calls fn(block, begin, end) for every block of `block` items of [0, n), in any order.
template <class Fn>
void ForBlocks(int64_t n, int64_t block, const Fn& fn) {
  const int64_t blocks = BlockCount(n, block);
  const auto run = [&](int64_t b) {
    fn(b, b * block, std::min(n, (b + 1) * block));
    MakeWay();
  };
  if (blocks == 1) return run(0);
#ifdef SAED_THREAD_SANITIZER
  // TBB's library is not instrumented. The sanitizer is told what it guarantees: the caller's work
  // so far happens before every block, and every block before the caller goes on.
  char begun = 0, ended = 0;
  __tsan_release(&begun);
  // Reads what it captured before it can say that this is safe.
  const auto told = [&](int64_t b) __attribute__((no_sanitize_thread)) {
    __tsan_acquire(&begun);
    run(b);
    __tsan_release(&ended);
  };
  tbb::parallel_for(int64_t{0}, blocks, told);
  __tsan_acquire(&ended);
#else
  tbb::parallel_for(int64_t{0}, blocks, run);
#endif
}

}  // namespace saed::sae
