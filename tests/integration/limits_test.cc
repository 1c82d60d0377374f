// No caller costs more than the server allows, whatever they send or fail to send.
#include <SQLiteCpp/SQLiteCpp.h>
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "tests/integration/fixture.h"

namespace saed {
namespace {

using grpc::StatusCode;
using ::testing::HasSubstr;
using Clock = std::chrono::steady_clock;

double Since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// A call whose head is sent, and nothing more.
class HalfOpen {
 public:
  HalfOpen(const std::string& address, const std::string& method, const std::string& token)
      : stub_(grpc::CreateChannel(address, grpc::InsecureChannelCredentials())) {
    if (!token.empty()) context_.AddMetadata("authorization", "Bearer " + token);
    call_ = stub_.PrepareCall(&context_, method, &queue_);
    call_->StartCall(this);
    Next(5);
    call_->Finish(&status_, this);
  }
  ~HalfOpen() {
    context_.TryCancel();
    if (!ended_) Next(5);
    queue_.Shutdown();
    void* tag = nullptr;
    for (bool ok = false; queue_.Next(&tag, &ok);) {
    }
  }
  HalfOpen(const HalfOpen&) = delete;
  HalfOpen& operator=(const HalfOpen&) = delete;

  // What the server says within so many seconds; DO_NOT_USE: nothing.
  StatusCode Ends(double seconds) {
    ended_ = ended_ || Next(seconds);
    return ended_ ? status_.error_code() : StatusCode::DO_NOT_USE;
  }

 private:
  bool Next(double seconds) {
    void* tag = nullptr;
    bool ok = false;
    return queue_.AsyncNext(&tag, &ok,
                            std::chrono::system_clock::now() +
                                std::chrono::milliseconds(static_cast<int>(1000 * seconds))) ==
           grpc::CompletionQueue::GOT_EVENT;
  }

  grpc::GenericStub stub_;
  grpc::ClientContext context_;
  grpc::CompletionQueue queue_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> call_;
  grpc::Status status_;
  bool ended_ = false;
};

class Limits : public test_tools::ServerTest {
 protected:
  std::string Address() const { return "127.0.0.1:" + std::to_string(daemon_->port()); }

  // "root" and, from then on, nobody without a token; returns a member's.
  std::string Close() {
    MakeUser("root", v1::ROLE_ADMIN);
    root_ = MakeToken("root");
    client_ = As(root_);
    MakeUser("ada", v1::ROLE_MEMBER);
    return MakeToken("ada");
  }
  std::unique_ptr<client::Client> As(const std::string& token) const {
    return std::make_unique<client::Client>(Address(), client::Credentials{token, "", "", ""});
  }
  void MakeUser(const std::string& name, v1::Role role) {
    grpc::ClientContext context;
    v1::CreateUserRequest request;
    request.mutable_user()->set_name("users/" + name);
    request.mutable_user()->set_role(role);
    v1::CreateUserResponse response;
    const auto s = client_->admin().CreateUser(&context, request, &response);
    ASSERT_TRUE(s.ok()) << s.error_message();
  }
  std::string MakeToken(const std::string& user) {
    grpc::ClientContext context;
    v1::CreateTokenRequest request;
    request.set_user("users/" + user);
    v1::CreateTokenResponse response;
    const auto s = client_->admin().CreateToken(&context, request, &response);
    EXPECT_TRUE(s.ok()) << s.error_message();
    return response.secret();
  }
  static grpc::Status Status(client::Client& client) {
    grpc::ClientContext context;
    v1::GetServerStatusResponse response;
    return client.server().GetServerStatus(&context, {}, &response);
  }

  // Connected, with `hello` sent.
  int Socket(const std::string& hello) const {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<uint16_t>(daemon_->port()));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
    EXPECT_EQ(::send(fd, hello.data(), hello.size(), 0), static_cast<ssize_t>(hello.size()));
    return fd;
  }
  // Whether the server closes the connection within so many seconds.
  static bool Closed(int fd, double seconds) {
    const auto start = Clock::now();
    char bytes[4096];
    while (Since(start) < seconds) {
      pollfd waits{fd, POLLIN, 0};
      if (::poll(&waits, 1, 100) == 1 && ::recv(fd, bytes, sizeof bytes, 0) <= 0) return true;
    }
    return false;
  }

