#include "server/rpc/server.h"

#include <fmt/format.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>

#include <chrono>

#include "server/rpc/feature_service.h"
#include "server/rpc/inference_service.h"
#include "server/rpc/interceptor.h"
#include "server/rpc/job_service.h"
#include "server/rpc/model_service.h"
#include "server/rpc/recording_service.h"
#include "server/rpc/server_service.h"
#include "server/rpc/sweep_service.h"

namespace saed::rpc {

struct RpcServer::Services {
  explicit Services(Context& context)
      : recordings(context),
        jobs(context),
        models(context),
        inference(context),
        features(context),
        server(context),
        sweeps(context) {}
  RecordingService recordings;
  JobService jobs;
  ModelService models;
  InferenceService inference;
  FeatureService features;
  ServerService server;
  SweepService sweeps;
};

absl::StatusOr<std::unique_ptr<RpcServer>> RpcServer::Listen(const std::string& address,
                                                             Context& context) {
  static const bool plugins = [] {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    return true;
  }();
  (void)plugins;
  std::unique_ptr<RpcServer> out(new RpcServer);
  out->services_ = std::make_unique<Services>(context);
  grpc::ServerBuilder builder;
  builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &out->port_);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
  builder.SetMaxSendMessageSize(-1);
  // How long a polling thread may miss a shutdown; the default is ten seconds.
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::CQ_TIMEOUT_MSEC, 500);
  for (grpc::Service* service : {static_cast<grpc::Service*>(&out->services_->recordings),
                                 static_cast<grpc::Service*>(&out->services_->jobs),
                                 static_cast<grpc::Service*>(&out->services_->models),
                                 static_cast<grpc::Service*>(&out->services_->inference),
                                 static_cast<grpc::Service*>(&out->services_->features),
                                 static_cast<grpc::Service*>(&out->services_->server),
                                 static_cast<grpc::Service*>(&out->services_->sweeps)}) {
    builder.RegisterService(service);
  }
  builder.experimental().SetInterceptorCreators(MetricsInterceptors(context.metrics));
  out->server_ = builder.BuildAndStart();
  if (out->server_ == nullptr || out->port_ == 0) {
    return absl::UnavailableError(fmt::format(
        "cannot listen on {}; is another server there? Choose another --listen", address));
  }
  return out;
}

RpcServer::~RpcServer() { Shutdown(0); }

void RpcServer::Shutdown(double seconds) {
  if (server_ == nullptr) return;
  if (auto* health = server_->GetHealthCheckService()) health->SetServingStatus(false);
  server_->Shutdown(std::chrono::system_clock::now() +
                    std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000)));
  server_->Wait();
  server_.reset();
}

std::shared_ptr<grpc::Channel> RpcServer::InProcessChannel() {
  grpc::ChannelArguments arguments;
  return server_->InProcessChannel(arguments);
}

}  // namespace saed::rpc
