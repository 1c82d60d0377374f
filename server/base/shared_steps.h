// Searches that share the steps of one.
#pragma once

#include <cstdint>
#include <optional>

namespace saed {

// While one lives, all reads of its thread for a call take together no more steps than one alone
// may (storage/readers.h), so that a request which needs many costs no more than one that needs
// one. Not thread-safe; made and destroyed on the thread, the last made first.
class SharedSteps {
 public:
  SharedSteps() : SharedSteps(nullptr) {}
  // With `of`, shares with the thread that has it, which waits meanwhile.
  explicit SharedSteps(SharedSteps* of);
  ~SharedSteps();
  SharedSteps(const SharedSteps&) = delete;
  SharedSteps& operator=(const SharedSteps&) = delete;

  // Of this thread; null where each read has its own.
  static SharedSteps* Current();

  // What is left of `most`, the steps of one read.
  int64_t Left(int64_t most) const { return left_->value_or(most); }
  void Leave(int64_t left) { *left_ = left; }

 private:
  std::optional<int64_t> own_;  // empty: nothing was read yet
  std::optional<int64_t>* left_;
  SharedSteps* before_;
};

}  // namespace saed
