// For long computations beside threads that answer people.
#pragma once

#include <sched.h>

#include <cstdint>
#include <ctime>

namespace saed {

// Lets threads that wait for this processor have it; at most 5,000 times a second, so that it may
// be called often. Kernels with lazy preemption let a thread of low priority compute on until it
// enters the kernel or until the next tick, which comes milliseconds later: a call that arrives
// would wait so long. Thread-safe.
inline void MakeWay() {
  constexpr int64_t kInterval = 200'000;  // ns
  thread_local int64_t last = 0;
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  const int64_t at = int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
  if (at - last < kInterval) return;
  last = at;
  sched_yield();
}

}  // namespace saed
