// When the keeper's work was last done, over restarts.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "storage/database.h"

namespace saed::storage {

// Thread-safe.
class ChoresTable {
 public:
  explicit ChoresTable(Database& db) : db_(db) {}

  absl::Status Done(const std::string& name, int64_t now);
  // µs since 1970, by name.
  absl::StatusOr<std::map<std::string, int64_t>> LastDone();

 private:
  Database& db_;
};

}  // namespace saed::storage
