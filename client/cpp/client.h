// A connection to a saed server: the stubs of all services, uploads, and errors in words.
#pragma once

#include <grpcpp/channel.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "saed/v1/admin.grpc.pb.h"
#include "saed/v1/features.grpc.pb.h"
#include "saed/v1/inference.grpc.pb.h"
#include "saed/v1/jobs.grpc.pb.h"
#include "saed/v1/models.grpc.pb.h"
#include "saed/v1/recordings.grpc.pb.h"
#include "saed/v1/server.grpc.pb.h"
#include "saed/v1/sweeps.grpc.pb.h"

namespace saed::client {

// A file to upload and what it is.
struct UploadFile {
  v1::FileHeader::Role role = v1::FileHeader::ROLE_MAIN;
  std::string name;  // the file's own name, or the table's or series'
  std::string path;
};

// Bytes sent so far, of all.
using UploadProgress = std::function<void(int64_t sent, int64_t total)>;

// Who calls, and whom they trust. Everything may be empty.
struct Credentials {
  std::string token;             // as saectl admin tokens create shows it
  std::string ca;                // PEM text; TLS is used where it is not empty
  std::string certificate, key;  // PEM texts, for servers that want a client's certificate
};

// Thread-safe, as gRPC channels are.
class Client {
 public:
  // `address`: host:port or unix:path. Nothing is sent before the first call.
  explicit Client(const std::string& address, const Credentials& credentials = {});

  const std::string& address() const { return address_; }
  v1::RecordingService::Stub& recordings() { return *recordings_; }
  v1::JobService::Stub& jobs() { return *jobs_; }
  v1::ModelService::Stub& models() { return *models_; }
  v1::InferenceService::Stub& inference() { return *inference_; }
  v1::FeatureService::Stub& features() { return *features_; }
  v1::ServerService::Stub& server() { return *server_; }
  v1::SweepService::Stub& sweeps() { return *sweeps_; }
  v1::AdminService::Stub& admin() { return *admin_; }

  // Sends the files in chunks, each with its SHA-256, reading each once. ABORTED where one changes
  // meanwhile.
  absl::StatusOr<v1::ImportRecordingResponse> Import(const v1::ImportHeader& header,
                                                     const std::vector<UploadFile>& files,
                                                     const UploadProgress& progress);

  // Hands over what a download begins with, then its bytes as they come; either may refuse.
  // DATA_LOSS where the bytes are not those that the server sent.
  absl::Status Download(const v1::DownloadRecordingRequest& request,
                        const std::function<absl::Status(const v1::DownloadHeader&)>& begin,
                        const std::function<absl::Status(const std::string&)>& chunk);

  // OK where the server takes calls; asks grpc.health.v1, which wants no token. UNAVAILABLE where
  // it does not, or has not answered after five seconds.
  absl::Status CheckHealth();

 private:
  std::string address_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::RecordingService::Stub> recordings_;
  std::unique_ptr<v1::JobService::Stub> jobs_;
  std::unique_ptr<v1::ModelService::Stub> models_;
  std::unique_ptr<v1::InferenceService::Stub> inference_;
  std::unique_ptr<v1::FeatureService::Stub> features_;
  std::unique_ptr<v1::ServerService::Stub> server_;
  std::unique_ptr<v1::SweepService::Stub> sweeps_;
  std::unique_ptr<v1::AdminService::Stub> admin_;
};

// The same code and message; every wrong field on a line of its own where the server named them.
absl::Status FromGrpc(const grpc::Status& status);

// The wrong fields that the server named, each with what is wrong with it.
std::vector<std::pair<std::string, std::string>> WrongFields(const grpc::Status& status);

}  // namespace saed::client
