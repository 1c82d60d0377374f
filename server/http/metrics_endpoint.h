// Serves /metrics for Prometheus.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/observability/metrics.h"

namespace prometheus {
class Exposer;
}

namespace saed::http {

// Listens as long as it lives.
class MetricsEndpoint {
 public:
  // `address` is host:port; port 0 takes a free one. UNAVAILABLE where it is taken.
  static absl::StatusOr<std::unique_ptr<MetricsEndpoint>> Listen(
      const std::string& address, const observability::Metrics& metrics);
  ~MetricsEndpoint();

  int port() const;

 private:
  MetricsEndpoint() = default;
  std::unique_ptr<prometheus::Exposer> exposer_;
};

}  // namespace saed::http
