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
  grpc::Status DeleteDictionary(grpc::ServerContext*, const v1::DeleteDictionaryRequest* request,
                                v1::DeleteDictionaryResponse*) override;
  grpc::Status ListFeatures(grpc::ServerContext*, const v1::ListFeaturesRequest* request,
                            v1::ListFeaturesResponse* response) override;
  grpc::Status GetFeature(grpc::ServerContext*, const v1::GetFeatureRequest* request,
                          v1::GetFeatureResponse* response) override;
  grpc::Status GetActivations(grpc::ServerContext* server, const v1::GetActivationsRequest* request,
                              grpc::ServerWriter<v1::GetActivationsResponse>* stream) override;
  grpc::Status CreateAnnotation(grpc::ServerContext*, const v1::CreateAnnotationRequest* request,
                                v1::CreateAnnotationResponse* response) override;
  grpc::Status ListAnnotations(grpc::ServerContext*, const v1::ListAnnotationsRequest* request,
                               v1::ListAnnotationsResponse* response) override;
  grpc::Status DeleteAnnotation(grpc::ServerContext*, const v1::DeleteAnnotationRequest* request,
                                v1::DeleteAnnotationResponse* response) override;
  grpc::Status MatchFeatures(grpc::ServerContext* server, const v1::MatchFeaturesRequest* request,
                             v1::MatchFeaturesResponse* response) override;
  grpc::Status ListNearestFeatures(grpc::ServerContext*,
                                   const v1::ListNearestFeaturesRequest* request,
                                   v1::ListNearestFeaturesResponse* response) override;
  grpc::Status PoolCondition(grpc::ServerContext*, const v1::PoolConditionRequest* request,
                             v1::PoolConditionResponse* response) override;
  grpc::Status RenderReport(grpc::ServerContext* server, const v1::RenderReportRequest* request,
                            grpc::ServerWriter<v1::RenderReportResponse>* stream) override;

 private:
  Context& context_;
};

}  // namespace saed::rpc
