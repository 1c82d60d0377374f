// JobService.WatchJobs: all jobs that a caller may see, as they change.
#pragma once

#include "absl/status/status.h"
#include "saed/v1/jobs.grpc.pb.h"
#include "server/rpc/context.h"

namespace saed::rpc {

// Until the client goes, the server stops, or the caller's token holds no more.
absl::Status WatchAllJobs(Context& context, const v1::WatchJobsRequest& request,
                          grpc::ServerContext& server,
                          grpc::ServerWriter<v1::WatchJobsResponse>& stream);

}  // namespace saed::rpc
