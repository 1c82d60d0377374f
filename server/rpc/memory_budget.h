// Memory that calls may take together. A call says what it is about to need before it takes it, and
// is refused where that is not left, so that many large calls at once do not fell the server.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "absl/status/statusor.h"

namespace saed::rpc {

// Thread-safe; must outlive its holds.
class MemoryBudget {
 public:
  // Gives its part back when the last copy goes.
  using Hold = std::shared_ptr<const void>;

  explicit MemoryBudget(int64_t bytes) : bytes_(bytes) {}

  // RESOURCE_EXHAUSTED where `bytes` and what others hold are over the budget, or where the user
  // that this thread works for (on_behalf.h) would hold more than half of it and a sixteenth for
  // small calls: nobody keeps the others out. More than half counts as half, so that one large call
  // is admitted beside the usual small ones.
  absl::StatusOr<Hold> Take(int64_t bytes);

  int64_t held() const;
  int64_t bytes() const { return bytes_; }
  int64_t most() const { return bytes_ / 2; }  // of one call

 private:
  void Return(const std::string& user, int64_t bytes);

  const int64_t bytes_;
  mutable std::mutex mutex_;
  int64_t held_ = 0;
  std::map<std::string, int64_t> held_by_;  // of known users
};

}  // namespace saed::rpc
