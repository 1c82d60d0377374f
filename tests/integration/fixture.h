// A server and a client in one process, with shorthands for what most tests do.
#pragma once

#include <grpc/grpc.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "client/cpp/client.h"
#include "server/daemon.h"
#include "tests/tools/temp_dir.h"

namespace saed::test_tools {

class ServerTest : public ::testing::Test {
 protected:
  ServerTest() {
    // Keeps the library up between tests: taking it down after a refused large message can wait
    // ten seconds for its poller.
    static const bool library = (grpc_init(), true);
    EXPECT_TRUE(library);
    Start();
  }

  void Start() {
    DaemonOptions options;
    options.data_dir = dir_ / "data";
    options.data_root = dir_ / "root";
    std::filesystem::create_directories(options.data_root);
    options.listen = "127.0.0.1:0";
    options.metrics_listen = "";  // its listener takes two seconds to stop
    options.threads = 2;
    options.checkpoint_seconds = 0.05;
    options.max_upload_bytes = 50 << 20;
    options.max_calls = max_calls_;
    options.memory_bytes = memory_bytes_;
    options.call_memory_bytes = call_memory_bytes_;
    options.stall_seconds = stall_seconds_;
    options.keepalive_seconds = keepalive_seconds_;
    options.idle_seconds = idle_seconds_;
    options.user_bytes = user_bytes_;
    auto daemon = Daemon::Start(options);
    ASSERT_TRUE(daemon.ok()) << daemon.status();
    daemon_ = *std::move(daemon);
    client_ = std::make_unique<client::Client>("127.0.0.1:" + std::to_string(daemon_->port()));
  }
  void Restart() {
    daemon_.reset();
    Start();
  }

  // A small planted recording; the same content every time.
  std::string Simulate(int64_t bins = 2000) {
    grpc::ClientContext context;
    v1::SimulateRecordingRequest request;
    auto* planted = request.mutable_planted();
    planted->set_units(20);
    planted->set_features(8);
    planted->set_bins(bins);
    v1::SimulateRecordingResponse response;
    const auto s = client_->recordings().SimulateRecording(&context, request, &response);
    EXPECT_TRUE(s.ok()) << s.error_message();
    return response.recording().name();
  }

  static v1::CreateJobRequest TrainRequest(const std::string& recording) {
    v1::CreateJobRequest request;
    auto* spec = request.mutable_train();
    spec->set_recording(recording);
    spec->mutable_view()->set_bin_width(0.02);
    spec->mutable_view()->set_window(2);
    auto* level = spec->mutable_model()->add_levels();
    level->set_features(16);
    level->set_k(3);
    spec->set_batch_size(128);
    spec->set_epochs(3);
    return request;
  }

  absl::StatusOr<v1::Job> Create(const v1::CreateJobRequest& request) {
    grpc::ClientContext context;
    v1::CreateJobResponse response;
    const auto s = client_->jobs().CreateJob(&context, request, &response);
    if (!s.ok()) return client::FromGrpc(s);
    return response.job();
  }

  // All events of the job until it ends; the last one is the job.
  std::vector<v1::WatchJobResponse> Watch(const std::string& name) {
    grpc::ClientContext context;
    v1::WatchJobRequest request;
    request.set_name(name);
    const auto stream = client_->jobs().WatchJob(&context, request);
    std::vector<v1::WatchJobResponse> events;
    v1::WatchJobResponse event;
    while (stream->Read(&event)) events.push_back(event);
    const auto s = stream->Finish();
    EXPECT_TRUE(s.ok()) << s.error_message();
    return events;
  }

  // A finished model of the small recording.
  v1::Job Trained() {
    const auto job = Create(TrainRequest(Simulate()));
    EXPECT_TRUE(job.ok()) << job.status();
    const auto events = Watch(job->name());
    EXPECT_EQ(events.back().job().state(), v1::Job::STATE_SUCCEEDED)
        << events.back().job().error().message();
    return events.back().job();
  }

  TempDir dir_;
  int max_calls_ = 512;
  int64_t memory_bytes_ = 0, call_memory_bytes_ = 0;
  int64_t user_bytes_ = 0;
  double stall_seconds_ = 300, keepalive_seconds_ = 60, idle_seconds_ = 1800;
  std::unique_ptr<Daemon> daemon_;
  std::unique_ptr<client::Client> client_;
};

}  // namespace saed::test_tools
