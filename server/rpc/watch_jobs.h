// JobService.WatchJobs: all jobs that a caller may see, as they change.
#pragma once

#include <grpcpp/support/sync_stream.h>

#include "absl/status/status.h"
#include "saed/v1/jobs.pb.h"
#include "server/rpc/context.h"

namespace saed::rpc {

// Until the client goes, the server stops, or the caller's token holds no more.
absl::Status WatchJobs(Context& context, const Caller&, grpc::ServerContext& server,
                       const v1::WatchJobsRequest& request,
                       grpc::ServerWriter<v1::WatchJobsResponse>& stream);

}  // namespace saed::rpc
