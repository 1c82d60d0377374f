#include "server/rpc/methods.h"

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>

#include <cstdlib>

#include "server/rpc/status.h"

namespace saed::rpc {
namespace {

[[noreturn]] void Lacks(const std::string& what) {
  fmt::print(stderr, "saed: {}\n", what);
  std::abort();
}

}  // namespace

std::string MethodOf(const google::protobuf::Descriptor& request) {
  const google::protobuf::FileDescriptor& file = *request.file();
  for (int s = 0; s < file.service_count(); ++s) {
    const auto& service = *file.service(s);
    for (int m = 0; m < service.method_count(); ++m) {
      if (service.method(m)->input_type() != &request) continue;
      return fmt::format("{}.{}", service.name(), service.method(m)->name());
    }
  }
  Lacks(fmt::format("{} is no method's request", request.full_name()));
}

grpc::internal::MethodHandler& Methods::HandlerOf(const std::string& method) {
  const auto at = handlers_.find(method);
  if (at == handlers_.end()) Lacks(method + " has no function");
  return *at->second;
}

grpc::Status Methods::Run(const std::string& method, const grpc::ServerContext& server,
                          const google::protobuf::Message* request,
                          const std::function<absl::Status(const Caller&)>& answer) {
  const auto caller = context_.gate.Enter(server, method, request);
  return ToGrpc(caller.ok() ? answer(*caller) : caller.status());
}

}  // namespace saed::rpc
