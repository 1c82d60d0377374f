#include "server/rpc/server.h"

#include <fmt/format.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "saed/v1/admin.pb.h"
#include "saed/v1/features.pb.h"
#include "saed/v1/inference.pb.h"
#include "saed/v1/jobs.pb.h"
#include "saed/v1/models.pb.h"
#include "saed/v1/recordings.pb.h"
#include "saed/v1/server.pb.h"
#include "saed/v1/sweeps.pb.h"
#include "server/rpc/door.h"
#include "server/rpc/interceptor.h"
#include "server/rpc/methods.h"

namespace saed::rpc {

struct RpcServer::Services {
  Services(Context& context, double request_seconds) : arrivals(request_seconds), methods(context) {
    AddRecordingMethods(methods);
    AddJobMethods(methods);
    AddModelMethods(methods);
    AddInferenceMethods(methods);
    AddFeatureMethods(methods);
    AddAnnotationMethods(methods);
    AddComparisonMethods(methods);
    AddServerMethods(methods);
    AddSweepMethods(methods);
    AddAdminMethods(methods);
    AddTokenMethods(methods);
    // Each file has one service.
    for (const auto* request :
         {v1::ImportRecordingRequest::descriptor(), v1::CreateJobRequest::descriptor(),
          v1::GetModelRequest::descriptor(), v1::EncodeRequest::descriptor(),
          v1::GetFeatureRequest::descriptor(), v1::GetServerStatusRequest::descriptor(),
          v1::GetSweepRequest::descriptor(), v1::CreateUserRequest::descriptor()}) {
      doors.push_back(
          std::make_unique<Door>(*request->file()->service(0), methods, context.gate, arrivals));
    }
  }

  StallGuard arrivals;
  Methods methods;
  std::vector<std::unique_ptr<Door>> doors;
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

// Clients that vanished, and those that connect and say nothing, hold nothing for long.
void LimitConnections(const ConnectionLimits& limits, grpc::ServerBuilder& builder) {
  const auto ms = [](double seconds) {
    return static_cast<int>(std::clamp(1000 * seconds, 1.0, 2e9));
  };
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, ms(limits.keepalive_seconds));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                             ms(std::min(20.0, limits.keepalive_seconds / 2)));
  // As often as that, also without data: a stream may be quiet for long.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // Clients may ask every ten seconds.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, ms(limits.idle_seconds));
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, ms(limits.handshake_seconds));
  // A few kilobytes unpack to gigabytes, and gRPC unpacks without a limit: compressed requests are
  // refused with UNIMPLEMENTED, as gRPC has it for what a server does not take, and never unpacked.
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
  builder.AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
}

}  // namespace

absl::StatusOr<std::unique_ptr<RpcServer>> RpcServer::Listen(const std::string& address,
                                                             const TlsFiles& tls,
                                                             const ConnectionLimits& limits,
                                                             Context& context) {
  static const bool plugins = [] {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    return true;
  }();
  (void)plugins;
  std::unique_ptr<RpcServer> out(new RpcServer);
  out->services_ = std::make_unique<Services>(context, limits.request_seconds);
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
  LimitConnections(limits, builder);
  builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
  builder.SetMaxSendMessageSize(-1);
  // How long a polling thread may miss a shutdown; the default is ten seconds.
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::CQ_TIMEOUT_MSEC, 500);
  for (const auto& door : out->services_->doors) builder.RegisterService(door.get());
  builder.experimental().SetInterceptorCreators(RpcInterceptors(context.metrics, context.gate));
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
