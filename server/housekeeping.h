// What has to be tidied up now and then while the server runs.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

#include "server/jobs/stores.h"
#include "storage/people_table.h"

namespace saed {

struct HousekeepingOptions {
  // Progress of jobs that ended longer ago is thinned to about kKeptProgress records a job; 0:
  // never.
  int keep_progress_days = 30;
  int keep_audit_days = 730;  // records of the audit log; 0: for ever
};

inline constexpr int kKeptProgress = 200;

// Thread-safe.
class Housekeeping {
 public:
  // Begins a thread that tidies up at once and every hour; every minute it tries again to remove
  // objects that the disk kept, and stores when tokens were last used, as at the end. The stores
  // and clock must outlive it.
  Housekeeping(const jobs::Stores& stores, storage::PeopleTable& people, const jobs::Clock& clock,
               HousekeepingOptions options);
  ~Housekeeping();  // Stop()
  void Stop();

 private:
  void Loop();
  void TidyUp();
  void SaveUsed();

  jobs::Stores stores_;
  storage::PeopleTable& people_;
  const jobs::Clock& clock_;
  HousekeepingOptions options_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace saed
