// Ends streams whose clients neither send nor take anything for too long: each holds a thread, and
// uploads hold disk.
#pragma once

#include <grpcpp/server_context.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

namespace saed::rpc {

// Thread-safe; must outlive its streams.
class StallGuard {
 public:
  // Streams are cancelled after so many seconds without Moved(), at most half as much later.
  explicit StallGuard(double seconds);
  ~StallGuard();
  StallGuard(const StallGuard&) = delete;
  StallGuard& operator=(const StallGuard&) = delete;

  // One stream, for as long as its client is to send or take something.
  class Stream {
   public:
    // `context` must outlive it.
    Stream(StallGuard& guard, grpc::ServerContext& context);
    ~Stream();
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    void Moved() { moved_ = std::chrono::steady_clock::now(); }

   private:
    friend class StallGuard;
    StallGuard& guard_;
    grpc::ServerContext& context_;
    std::atomic<std::chrono::steady_clock::time_point> moved_{std::chrono::steady_clock::now()};
  };

 private:
  void Loop();

  const std::chrono::duration<double> limit_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::set<Stream*> streams_;
  std::thread thread_;
};

}  // namespace saed::rpc
