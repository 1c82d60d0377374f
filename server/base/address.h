// Addresses that people give: HOST:PORT.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace saed {

// OK of "HOST:PORT", "[IPV6]:PORT" and ":PORT", with a port of 0 to 65535, and of "unix:PATH".
// INVALID_ARGUMENT, which names `flag`, of all else: gRPC takes the port 99999 for 34463.
absl::Status CheckAddress(std::string_view flag, std::string_view address);

}  // namespace saed
