// What DownloadRecording sends.
#pragma once

#include <grpcpp/grpcpp.h>

#include "saed/v1/recordings.grpc.pb.h"
#include "server/rpc/context.h"

namespace saed::rpc {

// Sends a recording's spike times or counts, or one of its tables or series. NOT_FOUND where
// the recording has none of that name. Blocks while the client reads.
absl::Status SendRecording(Context& context, const std::string& id,
                           const v1::DownloadRecordingRequest& request, grpc::ServerContext& server,
                           grpc::ServerWriter<v1::DownloadRecordingResponse>& stream);

}  // namespace saed::rpc
