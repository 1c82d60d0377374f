// What the services call.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "server/inference/engine.h"
#include "server/jobs/library.h"
#include "server/jobs/scheduler.h"
#include "server/jobs/stores.h"
#include "server/jobs/sweeps.h"
#include "server/observability/metrics.h"
#include "server/recordings/sandbox.h"
#include "server/rpc/gate.h"
#include "server/rpc/stall_guard.h"
#include "storage/backup.h"

namespace saed::rpc {

struct Context {
  jobs::Stores stores;
  const jobs::Clock& clock;
  jobs::Library& library;
  jobs::Scheduler& scheduler;
  jobs::Sweeps& sweeps;
  inference::Engine& engine;
  observability::Metrics& metrics;
  Gate& gate;
  StallGuard& stalls;
  // Into a directory that does not exist.
  std::function<absl::StatusOr<storage::BackupSize>(const std::string&)> backup;
  std::string data_root;              // imports by path are allowed below it; empty: nowhere
  int64_t max_upload_bytes = 0;       // of one file
  int max_calls = 0;                  // at once, streams among them
  const std::atomic<bool>& draining;  // streams end with UNAVAILABLE
  // What shuts in the process that reads files from outside.
  std::vector<recordings::Guard> reader_guards = {};
  int64_t started_at = clock.NowMicros();
};

inline constexpr int64_t kChunk = 1 << 20;

}  // namespace saed::rpc
