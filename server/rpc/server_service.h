#pragma once

#include "saed/v1/server.grpc.pb.h"
#include "server/rpc/context.h"

namespace saed::rpc {

// Implements saed.v1.ServerService; see its .proto. Thread-safe.
class ServerService final : public v1::ServerService::Service {
 public:
  explicit ServerService(Context& context)
      : context_(context), started_at_(context.clock.NowMicros()) {}

  grpc::Status GetServerStatus(grpc::ServerContext*, const v1::GetServerStatusRequest* request,
                               v1::GetServerStatusResponse* response) override;

 private:
  Context& context_;
  int64_t started_at_;
};

}  // namespace saed::rpc
