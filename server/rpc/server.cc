#include "server/rpc/server.h"

#include <fmt/format.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <chrono>

#include "server/rpc/admin_service.h"
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
        sweeps(context),
        admin(context) {}
  RecordingService recordings;
  JobService jobs;
  ModelService models;
  InferenceService inference;
  FeatureService features;
  ServerService server;
  SweepService sweeps;
  AdminService admin;
};

namespace {

constexpr unsigned kReloadSeconds = 5;
constexpr int kPollers = 2;

std::shared_ptr<grpc::ServerCredentials> Credentials(const TlsFiles& tls) {
  if (tls.empty()) return grpc::InsecureServerCredentials();
  namespace e = grpc::experimental;
  const auto files = std::make_shared<e::FileWatcherCertificateProvider>(
      tls.key, tls.certificate, tls.client_ca, kReloadSeconds);
  e::TlsServerCredentialsOptions options(files);
  options.watch_identity_key_cert_pairs();
  if (!tls.client_ca.empty()) {
    options.watch_root_certs();
    options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  }
  return e::TlsServerCredentials(options);
}

}  // namespace

absl::StatusOr<std::unique_ptr<RpcServer>> RpcServer::Listen(const std::string& address,
                                                             const TlsFiles& tls,
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
  builder.AddListeningPort(address, Credentials(tls), &out->port_);
  // Every call holds a thread, and two more wait for calls. One too many is answered with
  // RESOURCE_EXHAUSTED before any of our code runs, so that those inside keep their pace.
  grpc::ResourceQuota quota("calls");
  quota.SetMaxThreads(context.max_calls + kPollers);
  // Bytes of messages that still come in; connections are read more slowly near it.
  quota.Resize(static_cast<size_t>(context.gate.memory().bytes()));
  builder.SetResourceQuota(quota);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MAX_POLLERS, kPollers);
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
                                 static_cast<grpc::Service*>(&out->services_->sweeps),
                                 static_cast<grpc::Service*>(&out->services_->admin)}) {
    builder.RegisterService(service);
  }
  builder.experimental().SetInterceptorCreators(RpcInterceptors(context.metrics));
  out->server_ = builder.BuildAndStart();
  if (out->server_ == nullptr || out->port_ == 0) {
    return absl::UnavailableError(fmt::format(
        "cannot listen on {}; is another server there? Choose another --listen", address));
  }
  return out;
}

RpcServer::~RpcServer() { Shutdown(0); }

void RpcServer::StopServing() {
  if (server_ == nullptr) return;
  if (auto* health = server_->GetHealthCheckService()) health->SetServingStatus(false);
}

void RpcServer::Shutdown(double seconds) {
  if (server_ == nullptr) return;
  StopServing();
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
