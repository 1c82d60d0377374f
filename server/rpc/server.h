// The gRPC server: all services, health and reflection on one port.
#pragma once

#include <grpcpp/server.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/rpc/context.h"

namespace saed::rpc {

// The largest message accepted, bytes. Tensors are limited to 64 MiB by their own check.
inline constexpr int kMaxMessageBytes = 68 << 20;

// PEM files; they are read again every few seconds, so that a new certificate needs no restart.
struct TlsFiles {
  std::string certificate, key;  // empty: no TLS
  std::string client_ca;  // clients must show a certificate that it signed; empty: they need none
  bool empty() const { return certificate.empty(); }
};

// When connections end by themselves.
struct ConnectionLimits {
  // A client is asked for a sign of life after so many seconds without any, and given up after
  // twenty more, or half as many where that is less.
  double keepalive_seconds = 60;
  double idle_seconds = 1800;     // a connection without calls
  double handshake_seconds = 20;  // one that does not begin to speak
  double request_seconds = 60;    // a call whose message does not come, at most half as much later
};

class RpcServer {
 public:
  // `address` is host:port; port 0 takes a free one. UNAVAILABLE where it is taken. The context
  // must outlive the server.
  static absl::StatusOr<std::unique_ptr<RpcServer>> Listen(const std::string& address,
                                                           const TlsFiles& tls,
                                                           const ConnectionLimits& limits,
                                                           Context& context);
  ~RpcServer();

  int port() const { return port_; }
  // Health goes NOT_SERVING, so that clients which ask go elsewhere; calls are still answered.
  void StopServing();
  // StopServing(); open calls get `seconds` to end and are then cut.
  void Shutdown(double seconds);

  // A channel that never leaves the process; for doors that must pass the same checks.
  std::shared_ptr<grpc::Channel> InProcessChannel();

 private:
  struct Services;
  RpcServer() = default;

  std::unique_ptr<Services> services_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
};

}  // namespace saed::rpc
