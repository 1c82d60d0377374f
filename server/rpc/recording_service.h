#pragma once

#include "saed/v1/recordings.grpc.pb.h"
#include "server/rpc/context.h"

namespace saed::rpc {

// Implements saed.v1.RecordingService; see its .proto. Thread-safe.
class RecordingService final : public v1::RecordingService::Service {
 public:
  explicit RecordingService(Context& context) : context_(context) {}

  grpc::Status ImportRecording(grpc::ServerContext*,
                               grpc::ServerReader<v1::ImportRecordingRequest>* stream,
                               v1::ImportRecordingResponse* response) override;
  grpc::Status SimulateRecording(grpc::ServerContext*, const v1::SimulateRecordingRequest* request,
                                 v1::SimulateRecordingResponse* response) override;
  grpc::Status GetRecording(grpc::ServerContext*, const v1::GetRecordingRequest* request,
                            v1::GetRecordingResponse* response) override;
  grpc::Status ListRecordings(grpc::ServerContext*, const v1::ListRecordingsRequest* request,
                              v1::ListRecordingsResponse* response) override;
  grpc::Status DeleteRecording(grpc::ServerContext*, const v1::DeleteRecordingRequest* request,
                               v1::DeleteRecordingResponse* response) override;
  grpc::Status UpdateRecording(grpc::ServerContext* server,
                               const v1::UpdateRecordingRequest* request,
                               v1::UpdateRecordingResponse* response) override;
  grpc::Status ListUnits(grpc::ServerContext*, const v1::ListUnitsRequest* request,
                         v1::ListUnitsResponse* response) override;
  grpc::Status ListIntervalTables(grpc::ServerContext*,
                                  const v1::ListIntervalTablesRequest* request,
                                  v1::ListIntervalTablesResponse* response) override;
  grpc::Status ListFormats(grpc::ServerContext*, const v1::ListFormatsRequest* request,
                           v1::ListFormatsResponse* response) override;
  grpc::Status DetectFormat(grpc::ServerContext*, const v1::DetectFormatRequest* request,
                            v1::DetectFormatResponse* response) override;
  grpc::Status DownloadRecording(
      grpc::ServerContext* server, const v1::DownloadRecordingRequest* request,
      grpc::ServerWriter<v1::DownloadRecordingResponse>* stream) override;

 private:
  Context& context_;
};

}  // namespace saed::rpc
