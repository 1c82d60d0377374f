#include "server/rpc/door.h"

#include <fmt/format.h>
#include <grpc/byte_buffer.h>
#include <grpc/grpc.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/call.h>
#include <grpcpp/impl/rpc_service_method.h>
#include <grpcpp/support/method_handler.h>

#include <memory>
#include <string>

#include "server/rpc/status.h"

namespace saed::rpc {
namespace {

using grpc::internal::ErrorMethodHandler;
using grpc::internal::MethodHandler;
using grpc::internal::RpcMethod;

struct Release {
  void operator()(grpc_byte_buffer* message) const { grpc_byte_buffer_destroy(message); }
};
using Bytes = std::unique_ptr<grpc_byte_buffer, Release>;

// The call's only message; null where it did not come.
Bytes Receive(const MethodHandler::HandlerParameter& call) {
  grpc_byte_buffer* message = nullptr;
  grpc_op op{};
  op.op = GRPC_OP_RECV_MESSAGE;
  op.data.recv_message.recv_message = &message;
  if (grpc_call_start_batch(call.call->call(), &op, 1, &op, nullptr) != GRPC_CALL_OK)
    return nullptr;
  grpc_completion_queue_pluck(call.call->cq()->cq(), &op, gpr_inf_future(GPR_CLOCK_MONOTONIC),
                              nullptr);
  return Bytes(message);
}

class AtTheDoor : public MethodHandler {
 public:
  AtTheDoor(MethodHandler& inner, std::string method, bool reads, Gate& gate, StallGuard& arrivals)
      : inner_(inner),
        method_(std::move(method)),
        reads_(reads),
        gate_(gate),
        arrivals_(arrivals) {}

  void RunHandler(const HandlerParameter& call) override {
    auto& server = static_cast<grpc::ServerContext&>(*call.server_context);
    auto place = gate_.Arrive(server, method_);
    if (!place.ok())
      return reads_ ? Refuse(call, ToGrpc(place.status())) : Turn(call, place.status());
    if (!reads_) return inner_.RunHandler(call);
    Bytes message;
    {
      const StallGuard::Stream arriving(arrivals_, server);
      message = Receive(call);
    }
    if (!message) return Refuse(call, {grpc::StatusCode::CANCELLED, "the request never came"});
    // What is read from bytes takes about as much again.
    const auto memory =
        gate_.memory().Take(2 * static_cast<int64_t>(grpc_byte_buffer_length(message.get())));
    if (!memory.ok()) return Refuse(call, ToGrpc(memory.status()));
    grpc::Status status;
    void* request = inner_.Deserialize(call.call->call(), message.release(), &status, nullptr);
    inner_.RunHandler({call.call, call.server_context, request, status, nullptr, nullptr});
  }

 private:
  void Refuse(const HandlerParameter& call, const grpc::Status& why) {
    inner_.RunHandler({call.call, call.server_context, nullptr, why, nullptr, nullptr});
  }

  // A client's stream, of which nothing is read.
  static void Turn(const HandlerParameter& call, const absl::Status& why) {
    const std::string message(why.message());
    if (absl::IsUnauthenticated(why)) {
      ErrorMethodHandler<grpc::StatusCode::UNAUTHENTICATED>(message).RunHandler(call);
    } else if (absl::IsResourceExhausted(why)) {
      ErrorMethodHandler<grpc::StatusCode::RESOURCE_EXHAUSTED>(message).RunHandler(call);
    } else {
      ErrorMethodHandler<grpc::StatusCode::UNAVAILABLE>(message).RunHandler(call);
    }
  }

  MethodHandler& inner_;
  std::string method_;  // as in rules.h
  bool reads_;          // the call has one message, and it is read here
  Gate& gate_;
  StallGuard& arrivals_;
};

}  // namespace

Door::Door(const google::protobuf::ServiceDescriptor& service, Methods& methods, Gate& gate,
           StallGuard& arrivals) {
  for (int i = 0; i < service.method_count(); ++i) {
    const auto& method = *service.method(i);
    const bool reads = !method.client_streaming();
    // To gRPC the call is a stream of which nothing was read.
    const auto type = reads ? RpcMethod::BIDI_STREAMING : RpcMethod::CLIENT_STREAMING;
    names_.push_back(fmt::format("/{}/{}", service.full_name(), method.name()));
    const std::string name = MethodOf(*method.input_type());
    AddMethod(new grpc::internal::RpcServiceMethod(
        names_.back().c_str(), type,
        new AtTheDoor(methods.HandlerOf(name), name, reads, gate, arrivals)));
  }
}

}  // namespace saed::rpc
