#pragma once

#include "saed/v1/models.grpc.pb.h"
#include "server/rpc/context.h"

namespace saed::rpc {

// Implements saed.v1.ModelService; see its .proto. Thread-safe.
class ModelService final : public v1::ModelService::Service {
 public:
  explicit ModelService(Context& context) : context_(context) {}

  grpc::Status GetModel(grpc::ServerContext*, const v1::GetModelRequest* request,
                        v1::GetModelResponse* response) override;
  grpc::Status ListModels(grpc::ServerContext*, const v1::ListModelsRequest* request,
                          v1::ListModelsResponse* response) override;
  grpc::Status UpdateModel(grpc::ServerContext*, const v1::UpdateModelRequest* request,
                           v1::UpdateModelResponse* response) override;
  grpc::Status DeleteModel(grpc::ServerContext*, const v1::DeleteModelRequest* request,
                           v1::DeleteModelResponse*) override;
  grpc::Status DownloadModel(grpc::ServerContext*, const v1::DownloadModelRequest* request,
                             grpc::ServerWriter<v1::DownloadModelResponse>* stream) override;
  grpc::Status ImportModel(grpc::ServerContext*, grpc::ServerReader<v1::ImportModelRequest>* stream,
                           v1::ImportModelResponse* response) override;

 private:
  Context& context_;
};

}  // namespace saed::rpc
