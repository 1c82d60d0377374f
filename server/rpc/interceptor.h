// Counts, times and names every RPC.
#pragma once

#include <grpcpp/support/server_interceptor.h>

#include <memory>
#include <vector>

#include "server/observability/metrics.h"
#include "server/rpc/gate.h"

namespace saed::rpc {

std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> RpcInterceptors(
    observability::Metrics& metrics, Gate& gate);

}  // namespace saed::rpc
