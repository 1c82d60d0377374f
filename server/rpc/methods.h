// The methods of the interface as functions of their requests. How a call begins and ends is here.
#pragma once

#include <google/protobuf/message.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/support/method_handler.h>
#include <grpcpp/support/sync_stream.h>

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "server/rpc/context.h"

namespace saed::rpc {

// "JobService.CancelJob" for a CancelJobRequest, as rules.h has it: every method has a request of
// its own.
std::string MethodOf(const google::protobuf::Descriptor& request);

// A function is called once the gate let its caller in (Gate::Enter), and the status it returns is
// the call's. It may be called by many threads at once.
class Methods {
 public:
  explicit Methods(Context& context) : context_(context) {}
  Methods(const Methods&) = delete;
  Methods& operator=(const Methods&) = delete;

  template <class Request, class Response>
  void Add(absl::Status (*answer)(Context&, const Caller&, const Request&, Response&)) {
    const std::string method = MethodOf(*Request::descriptor());
    using google::protobuf::MessageLite;
    handlers_[method] = std::make_unique<
        grpc::internal::RpcMethodHandler<Methods, Request, Response, MessageLite, MessageLite>>(
        [=](Methods* all, grpc::ServerContext* server, const Request* request, Response* response) {
          return all->Run(method, *server, request, [&](const Caller& caller) {
            return answer(all->context_, caller, *request, *response);
          });
        },
        this);
  }
  // Whose answer is a stream.
  template <class Request, class Response>
  void Add(absl::Status (*answer)(Context&, const Caller&, grpc::ServerContext&, const Request&,
                                  grpc::ServerWriter<Response>&)) {
    const std::string method = MethodOf(*Request::descriptor());
    handlers_[method] =
        std::make_unique<grpc::internal::ServerStreamingHandler<Methods, Request, Response>>(
            [=](Methods* all, grpc::ServerContext* server, const Request* request,
                grpc::ServerWriter<Response>* stream) {
              return all->Run(method, *server, request, [&](const Caller& caller) {
                return answer(all->context_, caller, *server, *request, *stream);
              });
            },
            this);
  }
  // Whose request is a stream; the gate has seen no message of it.
  template <class Request, class Response>
  void Add(absl::Status (*answer)(Context&, const Caller&, grpc::ServerContext&,
                                  grpc::ServerReader<Request>&, Response&)) {
    const std::string method = MethodOf(*Request::descriptor());
    handlers_[method] =
        std::make_unique<grpc::internal::ClientStreamingHandler<Methods, Request, Response>>(
            [=](Methods* all, grpc::ServerContext* server, grpc::ServerReader<Request>* stream,
                Response* response) {
              return all->Run(method, *server, nullptr, [&](const Caller& caller) {
                return answer(all->context_, caller, *server, *stream, *response);
              });
            },
            this);
  }

  // Aborts where no function was added for the method.
  grpc::internal::MethodHandler& HandlerOf(const std::string& method);

 private:
  grpc::Status Run(const std::string& method, const grpc::ServerContext& server,
                   const google::protobuf::Message* request,
                   const std::function<absl::Status(const Caller&)>& answer);

  Context& context_;
  std::map<std::string, std::unique_ptr<grpc::internal::MethodHandler>> handlers_;
};

// Those of each service of proto/saed/v1, some in several parts.
void AddAdminMethods(Methods& methods);
void AddAnnotationMethods(Methods& methods);
void AddComparisonMethods(Methods& methods);
void AddFeatureMethods(Methods& methods);
void AddInferenceMethods(Methods& methods);
void AddJobMethods(Methods& methods);
void AddModelMethods(Methods& methods);
void AddRecordingMethods(Methods& methods);
void AddServerMethods(Methods& methods);
void AddSweepMethods(Methods& methods);
void AddTokenMethods(Methods& methods);

}  // namespace saed::rpc
