#pragma once

#include "saed/v1/features.grpc.pb.h"
#include "server/rpc/context.h"

namespace saed::rpc {

// Implements saed.v1.FeatureService; see its .proto. Thread-safe.
class FeatureService final : public v1::FeatureService::Service {
 public:
  explicit FeatureService(Context& context) : context_(context) {}

  grpc::Status GetDictionary(grpc::ServerContext*, const v1::GetDictionaryRequest* request,
                             v1::GetDictionaryResponse* response) override;
  grpc::Status ListDictionaries(grpc::ServerContext*, const v1::ListDictionariesRequest* request,
                                v1::ListDictionariesResponse* response) override;
  grpc::Status ListFeatures(grpc::ServerContext*, const v1::ListFeaturesRequest* request,
                            v1::ListFeaturesResponse* response) override;
  grpc::Status GetFeature(grpc::ServerContext*, const v1::GetFeatureRequest* request,
                          v1::GetFeatureResponse* response) override;
  grpc::Status GetActivations(grpc::ServerContext* server, const v1::GetActivationsRequest* request,
                              grpc::ServerWriter<v1::GetActivationsResponse>* stream) override;

 private:
  Context& context_;
};

}  // namespace saed::rpc