  std::string root_;
};

// What begins an HTTP/2 connection, and an empty SETTINGS frame.
const std::string kHello =
    std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") + std::string("\0\0\0\4\0\0\0\0\0", 9);

TEST_F(Limits, ACompressedRequestIsRefusedUnread) {
  v1::EncodeRequest request;
  request.mutable_counts()->set_data(std::string(size_t{60} << 20, '\0'));
  grpc::ClientContext context;
  context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
  v1::EncodeResponse response;
  const auto s = client_->inference().Encode(&context, request, &response);
  EXPECT_EQ(s.error_code(), StatusCode::UNIMPLEMENTED) << s.error_message();
}

TEST_F(Limits, AStrangerIsRefusedBeforeAByteOfTheMessage) {
  const std::string ada = Close();
  for (const char* method : {"/saed.v1.InferenceService/Encode", "/saed.v1.JobService/WatchJob",
                             "/saed.v1.RecordingService/ImportRecording"}) {
    EXPECT_EQ(HalfOpen(Address(), method, "").Ends(5), StatusCode::UNAUTHENTICATED) << method;
    EXPECT_EQ(HalfOpen(Address(), method, ada + "x").Ends(5), StatusCode::UNAUTHENTICATED);
  }
  EXPECT_EQ(HalfOpen(Address(), "/saed.v1.InferenceService/Encode", ada).Ends(0.2),
            StatusCode::DO_NOT_USE);
}

TEST_F(Limits, OneUserHasAQuarterOfTheCalls) {
  max_calls_ = 16;
  Restart();
  const std::string ada = Close();
  std::vector<std::unique_ptr<HalfOpen>> calls;
  for (int i = 0; i < 3; ++i) {
    calls.push_back(std::make_unique<HalfOpen>(Address(), "/saed.v1.InferenceService/Encode", ada));
  }
  calls.push_back(
      std::make_unique<HalfOpen>(Address(), "/saed.v1.RecordingService/ImportRecording", ada));
  for (auto& call : calls) EXPECT_EQ(call->Ends(0.1), StatusCode::DO_NOT_USE);
  const auto refused = Status(*As(ada));
  EXPECT_EQ(refused.error_code(), StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(refused.error_message(), HasSubstr("'ada' has 4 calls open"));
  HalfOpen upload(Address(), "/saed.v1.ModelService/ImportModel", ada);
  EXPECT_EQ(upload.Ends(5), StatusCode::RESOURCE_EXHAUSTED) << "streams are calls, too";
  EXPECT_TRUE(Status(*client_).ok()) << "root's calls are others";
  calls.clear();
  const auto start = Clock::now();
  while (!Status(*As(ada)).ok() && Since(start) < 5) {
  }
  EXPECT_LT(Since(start), 5) << "places come free";
}

TEST_F(Limits, AStrangersUploadIsWrittenDownOnce) {
  (void)Close();
  HalfOpen upload(Address(), "/saed.v1.ModelService/ImportModel", "saed_00_00");
  EXPECT_EQ(upload.Ends(5), StatusCode::UNAUTHENTICATED);
  SQLite::Database db(dir_ / "data/saed.db", SQLite::OPEN_READONLY);
  EXPECT_EQ(db.execAndGet("SELECT count(*) FROM audit WHERE outcome = 'UNAUTHENTICATED'").getInt(),
            1);
}

TEST_F(Limits, OneCallTooManyIsRefused) {
  max_calls_ = 6;
  Restart();
  std::vector<std::unique_ptr<HalfOpen>> calls;
  for (int i = 0; i < 10; ++i) {
    calls.push_back(std::make_unique<HalfOpen>(Address(), "/saed.v1.InferenceService/Encode", ""));
  }
  auto answer = Status(*client_);
  for (int i = 0; i < 100 && answer.ok(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    answer = Status(*client_);
  }
  EXPECT_EQ(answer.error_code(), StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(answer.error_details(), HasSubstr("more calls than it takes at once"));
  EXPECT_THAT(answer.error_details(), HasSubstr("google.rpc.RetryInfo"));
  calls.clear();
  for (int i = 0; i < 100 && !answer.ok(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    answer = Status(*client_);
  }
  EXPECT_TRUE(answer.ok()) << answer.error_message();
}

TEST_F(Limits, IdleUploadsLeaveOthersAPlace) {
  max_calls_ = 8;
  Restart();
  std::vector<std::unique_ptr<HalfOpen>> uploads;
  int refused = 0;
  for (int i = 0; i < 12; ++i) {
    uploads.push_back(
        std::make_unique<HalfOpen>(Address(), "/saed.v1.RecordingService/ImportRecording", ""));
    refused += uploads.back()->Ends(0.1) == StatusCode::RESOURCE_EXHAUSTED;
  }
  EXPECT_EQ(refused, 8) << "half of the calls may be uploads";
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(Status(*client_).ok());
}

TEST_F(Limits, ACallWhoseMessageDoesNotComeEnds) {
  stall_seconds_ = 0.4;
  Restart();
  HalfOpen call(Address(), "/saed.v1.InferenceService/Encode", "");
  EXPECT_EQ(call.Ends(5), StatusCode::CANCELLED);
}

TEST_F(Limits, ConnectionsOfClientsThatVanishedOrSayNothingEnd) {
  keepalive_seconds_ = 0.5;
  Restart();
  for (const std::string& hello : {std::string(), kHello.substr(0, 10), kHello}) {
    const int fd = Socket(hello);
    EXPECT_TRUE(Closed(fd, 10)) << hello.size() << " bytes";
    ::close(fd);
  }
}

TEST_F(Limits, IdleConnectionsEndAndCallsGoOn) {
  idle_seconds_ = 0.3;
  Restart();
  const auto channel = grpc::CreateChannel(Address(), grpc::InsecureChannelCredentials());
  const auto stub = v1::ServerService::NewStub(channel);
  for (int i = 0; i < 2; ++i) {
    grpc::ClientContext context;
    v1::GetServerStatusResponse response;
    EXPECT_TRUE(stub->GetServerStatus(&context, {}, &response).ok());
    EXPECT_TRUE(channel->WaitForStateChange(
        GRPC_CHANNEL_READY, std::chrono::system_clock::now() + std::chrono::seconds(5)))
        << "the connection stays";
  }
}

TEST_F(Limits, TheAuditLogHasTheBeginningOfALongRequest) {
  const std::string ada = Close();
  auto request = TrainRequest("recordings/0123456789abcdef");
  for (int i = 0; i < 20'000; ++i) request.add_dependencies("jobs/" + std::string(100, 'x'));
  grpc::ClientContext context;
  v1::CreateJobResponse made;
  EXPECT_FALSE(As(ada)->jobs().CreateJob(&context, request, &made).ok());
  grpc::ClientContext asking;
  v1::ListAuditRecordsRequest list;
  list.set_user("users/ada");
  v1::ListAuditRecordsResponse log;
  ASSERT_TRUE(client_->admin().ListAuditRecords(&asking, list, &log).ok());
  ASSERT_GE(log.records_size(), 1);
  EXPECT_LT(log.records(0).ByteSizeLong(), 1500);
  EXPECT_THAT(log.records(0).DebugString(), HasSubstr("recordings/0123456789abcdef"));
}

TEST_F(Limits, WhatArrivesCountsBeforeItIsStored) {
  user_bytes_ = 1 << 20;
  Restart();
  const auto ada = As(Close());
  grpc::ClientContext context;
  v1::ImportRecordingResponse response;
  const auto stream = ada->recordings().ImportRecording(&context, &response);
  v1::ImportRecordingRequest message;
  message.mutable_header()->set_display_name("large");
  stream->Write(message);
  message.mutable_file()->set_name("a.npy");
  message.mutable_file()->set_size(40 << 20);
  stream->Write(message);
  // No byte of it was sent.
  const auto s = stream->Finish();
  EXPECT_EQ(s.error_code(), StatusCode::RESOURCE_EXHAUSTED) << s.error_message();
  EXPECT_THAT(s.error_message(), HasSubstr("of the 1.0 that you may store and this needs 41.9"));
}

TEST_F(Limits, ModelsAndDictionariesCountAsStored) {
  const std::string recording = Simulate();
  user_bytes_ = 4000;  // less than the model below
  Restart();
  const auto ada = As(Close());
  const auto train = [&] {
    grpc::ClientContext context;
    v1::CreateJobResponse response;
    const auto s = ada->jobs().CreateJob(&context, TrainRequest(recording), &response);
    return std::pair(s, response.job().name());
  };
  const auto [first, job] = train();
  ASSERT_TRUE(first.ok()) << first.error_message();
  Watch(job);
  const auto second = train().first;
  EXPECT_EQ(second.error_code(), StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(second.error_message(), HasSubstr("your recordings, models and dictionaries have"));
}

TEST_F(Limits, ChecksAloneTakeMemoryFromTheBudget) {
  call_memory_bytes_ = 32 << 20;
  Restart();
  auto request = TrainRequest(Simulate(400'000));  // some 30 MB to check, so two at once
  request.set_validate_only(true);
  std::atomic<int> refused = 0, other = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 12; ++i) {
    threads.emplace_back([&] {
      for (int again = 0; again < 3; ++again) {
        grpc::ClientContext context;
        v1::CreateJobResponse response;
        const auto code = client_->jobs().CreateJob(&context, request, &response).error_code();
        refused += code == StatusCode::RESOURCE_EXHAUSTED;
        other += code != StatusCode::RESOURCE_EXHAUSTED && code != StatusCode::OK;
      }
    });
  }
  for (auto& t : threads) t.join();
  EXPECT_GT(refused, 0);
  EXPECT_EQ(other, 0);
}

TEST_F(Limits, ASweepsCheckEndsWithItsDeadline) {
  v1::CreateSweepRequest request;
  *request.mutable_spec()->mutable_base() = TrainRequest(Simulate(1'000'000)).train();
  for (int i = 0; i < 15; ++i) {
    auto* p = request.mutable_spec()->add_parameters();
    const char* fields[] = {"lr", "k", "window", "seed", "epochs", "batch_size", "view.stride"};
    p->set_field(fields[i % 7]);
    p->mutable_range()->set_low(1);
    p->mutable_range()->set_high(2);
    if (i == 6) break;
  }
  request.mutable_spec()->set_trials(4);
  request.mutable_spec()->set_seeds(1);
  request.set_validate_only(true);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(100));
  v1::CreateSweepResponse response;
  const auto s = client_->sweeps().CreateSweep(&context, request, &response);
  EXPECT_EQ(s.error_code(), StatusCode::DEADLINE_EXCEEDED) << s.error_message();
  const auto start = Clock::now();
  daemon_.reset();  // waits for what is still at work
  EXPECT_LT(Since(start), 3);
}

}  // namespace
}  // namespace saed
