#include "server/rpc/interceptor.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <string_view>

#include "absl/status/status.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "server/rpc/rules.h"
#include "storage/objects.h"

namespace saed::rpc {
namespace {

using grpc::experimental::InterceptionHookPoints;

bool Unparsed(const grpc::Status& status) {
  return status.error_code() == grpc::StatusCode::INTERNAL && status.error_message().empty();
}

// The status with the request's id among its details, and where gRPC itself refused a call too
// many, with words and a time for another try.
grpc::Status WithRequestId(const grpc::Status& status, const std::string& id) {
  google::rpc::Status details;
  if (!details.ParseFromString(status.error_details())) details.Clear();
  details.set_code(status.error_code());
  details.set_message(status.error_message());
  // So gRPC refuses bytes that it cannot parse.
  if (Unparsed(status)) details.set_message("the request's bytes are no message of this method");
  if (status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED && details.details().empty()) {
    details.set_message("the server has more calls than it takes at once; try again in a second");
    google::rpc::RetryInfo retry;
    retry.mutable_retry_delay()->set_seconds(1);
    details.add_details()->PackFrom(retry);
  }
  google::rpc::RequestInfo info;
  info.set_request_id(id);
  details.add_details()->PackFrom(info);
  return {status.error_code(), details.message(), details.SerializeAsString()};
}

// What somebody else wrote, as one logfmt value.
std::string Quotable(const std::string& text) {
  std::string out;
  for (const char c : text.substr(0, 500)) {
    out += c == '"' ? '\'' : static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  }
  return out;
}

// The method where there is such a one. Whoever calls chooses the name, so that any name as a
// metric's label would let strangers fill the memory.
std::string KnownMethod(const std::string& method) {
  constexpr std::string_view kOurs = "/saed.v1.";
  if (method == "/grpc.health.v1.Health/Check" || method == "/grpc.health.v1.Health/Watch" ||
      method == "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo") {
    return method;
  }
  if (method.starts_with(kOurs)) {
    std::string name = method.substr(kOurs.size());
    std::replace(name.begin(), name.end(), '/', '.');
    if (FindRule(name) != nullptr) return method;
  }
  return "unknown";
}

// Times one RPC and gives it an id, which its errors carry and the log has beside them.
class OneRpc : public grpc::experimental::Interceptor {
 public:
  OneRpc(std::string method, observability::Metrics& metrics, Gate& gate,
         const grpc::ServerContextBase* server)
      : method_(std::move(method)), metrics_(metrics), gate_(gate), server_(server) {
    metrics_.RpcStarted();
  }
  ~OneRpc() override {
    gate_.Ended(server_, "OK");  // nothing refused it
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start_;
    metrics_.RpcEnded(method_, code_, elapsed.count());
    spdlog::debug("rpc request={} method={} code={} seconds={:.6f}", id_, method_, code_,
                  elapsed.count());
  }

  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS)) {
      const grpc::Status status = methods->GetSendStatus();
      code_ = absl::StatusCodeToString(static_cast<absl::StatusCode>(status.error_code()));
      gate_.Ended(server_, code_);
      if (!status.ok()) {
        const grpc::Status named = WithRequestId(status, id_);
        methods->ModifySendStatus(named);
        // Faults of the server are its keeper's business; who went away is nobody's.
        const bool ours =
            (status.error_code() == grpc::StatusCode::INTERNAL && !Unparsed(status)) ||
            status.error_code() == grpc::StatusCode::DATA_LOSS ||
            status.error_code() == grpc::StatusCode::UNKNOWN;
        const bool gone = status.error_code() == grpc::StatusCode::CANCELLED;
        spdlog::log(ours   ? spdlog::level::err
                    : gone ? spdlog::level::debug
                           : spdlog::level::info,
                    "rpc refused request={} method={} code={} error=\"{}\"", id_, method_, code_,
                    Quotable(named.error_message()));
      }
    }
    methods->Proceed();
  }

 private:
  std::string method_;
  observability::Metrics& metrics_;
  Gate& gate_;
  const grpc::ServerContextBase* server_;
  std::string id_ = storage::NewId();
  // What an RPC ends with whose client went away before any status was sent.
  std::string code_ = "CANCELLED";
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

class Factory : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  Factory(observability::Metrics& metrics, Gate& gate) : metrics_(metrics), gate_(gate) {}
  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo* info) override {
    return new OneRpc(KnownMethod(info->method()), metrics_, gate_, info->server_context());
  }

 private:
  observability::Metrics& metrics_;
  Gate& gate_;
};

}  // namespace

std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> RpcInterceptors(
    observability::Metrics& metrics, Gate& gate) {
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> out;
  out.push_back(std::make_unique<Factory>(metrics, gate));
  return out;
}

}  // namespace saed::rpc
