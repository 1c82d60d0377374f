// The shared queue from outside: pause, resume, urgency, dependencies, limits.
#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>

#include <chrono>
#include <thread>

#include "server/base/on_behalf.h"
#include "server/rpc/memory_budget.h"
#include "tests/integration/fixture.h"

namespace saed {
namespace {

class Queue : public test_tools::ServerTest {
 protected:
  static v1::CreateJobRequest Steps(const std::string& recording, int64_t steps) {
    auto request = TrainRequest(recording);
    request.mutable_train()->set_epochs(100000);
    request.mutable_train()->set_max_steps(steps);
    request.mutable_train()->set_threads(2);
    return request;
  }

  v1::Job Get(const std::string& name) {
    grpc::ClientContext context;
    v1::GetJobRequest request;
    request.set_name(name);
    v1::GetJobResponse response;
    EXPECT_TRUE(client_->jobs().GetJob(&context, request, &response).ok());
    return response.job();
  }

  bool Reaches(const std::string& name, v1::Job::State state) {
    for (int i = 0; i < 1000; ++i) {
      if (Get(name).state() == state) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }

  grpc::Status Pause(const std::string& name) {
    grpc::ClientContext context;
    v1::PauseJobRequest request;
    request.set_name(name);
    v1::PauseJobResponse response;
    return client_->jobs().PauseJob(&context, request, &response);
  }
  grpc::Status Resume(const std::string& name) {
    grpc::ClientContext context;
    v1::ResumeJobRequest request;
    request.set_name(name);
    v1::ResumeJobResponse response;
    return client_->jobs().ResumeJob(&context, request, &response);
  }
  grpc::Status Retry(const std::string& name) {
    grpc::ClientContext context;
    v1::RetryJobRequest request;
    request.set_name(name);
    v1::RetryJobResponse response;
    return client_->jobs().RetryJob(&context, request, &response);
  }
  void Cancel(const std::string& name) {
    grpc::ClientContext context;
    v1::CancelJobRequest request;
    request.set_name(name);
    v1::CancelJobResponse response;
    EXPECT_TRUE(client_->jobs().CancelJob(&context, request, &response).ok());
  }

  std::string Digest(const v1::Job& job) {
    grpc::ClientContext context;
    v1::GetModelRequest request;
    request.set_name(job.model());
    v1::GetModelResponse response;
    EXPECT_TRUE(client_->models().GetModel(&context, request, &response).ok());
    return response.model().tensor_digest();
  }

  // With so many calls open, one more is refused with these words; once they end it is answered.
  void RefusesWhile(int open, const std::string& why);
};

TEST_F(Queue, APausedJobGoesOnToTheSameTensors) {
  const std::string recording = Simulate();
  const auto undisturbed = Create(Steps(recording, 3000));
  const v1::Job whole = Watch(undisturbed->name()).back().job();
  const auto job = Create(Steps(recording, 3000));
  ASSERT_TRUE(job.ok()) << job.status();
  ASSERT_TRUE(Reaches(job->name(), v1::Job::STATE_RUNNING));
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  ASSERT_TRUE(Pause(job->name()).ok());
  ASSERT_TRUE(Reaches(job->name(), v1::Job::STATE_PAUSED));
  EXPECT_NE(Get(job->name()).wait_reason().find("resume"), std::string::npos);
  EXPECT_EQ(Pause(job->name()).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  Restart();
  EXPECT_TRUE(Reaches(job->name(), v1::Job::STATE_PAUSED)) << "a restart must not resume it";
  ASSERT_TRUE(Resume(job->name()).ok());
  const v1::Job done = Watch(job->name()).back().job();
  ASSERT_EQ(done.state(), v1::Job::STATE_SUCCEEDED) << done.error().message();
  EXPECT_EQ(Digest(done), Digest(whole));
  EXPECT_EQ(Resume(job->name()).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
}

TEST_F(Queue, ARetriedJobBeginsAnewToTheSameTensors) {
  const std::string recording = Simulate();
  const v1::Job whole = Watch(Create(Steps(recording, 3000))->name()).back().job();
  EXPECT_EQ(Retry(whole.name()).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  const auto job = Create(Steps(recording, 3000));
  ASSERT_TRUE(Reaches(job->name(), v1::Job::STATE_RUNNING));
  EXPECT_EQ(Retry(job->name()).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  // Again and again, also while the cancelled attempt's thread has hardly ended.
  for (int i = 0; i < 10; ++i) {
    Cancel(job->name());
    const v1::Job ended = Watch(job->name()).back().job();
    ASSERT_EQ(ended.state(), v1::Job::STATE_CANCELLED) << ended.error().message();
    const auto s = Retry(job->name());
    ASSERT_TRUE(s.ok()) << s.error_message();
    ASSERT_TRUE(Reaches(job->name(), v1::Job::STATE_RUNNING));
  }
  const v1::Job done = Watch(job->name()).back().job();
  ASSERT_EQ(done.state(), v1::Job::STATE_SUCCEEDED) << done.error().message();
  EXPECT_EQ(done.attempt(), 11);
  EXPECT_EQ(Digest(done), Digest(whole));
}

TEST_F(Queue, ARetriedJobMakesNoDictionaryOfWeightsThatAreNotStored) {
  const v1::Job job = Watch(Create(Steps(Simulate(), 100))->name()).back().job();
  ASSERT_EQ(job.state(), v1::Job::STATE_SUCCEEDED);
  const auto again = [&](const std::string& change) {
    daemon_.reset();
    {
      SQLite::Database db(dir_ / "data/saed.db", SQLite::OPEN_READWRITE);
      db.exec("UPDATE jobs SET state = 'FAILED'; " + change);
    }
    Start();
    const auto s = Retry(job.name());
    EXPECT_TRUE(s.ok()) << s.error_message();
    return Watch(job.name()).back().job();
  };
  const v1::Job same = again("");
  EXPECT_EQ(same.state(), v1::Job::STATE_SUCCEEDED) << same.error().message();
  const v1::Job other = again("UPDATE models SET digest = 'of another compiler'");
  EXPECT_EQ(other.state(), v1::Job::STATE_FAILED);
  EXPECT_EQ(other.error().code(), static_cast<int>(grpc::StatusCode::FAILED_PRECONDITION));
  EXPECT_NE(other.error().message().find("delete that model, then submit the job again"),
            std::string::npos)
      << other.error().message();
}

// As after a full disk, with the last and longest wait.
TEST_F(Queue, AJobThatWaitsForItsNextAttemptIsRetriedNow) {
  const auto job = Create(Steps(Simulate(), 3'000'000));
  ASSERT_TRUE(Reaches(job->name(), v1::Job::STATE_RUNNING));
  daemon_.reset();
  {
    SQLite::Database db(dir_ / "data/saed.db", SQLite::OPEN_READWRITE);
    ASSERT_EQ(db.exec("UPDATE jobs SET failures = 4, error_message = 'the disk is full', "
                      "not_before = created_at + 2560000000"),
              1);
  }
  Start();
  const auto waits = [&] { return Get(job->name()).wait_reason(); };
  for (int i = 0; i < 500 && waits().find("tried again") == std::string::npos; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_NE(waits().find("failed (the disk is full); it is tried again in 25"), std::string::npos)
      << waits();
  EXPECT_NE(waits().find("saectl jobs retry"), std::string::npos) << waits();
  grpc::ClientContext context;
  v1::RetryJobRequest request;
  request.set_name(job->name());
  v1::RetryJobResponse response;
  ASSERT_TRUE(client_->jobs().RetryJob(&context, request, &response).ok());
  EXPECT_EQ(response.job().failures(), 0);
  EXPECT_EQ(response.job().wait_reason().find("tried again"), std::string::npos)
      << "of the wait that is over";
  EXPECT_TRUE(Reaches(job->name(), v1::Job::STATE_RUNNING));
  Cancel(job->name());
}

TEST_F(Queue, WhatRunsIsNotSaidToWait) {
  const auto job = Create(Steps(Simulate(), 5'000'000));
  ASSERT_TRUE(Reaches(job->name(), v1::Job::STATE_RUNNING));
  // It is RUNNING in the store a moment before its thread is.
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  grpc::ClientContext context;
  v1::GetServerStatusResponse status;
  ASSERT_TRUE(client_->server().GetServerStatus(&context, {}, &status).ok());
  ASSERT_EQ(status.users_size(), 1);
  EXPECT_EQ(status.users(0).running_jobs(), 1);
  EXPECT_EQ(status.users(0).waiting_jobs(), 0);
  Cancel(job->name());
}

TEST_F(Queue, AnUrgentJobPausesAnotherWhichGoesOnAfterwards) {
  const std::string recording = Simulate();
  const auto slow = Create(Steps(recording, 3000));
  ASSERT_TRUE(Reaches(slow->name(), v1::Job::STATE_RUNNING));
  auto request = Steps(recording, 50);
  request.set_priority(v1::JOB_PRIORITY_URGENT);
  const auto urgent = Create(request);
  ASSERT_TRUE(urgent.ok()) << urgent.status();
  const v1::Job first = Watch(urgent->name()).back().job();
  EXPECT_EQ(first.state(), v1::Job::STATE_SUCCEEDED);
  const v1::Job second = Watch(slow->name()).back().job();
  EXPECT_EQ(second.state(), v1::Job::STATE_SUCCEEDED);
  EXPECT_EQ(second.attempt(), 2);
  EXPECT_LT(first.end_time().seconds() * 1e9 + first.end_time().nanos(),
            second.end_time().seconds() * 1e9 + second.end_time().nanos());
}

TEST_F(Queue, AJobWaitsForItsDependenciesAndFailsWithThem) {
  const std::string recording = Simulate();
  const auto first = Create(Steps(recording, 5'000'000));
  ASSERT_TRUE(Reaches(first->name(), v1::Job::STATE_RUNNING));
  auto request = Steps(recording, 20);
  request.add_dependencies(first->name());
  const auto second = Create(request);
  ASSERT_TRUE(second.ok()) << second.status();
  for (int i = 0;
       i < 500 && Get(second->name()).wait_reason().find(first->name()) == std::string::npos; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_NE(Get(second->name()).wait_reason().find("waits for " + first->name()),
            std::string::npos);
  Cancel(first->name());
  ASSERT_TRUE(Reaches(second->name(), v1::Job::STATE_FAILED));
  EXPECT_NE(Get(second->name()).error().message().find("is CANCELLED"), std::string::npos);
  EXPECT_FALSE(Create(request).ok()) << "it depends on what never will succeed";
}

TEST_F(Queue, TheSameRequestAgainIsItsJobWhateverBecameOfIt) {
  const std::string recording = Simulate();
  const auto first = Create(Steps(recording, 5'000'000));
  auto request = Steps(recording, 20);
  request.add_dependencies(first->name());
  request.set_request_id("once");
  const auto second = Create(request);
  ASSERT_TRUE(second.ok()) << second.status();
  Cancel(first->name());
  ASSERT_TRUE(Reaches(second->name(), v1::Job::STATE_FAILED));
  const auto again = Create(request);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->name(), second->name());
  EXPECT_EQ(again->state(), v1::Job::STATE_FAILED);
  request.set_priority(v1::JOB_PRIORITY_HIGH);
  const absl::Status other = Create(request).status();
  EXPECT_TRUE(absl::IsAlreadyExists(other)) << other;
  EXPECT_NE(other.message().find("whose priority is normal and not high"), std::string::npos)
      << other;
}

TEST_F(Queue, ATimeLimitEndsAJob) {
  auto request = Steps(Simulate(), 50'000'000);
  request.set_time_limit_seconds(0.2);
  const auto job = Create(request);
  ASSERT_TRUE(Reaches(job->name(), v1::Job::STATE_FAILED));  // within the scheduler's 5 s
  EXPECT_EQ(Get(job->name()).error().code(), grpc::StatusCode::DEADLINE_EXCEEDED);
}

TEST_F(Queue, AWaitingJobSaysWhatForAndAboutWhen) {
  const std::string recording = Simulate();
  const auto running = Create(Steps(recording, 5'000'000));
  ASSERT_TRUE(Reaches(running->name(), v1::Job::STATE_RUNNING));
  const auto next = Create(Steps(recording, 10));
  v1::Job waiting;
  for (int i = 0; i < 500 && !waiting.has_estimated_start_time(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    waiting = Get(next->name());
  }
  EXPECT_EQ(waiting.wait_reason(), "next in line; it needs 2 threads and 0 are free");
  EXPECT_GT(waiting.estimated_start_time().seconds(), waiting.create_time().seconds());
  EXPECT_GT(waiting.memory_bytes(), 1 << 20);
  Cancel(next->name());
  Cancel(running->name());
}

// Threads are free, memory is not.
TEST_F(Queue, AJobWaitsForMemory) {
  const std::string recording = Simulate();
  const auto one_thread = [&](int64_t steps) {
    auto request = Steps(recording, steps);
    request.mutable_train()->set_threads(1);
    return Create(request);
  };
  const auto measured = one_thread(1);
  ASSERT_TRUE(measured.ok()) << measured.status();
  const int64_t needed = measured->memory_bytes();
  Watch(measured->name());
  memory_bytes_ = needed + needed / 2;
  Restart();
  const auto running = one_thread(50'000'000);
  ASSERT_TRUE(Reaches(running->name(), v1::Job::STATE_RUNNING));
  const auto next = one_thread(10);
  ASSERT_TRUE(next.ok()) << next.status();
  for (int i = 0;
       i < 500 && Get(next->name()).wait_reason().find("MB of memory") == std::string::npos; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_NE(Get(next->name()).wait_reason().find("MB of memory"), std::string::npos)
      << Get(next->name()).wait_reason();
  EXPECT_EQ(Get(next->name()).state(), v1::Job::STATE_QUEUED);
  Cancel(running->name());
  EXPECT_EQ(Watch(next->name()).back().job().state(), v1::Job::STATE_SUCCEEDED);

  memory_bytes_ = needed / 2;
  Restart();
  const auto never = one_thread(10);
  EXPECT_FALSE(never.ok());
  EXPECT_NE(std::string(never.status().message()).find("MB of memory"), std::string::npos)
      << never.status();
}

// Those inside go on, one too many is told so, and other calls find a place all the time.
TEST_F(Queue, OneWatcherTooManyIsRefused) {
  max_calls_ = 8;
  Restart();
  const auto job = Create(Steps(Simulate(), 50'000'000));
  ASSERT_TRUE(job.ok());
  v1::WatchJobRequest watched;
  watched.set_name(job->name());
  struct Watcher {
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReader<v1::WatchJobResponse>> stream;
  };
  std::vector<std::unique_ptr<Watcher>> watchers;
  v1::WatchJobResponse event;
  const auto watch = [&] {
    auto watcher = std::make_unique<Watcher>();
    watcher->stream = client_->jobs().WatchJob(&watcher->context, watched);
    if (!watcher->stream->Read(&event)) return watcher->stream->Finish();
    watchers.push_back(std::move(watcher));
    return grpc::Status::OK;
  };
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(watch().ok());
  const grpc::Status refused = watch();
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_NE(refused.error_message().find("4 streams watch already"), std::string::npos)
      << refused.error_message();
  EXPECT_NE(refused.error_details().find("google.rpc.RetryInfo"), std::string::npos);
  for (auto& watcher : watchers) EXPECT_TRUE(watcher->stream->Read(&event));
  EXPECT_EQ(Get(job->name()).name(), job->name());
  for (auto& watcher : watchers) watcher->context.TryCancel();
  for (auto& watcher : watchers) {
    while (watcher->stream->Read(&event)) {
    }
    watcher->stream->Finish();
  }
  watchers.clear();
  grpc::Status again = watch();
  for (int i = 0; i < 100 && !again.ok(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    again = watch();
  }
  EXPECT_TRUE(again.ok()) << again.error_message();
  watchers[0]->context.TryCancel();
  Cancel(job->name());
}

// Uploads that do not go on hold a place and some memory each.
void Queue::RefusesWhile(int open, const std::string& why) {
  struct Upload {
    grpc::ClientContext context;
    v1::ImportRecordingResponse response;
    std::unique_ptr<grpc::ClientWriter<v1::ImportRecordingRequest>> stream;
  };
  std::vector<std::unique_ptr<Upload>> uploads;
  v1::ImportRecordingRequest header;
  header.mutable_header()->set_format(v1::FORMAT_COUNTS_NPY);
  for (int i = 0; i < open; ++i) {
    auto upload = std::make_unique<Upload>();
    upload->stream = client_->recordings().ImportRecording(&upload->context, &upload->response);
    upload->stream->Write(header);
    uploads.push_back(std::move(upload));
  }
  const auto ask = [&] {
    grpc::ClientContext context;
    v1::GetServerStatusResponse response;
    return client_->server().GetServerStatus(&context, {}, &response);
  };
  grpc::Status refused = ask();
  for (int i = 0; i < 100 && refused.ok(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    refused = ask();
  }
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_NE(refused.error_details().find(why), std::string::npos) << refused.error_details();
  EXPECT_NE(refused.error_details().find("google.rpc.RetryInfo"), std::string::npos);
  for (auto& upload : uploads) upload->context.TryCancel();
  for (auto& upload : uploads) EXPECT_FALSE(upload->stream->Finish().ok());
  grpc::Status answer = ask();
  for (int i = 0; i < 100 && !answer.ok(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    answer = ask();
  }
  EXPECT_TRUE(answer.ok()) << answer.error_message();
}

TEST_F(Queue, CallsShareTheirMemory) {
  call_memory_bytes_ = 1 << 20;
  Restart();
  RefusesWhile(20, "of the 1 MB that calls may take");
}

// An upload that does not go on ends, leaves nothing, and does not end those that move.
TEST_F(Queue, AStalledUploadEnds) {
  stall_seconds_ = 0.3;
  Restart();
  grpc::ClientContext context;
  v1::ImportRecordingResponse response;
  const auto stream = client_->recordings().ImportRecording(&context, &response);
  v1::ImportRecordingRequest message;
  message.mutable_header()->set_format(v1::FORMAT_COUNTS_NPY);
  EXPECT_TRUE(stream->Write(message));
  message.mutable_file()->set_role(v1::FileHeader::ROLE_MAIN);
  message.mutable_file()->set_name("x.npy");
  message.mutable_file()->set_size(100);
  message.mutable_file()->set_sha256(std::string(64, '0'));
  EXPECT_TRUE(stream->Write(message));
  for (int i = 0; i < 10; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    message.set_chunk("x");
    EXPECT_TRUE(stream->Write(message)) << "ended although it moves";
  }
  // Answered without WritesDone.
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  const std::filesystem::path uploads(dir_ / "data/objects/uploads");
  for (int i = 0; i < 250 && !std::filesystem::is_empty(uploads); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_TRUE(std::filesystem::is_empty(uploads));
}

TEST(MemoryBudget, KeepsHalfForTheOthers) {
  rpc::MemoryBudget budget(int64_t{100} << 20);
  const auto wanted = [] { return absl::OkStatus(); };
  std::vector<rpc::MemoryBudget::Hold> held;
  {
    const OnBehalf ada("ada", wanted);
    held.push_back(*budget.Take(int64_t{30} << 20));
    const auto refused = budget.Take(int64_t{30} << 20).status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_THAT(std::string(refused.message()), testing::HasSubstr("of one user"));
    held.push_back(*budget.Take(int64_t{20} << 20));
  }
  const OnBehalf bob("bob", wanted);
  EXPECT_TRUE(budget.Take(int64_t{50} << 20).ok());
  held.clear();
  const OnBehalf ada("ada", wanted);
  held.push_back(*budget.Take(int64_t{1} << 20));
  EXPECT_TRUE(budget.Take(int64_t{500} << 20).ok()) << "beside small calls";
}

TEST(MemoryBudget, GivesOutWhatThereIs) {
  rpc::MemoryBudget budget(100);
  auto large = budget.Take(1000);
  ASSERT_TRUE(large.ok()) << "counts as half";
  EXPECT_EQ(budget.held(), 50);
  const auto small = budget.Take(30);
  ASSERT_TRUE(small.ok());
  EXPECT_TRUE(absl::IsResourceExhausted(budget.Take(30).status()));
  EXPECT_EQ(budget.held(), 80);
  large->reset();
  EXPECT_EQ(budget.held(), 30);
  EXPECT_TRUE(budget.Take(30).ok());
  EXPECT_EQ(budget.held(), 30) << "nobody keeps it";
}

TEST_F(Queue, WrongOptionsAreRefusedTogether) {
  auto request = TrainRequest(Simulate());
  request.set_priority(static_cast<v1::JobPriority>(9));
  const auto priority = Create(request);
  EXPECT_NE(priority.status().message().find("urgent"), std::string::npos) << priority.status();
  request.clear_priority();
  request.set_time_limit_seconds(-1);
  request.add_dependencies("jobs/none");
  const auto both = Create(request);
  EXPECT_NE(both.status().message().find("time_limit_seconds"), std::string::npos) << both.status();
}

}  // namespace
}  // namespace saed
