#include "server/rpc/stall_guard.h"

#include <spdlog/spdlog.h>

namespace saed::rpc {

StallGuard::StallGuard(double seconds) : limit_(seconds), thread_([this] { Loop(); }) {}

StallGuard::~StallGuard() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void StallGuard::Loop() {
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, limit_ / 2, [&] { return stopping_; })) {
    const auto now = std::chrono::steady_clock::now();
    for (Stream* stream : streams_) {
      if (now - stream->moved_.load() < limit_) continue;
      spdlog::warn("stream stalled seconds={} peer=\"{}\"; it is cancelled", limit_.count(),
                   stream->context_.peer());
      stream->context_.TryCancel();
      stream->Moved();  // said once
    }
  }
}

StallGuard::Stream::Stream(StallGuard& guard, grpc::ServerContext& context)
    : guard_(guard), context_(context) {
  const std::lock_guard lock(guard_.mutex_);
  guard_.streams_.insert(this);
}

StallGuard::Stream::~Stream() {
  const std::lock_guard lock(guard_.mutex_);
  guard_.streams_.erase(this);
}

}  // namespace saed::rpc
