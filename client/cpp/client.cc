#include "client/cpp/client.h"

#include <fmt/format.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/client_interceptor.h>

#include <filesystem>
#include <fstream>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "server/base/sha256.h"

namespace saed::client {
namespace {

constexpr size_t kChunk = 1 << 20;

absl::StatusOr<std::string> FileDigest(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return absl::NotFoundError(fmt::format("cannot open {}", path));
  Sha256 digest;
  std::string buffer(kChunk, '\0');
  while (in.read(buffer.data(), static_cast<std::streamsize>(kChunk)) || in.gcount() > 0) {
    digest.Update(buffer.data(), static_cast<size_t>(in.gcount()));
  }
  return digest.Hex();
}

// Adds the token to every call, also without TLS: a server on the same machine needs none.
class Bearer : public grpc::experimental::Interceptor {
 public:
  explicit Bearer(const std::string& token) : token_(token) {}
  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(
            grpc::experimental::InterceptionHookPoints::PRE_SEND_INITIAL_METADATA)) {
      methods->GetSendInitialMetadata()->emplace("authorization", "Bearer " + token_);
    }
    methods->Proceed();
  }

 private:
  const std::string& token_;
};

class BearerFactory : public grpc::experimental::ClientInterceptorFactoryInterface {
 public:
  explicit BearerFactory(std::string token) : token_(std::move(token)) {}
  grpc::experimental::Interceptor* CreateClientInterceptor(
      grpc::experimental::ClientRpcInfo* /*info*/) override {
    return new Bearer(token_);
  }

 private:
  std::string token_;
};

}  // namespace

Client::Client(const std::string& address, const Credentials& credentials) : address_(address) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  // A connection of its own; else clients of one process share theirs.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  std::shared_ptr<grpc::ChannelCredentials> security = grpc::InsecureChannelCredentials();
  if (!credentials.ca.empty()) {
    security = grpc::SslCredentials({credentials.ca, credentials.key, credentials.certificate});
  }
  std::vector<std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>> interceptors;
  if (!credentials.token.empty()) {
    interceptors.push_back(std::make_unique<BearerFactory>(credentials.token));
  }
  const auto channel = grpc::experimental::CreateCustomChannelWithInterceptors(
      address, security, arguments, std::move(interceptors));
  recordings_ = v1::RecordingService::NewStub(channel);
  jobs_ = v1::JobService::NewStub(channel);
  models_ = v1::ModelService::NewStub(channel);
  inference_ = v1::InferenceService::NewStub(channel);
  features_ = v1::FeatureService::NewStub(channel);
  server_ = v1::ServerService::NewStub(channel);
  sweeps_ = v1::SweepService::NewStub(channel);
  admin_ = v1::AdminService::NewStub(channel);
}

absl::StatusOr<v1::ImportRecordingResponse> Client::Import(const v1::ImportHeader& header,
                                                           const std::vector<UploadFile>& files,
                                                           const UploadProgress& progress) {
  int64_t total = 0, sent = 0;
  std::error_code error;
  for (const UploadFile& f : files) {
    total += static_cast<int64_t>(std::filesystem::file_size(f.path, error));
    if (error) return absl::NotFoundError(fmt::format("cannot read {}", f.path));
  }
  grpc::ClientContext context;
  v1::ImportRecordingResponse response;
  const auto stream = recordings_->ImportRecording(&context, &response);
  v1::ImportRecordingRequest message;
  *message.mutable_header() = header;
  bool open = stream->Write(message);
  std::string buffer(kChunk, '\0');
  for (const UploadFile& f : files) {
    if (!open) break;
    const auto digest = FileDigest(f.path);
    if (!digest.ok()) {
      context.TryCancel();
      return digest.status();
    }
    auto* file = message.mutable_file();
    file->set_role(f.role);
    file->set_name(f.name);
    file->set_size(static_cast<int64_t>(std::filesystem::file_size(f.path, error)));
    file->set_sha256(*digest);
    open = stream->Write(message);
    std::ifstream in(f.path, std::ios::binary);
    while (open &&
           (in.read(buffer.data(), static_cast<std::streamsize>(kChunk)) || in.gcount() > 0)) {
      message.set_chunk(buffer.data(), static_cast<size_t>(in.gcount()));
      open = stream->Write(message);
      sent += in.gcount();
      if (progress) progress(sent, total);
    }
  }
  stream->WritesDone();
  const grpc::Status status = stream->Finish();
  if (!status.ok()) return FromGrpc(status);
  return response;
}

absl::Status Client::Download(const v1::DownloadRecordingRequest& request,
                              const std::function<absl::Status(const v1::DownloadHeader&)>& begin,
                              const std::function<absl::Status(const std::string&)>& chunk) {
  grpc::ClientContext context;
  const auto stream = recordings_->DownloadRecording(&context, request);
  Sha256 digest;
  absl::Status taken;
  bool whole = false;
  v1::DownloadRecordingResponse message;
  while (taken.ok() && stream->Read(&message)) {
    if (message.has_header()) {
      taken = begin(message.header());
    } else if (message.part_case() == v1::DownloadRecordingResponse::kChunk) {
      digest.Update(message.chunk());
      taken = chunk(message.chunk());
    } else {
      whole = message.sha256() == digest.Hex();
    }
  }
  if (!taken.ok()) context.TryCancel();
  const grpc::Status status = stream->Finish();
  if (!taken.ok()) return taken;
  if (!status.ok()) return FromGrpc(status);
  return whole ? absl::OkStatus()
               : absl::DataLossError("what came is damaged on the way; download it again");
}

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  std::string message = status.error_message();
  google::rpc::Status details;
  if (details.ParseFromString(status.error_details())) {
    for (const auto& any : details.details()) {
      google::rpc::BadRequest bad;
      if (!any.UnpackTo(&bad) || bad.field_violations_size() == 0) continue;
      message.clear();
      for (const auto& v : bad.field_violations()) {
        message += fmt::format("{}{} {}", message.empty() ? "" : "\n", v.field(), v.description());
      }
    }
  }
  return {static_cast<absl::StatusCode>(status.error_code()), message};
}

}  // namespace saed::client
