// How many processes read at the same time, so that all of them together take no more memory than
// is set aside for them, however many imports come at once.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>

#include "absl/status/statusor.h"

namespace saed::recordings {

// Thread-safe; must outlive its places.
class ReaderPlaces {
 public:
  // Gives its part back when the last copy goes.
  using Place = std::shared_ptr<const void>;

  struct Limits {
    int64_t memory_bytes = 0;  // of all readers
    int readers = 1;           // at once
    int waiting = 0;           // more are refused at once
    double patience = 600;     // s of waiting
  };

  explicit ReaderPlaces(const Limits& limits) : limits_(limits) {}

  // A place for a reader that may take so much memory. Those who came first go first; one that may
  // take more than there is reads alone. CANCELLED as soon as `stop`, which is asked every 50 ms,
  // says so; RESOURCE_EXHAUSTED where too many wait already or it took longer than the patience.
  absl::StatusOr<Place> Take(int64_t memory_bytes, const std::function<bool()>& stop);

 private:
  void Return(int64_t memory_bytes);
  absl::Status Busy(const char* why) const;

  const Limits limits_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::list<int> waiting_;  // a place in the queue each, in order of arrival
  int64_t held_ = 0;
  int readers_ = 0;
};

}  // namespace saed::recordings
