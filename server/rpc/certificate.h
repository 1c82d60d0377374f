// What a certificate file says of itself.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace saed::rpc {

// When the first certificate of a PEM file expires, s since 1970. UNAVAILABLE where it cannot be
// read, INVALID_ARGUMENT where there is none in it.
absl::StatusOr<int64_t> CertificateExpiry(const std::string& path);

}  // namespace saed::rpc
