#include "server/jobs/nice_arena.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <set>
#include <thread>

#include "server/base/nice.h"
#include "server/sae/parallel.h"

namespace saed::jobs {
namespace {

int Niceness() { return getpriority(PRIO_PROCESS, 0); }

// How nice the threads were that took part; each task waits until `threads` are there, or a while.
std::multiset<int> Niceness(tbb::task_arena& arena, int threads) {
  std::mutex mutex;
  std::set<std::thread::id> seen;
  std::multiset<int> out;
  std::atomic<int> there = 0;
  arena.execute([&] {
    // So many that each thread gets some, however they are dealt.
    sae::ForBlocks(16 * threads, 1, [&](int64_t, int64_t, int64_t) {
      {
        const std::lock_guard lock(mutex);
        if (seen.insert(std::this_thread::get_id()).second) {
          out.insert(Niceness());
          ++there;
        }
      }
      const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(2);
      while (there < threads && std::chrono::steady_clock::now() < until) {
        std::this_thread::yield();
      }
    });
  });
  return out;
}

// A wide job's workers encoded at nice 10 afterwards.
TEST(NiceArena, ItsThreadsAreItsOwn) {
  const int before = Niceness();
  std::thread job([&] {
    BeNice();
    NiceArena nice(3);
    const auto all = Niceness(nice.arena(), 3);
    EXPECT_EQ(all.size(), 3U) << "as many threads as it was asked for, whatever the machine has";
    EXPECT_EQ(all.count(10), all.size());
  });
  job.join();
  tbb::task_arena others(2);
  const auto all = Niceness(others, 2);
  EXPECT_EQ(all.count(before), all.size()) << "whoever encodes is not nice";
  EXPECT_EQ(Niceness(), before);
}

TEST(NiceArena, ComesAndGoesWithoutWork) {
  for (int i = 0; i < 20; ++i) NiceArena(4).arena();
  NiceArena one(1);
  int sum = 0;
  one.arena().execute([&] { sum = 7; });
  EXPECT_EQ(sum, 7);
}

}  // namespace
}  // namespace saed::jobs
