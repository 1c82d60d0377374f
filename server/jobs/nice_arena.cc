#include "server/jobs/nice_arena.h"

#include <spdlog/spdlog.h>

#include <system_error>
#include <utility>

#include "server/base/nice.h"

namespace saed::jobs {

NiceArena::NiceArena(int threads)
    : arena_(threads, static_cast<unsigned>(threads)), end_(waiting_.defer([] {})) {
  try {
    for (int i = 1; i < threads; ++i) {
      threads_.emplace_back([this] {
        BeNice();
        arena_.execute([this] { waiting_.wait(); });
      });
    }
  } catch (const std::system_error& e) {
    // Fewer threads give the same results, later.
    spdlog::warn("a job of {} threads has {} error=\"{}\"", threads, threads_.size() + 1, e.what());
  }
}

NiceArena::~NiceArena() {
  // In the arena: elsewhere it would ask for a worker of TBB's, which a nice thread makes nice.
  arena_.execute([this] {
    waiting_.run(std::move(end_));
    waiting_.wait();
  });
  for (std::thread& thread : threads_) thread.join();
}

}  // namespace saed::jobs
