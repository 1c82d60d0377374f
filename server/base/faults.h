// Errors that name the field, the value and what would be right.
//
// A validator collects every fault it finds in `Faults` and turns them into one
// INVALID_ARGUMENT status. The faults travel in the status' payload, so that the RPC layer can
// translate them into google.rpc.BadRequest without knowing where they came from.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace saed {

struct FieldFault {
  std::string field;        // path of the field as the user wrote it, e.g. "view.bin_width"
  std::string description;  // the value given and what would be right
};

// Collects faults; not thread-safe.
class Faults {
 public:
  void Add(std::string_view field, std::string_view description);
  // Adds every fault that `status` carries, each field prefixed with `prefix` and a dot.
  void Merge(const absl::Status& status, std::string_view prefix = "");
  bool empty() const { return faults_.empty(); }
  // OK where nothing was added; otherwise INVALID_ARGUMENT with all faults in message and payload.
  absl::Status ToStatus() const;

 private:
  std::vector<FieldFault> faults_;
};

// INVALID_ARGUMENT for a single field.
absl::Status InvalidField(std::string_view field, std::string_view description);

// Faults carried by a status; empty where there are none.
std::vector<FieldFault> FaultsOf(const absl::Status& status);

// Attaches a stable machine-readable reason (google.rpc.ErrorInfo.reason), e.g. "MODEL_NOT_READY".
absl::Status WithReason(absl::Status status, std::string_view reason);

// The reason attached to a status, or one derived from its code ("NOT_FOUND").
std::string ReasonOf(const absl::Status& status);

// How long a caller had better wait before another try (google.rpc.RetryInfo), s.
absl::Status WithRetryAfter(absl::Status status, int seconds);
// What was attached; 1 where nothing was.
int RetryAfter(const absl::Status& status);

}  // namespace saed
