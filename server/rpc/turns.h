// Turns at work that takes cores for long, so that encoding keeps its pace beside it.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "absl/status/statusor.h"

namespace saed::rpc {

// Thread-safe; must outlive its holds.
class Turns {
 public:
  // So many are at work together; of one known user one.
  explicit Turns(int together) : left_(together) {}

  // Waits for a turn, which lasts until the hold goes; what StillWanted() says where this thread's
  // call ends before.
  absl::StatusOr<std::shared_ptr<const void>> Take();

 private:
  void Return(const std::string& who);

  std::mutex mutex_;
  std::condition_variable free_;
  int left_;
  std::map<std::string, int> at_work_;  // of known users
};

}  // namespace saed::rpc
