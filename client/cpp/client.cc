#include "client/cpp/client.h"

#include <fmt/format.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/client_interceptor.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "server/base/sha256.h"

namespace saed::client {
namespace {

namespace fs = std::filesystem;

constexpr size_t kChunk = 256 << 10;  // stays in the cache at both ends

using ImportStream = grpc::ClientWriter<v1::ImportRecordingRequest>;

// What of a file changes when it is written to.
struct FileState {
  int64_t size = 0;
  fs::file_time_type written;
  bool operator==(const FileState&) const = default;
};

absl::StatusOr<FileState> StateOf(const std::string& path) {
  std::error_code no_size, no_time;
  const FileState out{static_cast<int64_t>(fs::file_size(path, no_size)),
                      fs::last_write_time(path, no_time)};
  if (no_size || no_time) return absl::NotFoundError(fmt::format("cannot read {}", path));
  return out;
}

// Reads the file once: header, chunks, digest. False where the server wants no more.
absl::StatusOr<bool> Send(const UploadFile& file, ImportStream& stream,
                          const std::function<void(int64_t)>& sent) {
  auto state = StateOf(file.path);
  if (!state.ok()) return state.status();
  std::ifstream in(file.path, std::ios::binary);
  if (!in) return absl::NotFoundError(fmt::format("cannot open {}", file.path));
  v1::ImportRecordingRequest message;
  auto* header = message.mutable_file();
  header->set_role(file.role);
  header->set_name(file.name);
  header->set_size(state->size);
  if (!stream.Write(message)) return false;
  Sha256 digest;
  while (true) {
    std::string& chunk = *message.mutable_chunk();
    chunk.resize(kChunk);
    in.read(chunk.data(), static_cast<std::streamsize>(kChunk));
    chunk.resize(static_cast<size_t>(in.gcount()));
    if (chunk.empty()) break;
    if (!stream.Write(message)) return false;
    digest.Update(chunk);
    sent(in.gcount());
  }
  if (in.bad() || StateOf(file.path) != state) {
    return absl::AbortedError(
        fmt::format("{} changed while it was sent; import it when it is finished", file.path));
  }
  message.set_sha256(digest.Hex());
  return stream.Write(message);
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
  channel_ = grpc::experimental::CreateCustomChannelWithInterceptors(address, security, arguments,
                                                                     std::move(interceptors));
  recordings_ = v1::RecordingService::NewStub(channel_);
  jobs_ = v1::JobService::NewStub(channel_);
  models_ = v1::ModelService::NewStub(channel_);
  inference_ = v1::InferenceService::NewStub(channel_);
  features_ = v1::FeatureService::NewStub(channel_);
  server_ = v1::ServerService::NewStub(channel_);
  sweeps_ = v1::SweepService::NewStub(channel_);
  admin_ = v1::AdminService::NewStub(channel_);
}

absl::StatusOr<v1::ImportRecordingResponse> Client::Import(const v1::ImportHeader& header,
                                                           const std::vector<UploadFile>& files,
                                                           const UploadProgress& progress) {
  int64_t total = 0, sent = 0;
  for (const UploadFile& f : files) {
    const auto state = StateOf(f.path);
    if (!state.ok()) return state.status();
    total += state->size;
  }
  grpc::ClientContext context;
  v1::ImportRecordingResponse response;
  const auto stream = recordings_->ImportRecording(&context, &response);
  v1::ImportRecordingRequest message;
  *message.mutable_header() = header;
  bool open = stream->Write(message);
  for (size_t i = 0; open && i < files.size(); ++i) {
    const auto more = Send(files[i], *stream, [&](int64_t bytes) {
      sent += bytes;
      if (progress) progress(sent, total);
    });
    if (!more.ok()) {
      context.TryCancel();
      return more.status();
    }
    open = *more;
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

absl::Status Client::CheckHealth() {
  constexpr std::chrono::seconds kPatience(5);
  constexpr std::string_view kServing = "\x08\x01";  // HealthCheckResponse{status: SERVING}
  grpc::GenericStub stub(channel_);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kPatience);
  const grpc::Slice nothing;  // a HealthCheckRequest of the whole server
  grpc::CompletionQueue queue;
  const auto call = stub.PrepareUnaryCall(&context, "/grpc.health.v1.Health/Check",
                                          grpc::ByteBuffer(&nothing, 1), &queue);
  grpc::ByteBuffer answer;
  grpc::Status status;
  call->StartCall();
  call->Finish(&answer, &status, this);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    return absl::UnavailableError("the server has not answered for five seconds");
  }
  if (!status.ok()) return FromGrpc(status);
  grpc::Slice bytes;
  if (!answer.TrySingleSlice(&bytes).ok() ||
      std::string_view(reinterpret_cast<const char*>(bytes.begin()), bytes.size()) != kServing) {
    return absl::UnavailableError("the server takes no calls; it may be stopping");
  }
  return absl::OkStatus();
}

std::vector<std::pair<std::string, std::string>> WrongFields(const grpc::Status& status) {
  std::vector<std::pair<std::string, std::string>> out;
  google::rpc::Status details;
  if (!details.ParseFromString(status.error_details())) return out;
  for (const auto& any : details.details()) {
    google::rpc::BadRequest bad;
    if (!any.UnpackTo(&bad)) continue;
    for (const auto& v : bad.field_violations()) out.emplace_back(v.field(), v.description());
  }
  return out;
}

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  std::string message;
  for (const auto& [field, description] : WrongFields(status)) {
    message += fmt::format("{}{} {}", message.empty() ? "" : "\n", field, description);
  }
  if (message.empty()) message = status.error_message();
  return {static_cast<absl::StatusCode>(status.error_code()), message};
}

}  // namespace saed::client
