#pragma once

#include "saed/v1/sweeps.grpc.pb.h"
#include "server/rpc/context.h"

namespace saed::rpc {

// Implements saed.v1.SweepService; see its .proto. Thread-safe.
class SweepService final : public v1::SweepService::Service {
 public:
  explicit SweepService(Context& context) : context_(context) {}

  grpc::Status CreateSweep(grpc::ServerContext*, const v1::CreateSweepRequest* request,
                           v1::CreateSweepResponse* response) override;
  grpc::Status GetSweep(grpc::ServerContext*, const v1::GetSweepRequest* request,
                        v1::GetSweepResponse* response) override;
  grpc::Status ListSweeps(grpc::ServerContext*, const v1::ListSweepsRequest* request,
                          v1::ListSweepsResponse* response) override;
  grpc::Status WatchSweep(grpc::ServerContext* server, const v1::WatchSweepRequest* request,
                          grpc::ServerWriter<v1::WatchSweepResponse>* stream) override;
  grpc::Status CancelSweep(grpc::ServerContext*, const v1::CancelSweepRequest* request,
                           v1::CancelSweepResponse* response) override;
  grpc::Status DeleteSweep(grpc::ServerContext*, const v1::DeleteSweepRequest* request,
                           v1::DeleteSweepResponse*) override;

 private:
  Context& context_;
};

}  // namespace saed::rpc
