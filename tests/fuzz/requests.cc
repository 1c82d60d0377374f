// Every unary method of a whole server, over a channel that never leaves the process. The first
// byte chooses the method, the rest is the request's wire form, in which 16 times 'm', 'r' and 'j'
// stand for the ids of a model (and its dictionary), its recording and a job. No answer may be
// INTERNAL.
#include <google/protobuf/descriptor.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <memory>

#include "saed/v1/admin.grpc.pb.h"
#include "saed/v1/features.grpc.pb.h"
#include "saed/v1/inference.grpc.pb.h"
#include "saed/v1/jobs.grpc.pb.h"
#include "saed/v1/models.grpc.pb.h"
#include "saed/v1/recordings.grpc.pb.h"
#include "saed/v1/server.grpc.pb.h"
#include "saed/v1/sweeps.grpc.pb.h"
#include "server/daemon.h"
#include "tests/fuzz/target.h"
#include "tests/tools/temp_dir.h"

namespace {

using namespace saed;

// Those whose valid requests take long, write where they are told to, take away what the others
// need, or close the server to callers without a token; `specs` fuzzes what the first ones read.
constexpr std::string_view kLeftOut =
    "CreateJob CreateSweep SimulateRecording CreateBackup CreateToken DeleteModel DeleteRecording "
    "DeleteJob";

class World {
 public:
  World() {
    DaemonOptions options;
    options.data_dir = dir_ / "data";
    options.listen = "127.0.0.1:0";
    options.metrics_listen = "";
    options.threads = 1;
    daemon_ = std::move(*Daemon::Start(options));
    channel_ = grpc::CreateChannel("127.0.0.1:" + std::to_string(daemon_->port()),
                                   grpc::InsecureChannelCredentials());
    stub_ = std::make_unique<grpc::GenericStub>(channel_);
    for (const char* service :
         {"RecordingService", "JobService", "ModelService", "InferenceService", "FeatureService",
          "ServerService", "SweepService", "AdminService"}) {
      const auto* found = google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(
          std::string("saed.v1.") + service);
      for (int i = 0; i < found->method_count(); ++i) {
        const auto* method = found->method(i);
        if (method->client_streaming() || method->server_streaming()) continue;
        if (kLeftOut.find(method->name()) != std::string_view::npos) continue;
        methods_.push_back(std::string("/saed.v1.") + service + "/" + method->name());
      }
    }
    Train();
  }

  void Call(uint8_t method, std::string bytes) {
    Replace(bytes, 'm', model_);
    Replace(bytes, 'r', recording_);
    Replace(bytes, 'j', job_);
    grpc::ClientContext context;
    grpc::CompletionQueue queue;
    const grpc::Slice slice(bytes);
    const grpc::ByteBuffer request(&slice, 1);
    const auto call =
        stub_->PrepareUnaryCall(&context, methods_[method % methods_.size()], request, &queue);
    call->StartCall();
    grpc::ByteBuffer answer;
    grpc::Status status;
    call->Finish(&answer, &status, nullptr);
    void* tag;
    bool ok;
    fuzz::Require(queue.Next(&tag, &ok));
    // INTERNAL is right only where the bytes are no message.
    fuzz::Require(status.error_code() != grpc::StatusCode::UNKNOWN &&
                  status.error_code() != grpc::StatusCode::UNAVAILABLE &&
                  (status.error_code() != grpc::StatusCode::INTERNAL ||
                   status.error_message().find("no message of this method") != std::string::npos));
  }

 private:
  static void Replace(std::string& bytes, char placeholder, const std::string& id) {
    const std::string wanted(16, placeholder);
    for (size_t at; (at = bytes.find(wanted)) != std::string::npos;) bytes.replace(at, 16, id);
  }

  void Train() {
    grpc::ClientContext simulate, create, watch;
    v1::SimulateRecordingRequest recording;
    recording.mutable_planted()->set_level("easy");
    recording.mutable_planted()->set_units(12);
    recording.mutable_planted()->set_features(3);
    recording.mutable_planted()->set_bins(1000);
    v1::SimulateRecordingResponse simulated;
    fuzz::Require(v1::RecordingService::NewStub(channel_)
                      ->SimulateRecording(&simulate, recording, &simulated)
                      .ok());
    recording_ = simulated.recording().name().substr(11);
    const auto jobs = v1::JobService::NewStub(channel_);
    v1::CreateJobRequest request;
    request.set_request_id("fuzz");
    auto* train = request.mutable_train();
    train->set_recording(simulated.recording().name());
    train->mutable_view()->set_bin_width(0.02);
    train->mutable_view()->mutable_split()->set_train_fraction(0.8);
    auto* level = train->mutable_model()->add_levels();
    level->set_features(6);
    level->set_k(2);
    train->set_epochs(1);
    v1::CreateJobResponse created;
    fuzz::Require(jobs->CreateJob(&create, request, &created).ok());
    job_ = created.job().name().substr(5);
    model_ = job_;
    v1::WatchJobRequest watching;
    watching.set_name(created.job().name());
    const auto stream = jobs->WatchJob(&watch, watching);
    v1::WatchJobResponse event;
    while (stream->Read(&event)) {
    }
    grpc::ClientContext get;
    v1::GetJobRequest again;
    again.set_name(watching.name());
    v1::GetJobResponse ended;
    fuzz::Require(jobs->GetJob(&get, again, &ended).ok() &&
                  ended.job().state() == v1::Job::STATE_SUCCEEDED);
  }

  test_tools::TempDir dir_;
  std::unique_ptr<Daemon> daemon_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<grpc::GenericStub> stub_;
  std::vector<std::string> methods_;
  std::string model_, recording_, job_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static World world;
  if (size > 0) world.Call(data[0], std::string(fuzz::Text(data + 1, size - 1)));
  return 0;
}
