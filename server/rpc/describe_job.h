// A job as a caller may see it, and which jobs they ask for.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "saed/v1/jobs.pb.h"
#include "server/rpc/context.h"

namespace saed::rpc {

// The row, and what only the scheduler knows of it, without what the caller may not see.
absl::StatusOr<v1::Job> DescribeJob(Context& context, const Caller& caller,
                                    const storage::JobRow& row);

// INVALID_ARGUMENT on "filter".
absl::StatusOr<storage::JobQuery> JobQueryOf(Context& context, const Caller& caller,
                                             const std::string& filter, bool trials);

}  // namespace saed::rpc
