// Between sweeps' messages and their types.
#pragma once

#include "absl/status/statusor.h"
#include "saed/v1/sweeps.pb.h"
#include "server/jobs/sweep_spec.h"
#include "server/jobs/sweeps.h"

namespace saed::rpc {

// Every fault at once, on fields of "spec".
absl::StatusOr<jobs::SweepSpec> FromProto(const v1::SweepSpec& message);
v1::SweepSpec ToProto(const jobs::SweepSpec& spec);
// Without trials.
absl::StatusOr<v1::Sweep> ToProto(const storage::SweepRow& row);
absl::StatusOr<v1::Sweep> ToProto(const jobs::SweepReport& report);

}  // namespace saed::rpc
