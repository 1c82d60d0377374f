// Where a job computes: a TBB arena whose threads are its own, each with a nicer priority than the
// rest of the server.
#pragma once

#include <tbb/task_arena.h>
#include <tbb/task_group.h>

#include <thread>
#include <vector>

namespace saed::jobs {

// TBB's workers are shared by all arenas, so one that was made nice for a job would encode nicely
// afterwards, behind other jobs. All places of this arena are kept for threads that are the
// arena's, are nice from their start and end with it. Made, used and destroyed by one thread, which
// does all its parallel work in it: a worker that a nice thread asks TBB for elsewhere is nice,
// too.
class NiceArena {
 public:
  // The caller is one of its `threads` (at least 1) while it is in arena().execute.
  explicit NiceArena(int threads);
  ~NiceArena();
  NiceArena(const NiceArena&) = delete;
  NiceArena& operator=(const NiceArena&) = delete;

  tbb::task_arena& arena() { return arena_; }

 private:
  tbb::task_arena arena_;
  // The threads wait in the arena for a task that is run at the end; who waits takes other tasks.
  tbb::task_group waiting_;
  tbb::task_handle end_;
  std::vector<std::thread> threads_;
};

}  // namespace saed::jobs
