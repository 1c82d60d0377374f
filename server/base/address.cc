#include "server/base/address.h"

#include <fmt/format.h>

#include <charconv>

namespace saed {
namespace {

constexpr int kLargestPort = 65535;

bool IsPort(std::string_view text) {
  int port = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() && port >= 0 &&
         port <= kLargestPort;
}

}  // namespace

absl::Status CheckAddress(std::string_view flag, std::string_view address) {
  constexpr std::string_view kUnix = "unix:";
  if (address.starts_with(kUnix) && address.size() > kUnix.size()) return absl::OkStatus();
  const size_t colon = address.rfind(':');
  const std::string_view host = address.substr(0, colon);
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  if (colon != std::string_view::npos && IsPort(address.substr(colon + 1)) &&
      (bracketed || host.find(':') == std::string_view::npos)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      fmt::format("{} is '{}'; must be HOST:PORT with a port up to {}, e.g. 127.0.0.1:7070 or "
                  "[::1]:7070",
                  flag, address, kLargestPort));
}

}  // namespace saed
