#pragma once

#include "saed/v1/inference.grpc.pb.h"
#include "server/rpc/context.h"

namespace saed::rpc {

// Implements saed.v1.InferenceService; see its .proto. Thread-safe.
class InferenceService final : public v1::InferenceService::Service {
 public:
  explicit InferenceService(Context& context) : context_(context) {}

  grpc::Status Encode(grpc::ServerContext*, const v1::EncodeRequest* request,
                      v1::EncodeResponse* response) override;

 private:
  Context& context_;
};

}  // namespace saed::rpc
