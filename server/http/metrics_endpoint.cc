#include "server/http/metrics_endpoint.h"

#include <fmt/format.h>
#include <prometheus/exposer.h>

namespace saed::http {

absl::StatusOr<std::unique_ptr<MetricsEndpoint>> MetricsEndpoint::Listen(
    const std::string& address, const observability::Metrics& metrics) {
  std::unique_ptr<MetricsEndpoint> endpoint(new MetricsEndpoint);
  try {
    endpoint->exposer_ = std::make_unique<prometheus::Exposer>(address, 2);
  } catch (const std::exception&) {
    // The library does not say which.
    return absl::UnavailableError(
        fmt::format("cannot serve metrics on {}: another program listens there, or this machine "
                    "does not have the address; choose another --metrics-listen",
                    address));
  }
  for (const auto& collectable : metrics.Collectables()) {
    endpoint->exposer_->RegisterCollectable(collectable);
  }
  return endpoint;
}

MetricsEndpoint::~MetricsEndpoint() = default;

int MetricsEndpoint::port() const {
  const auto ports = exposer_->GetListeningPorts();
  return ports.empty() ? 0 : ports[0];
}

}  // namespace saed::http
