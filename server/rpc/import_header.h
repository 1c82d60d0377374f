// What the header of an import asks for, and faults in its words.
#pragma once

#include "absl/status/statusor.h"
#include "saed/v1/recordings.pb.h"
#include "server/recordings/import.h"

namespace saed::rpc {

// INVALID_ARGUMENT on the field of the header that is wrong.
absl::StatusOr<recordings::ImportSpec> ImportSpecOf(const v1::ImportHeader& header);

// Faults of the files and options as a reader names them, on the fields of the request.
absl::Status InWordsOfTheHeader(const absl::Status& status);

}  // namespace saed::rpc
