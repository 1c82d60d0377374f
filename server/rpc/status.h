// From absl::Status to grpc::Status with google.rpc details.
#pragma once

#include <grpcpp/support/status.h>

#include "absl/status/status.h"

namespace saed::rpc {

// BadRequest for the faults the status carries, ErrorInfo with its reason (domain "saed"), and
// RetryInfo for UNAVAILABLE and RESOURCE_EXHAUSTED.
grpc::Status ToGrpc(const absl::Status& status);

}  // namespace saed::rpc
