// Things are found by the names that people gave them, page tokens are their caller's own, and what
// was hidden from its owner can still be ended.
#include "server/rpc/names.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>

#include <limits>

#include "absl/strings/escaping.h"
#include "server/base/on_behalf.h"
#include "server/base/status_macros.h"
#include "server/rpc/gate.h"
#include "tests/integration/people.h"
#include "tests/tools/temp_dir.h"

namespace saed {
namespace {

using grpc::StatusCode;
using ::testing::HasSubstr;
using ::testing::Not;

class Named : public test_tools::PeopleTest {
 protected:
  template <class Response, class Request, class Method>
  std::pair<grpc::Status, Response> As(const std::string& who, const Request& request,
                                       Method method) {
    grpc::ClientContext context;
    Response response;
    auto s = method(who.empty() ? *client_ : *people_[who].client, &context, request, &response);
    return {s, response};
  }
  auto Job(const std::string& who, const std::string& name) {
    v1::GetJobRequest request;
    request.set_name(name);
    return As<v1::GetJobResponse>(who, request,
                                  [](auto& c, auto... a) { return c.jobs().GetJob(a...); });
  }
  auto Model(const std::string& name) {
    v1::GetModelRequest request;
    request.set_name(name);
    return As<v1::GetModelResponse>("", request,
                                    [](auto& c, auto... a) { return c.models().GetModel(a...); });
  }
  auto Dictionary(const std::string& name) {
    v1::GetDictionaryRequest request;
    request.set_name(name);
    return As<v1::GetDictionaryResponse>(
        "", request, [](auto& c, auto... a) { return c.features().GetDictionary(a...); });
  }
  auto Feature(const std::string& name) {
    v1::GetFeatureRequest request;
    request.set_name(name);
    return As<v1::GetFeatureResponse>(
        "", request, [](auto& c, auto... a) { return c.features().GetFeature(a...); });
  }
  auto Jobs(const std::string& who, const v1::ListJobsRequest& request) {
    return As<v1::ListJobsResponse>(who, request,
                                    [](auto& c, auto... a) { return c.jobs().ListJobs(a...); });
  }
  auto Make(const std::string& who, const v1::CreateJobRequest& request) {
    return As<v1::CreateJobResponse>(who, request,
                                     [](auto& c, auto... a) { return c.jobs().CreateJob(a...); });
  }
  void Hide(const std::string& adas_recording) {
    v1::UpdateRecordingRequest hide;
    hide.set_name(adas_recording);
    hide.set_private_(true);
    hide.mutable_update_mask()->add_paths("private");
    ASSERT_TRUE(As<v1::UpdateRecordingResponse>("ada", hide, [](auto& c, auto... a) {
                  return c.recordings().UpdateRecording(a...);
                }).first.ok());
  }
  v1::Job TrainedAs(const std::string& name, const std::string& recording) {
    auto request = TrainRequest(recording);
    request.set_display_name(name);
    const auto job = Create(request);
    EXPECT_TRUE(job.ok()) << job.status();
    return Watch(job->name()).back().job();
  }
};

TEST_F(Named, ThingsAreFoundByTheirNames) {
  const std::string recording = Simulate();
  const v1::Job best = TrainedAs("the best", recording);
  EXPECT_EQ(Job("", "jobs/the best").second.job().name(), best.name());
  EXPECT_EQ(Job("", "the best").second.job().name(), best.name()) << "as people write it";
  EXPECT_EQ(Model("models/the best").second.model().name(), best.model());
  EXPECT_EQ(Dictionary("dictionaries/the best").second.dictionary().name(), best.dictionary());
  EXPECT_EQ(Feature("dictionaries/the best/features/3").second.feature().name(),
            best.dictionary() + "/features/3");
  // Another dictionary of the model goes by its own job's name, and by the model's where it has
  // none.
  v1::CreateJobRequest analysis;
  analysis.mutable_analyse()->set_model("models/the best");
  analysis.mutable_analyse()->set_recording(recording);
  analysis.set_display_name("again");
  analysis.add_dependencies("jobs/the best");
  const auto queued = Create(analysis);
  ASSERT_TRUE(queued.ok()) << queued.status();
  EXPECT_EQ(queued->analyse().model(), best.model());
  EXPECT_EQ(queued->dependencies(0), best.name());
  const v1::Job again = Watch(queued->name()).back().job();
  EXPECT_EQ(Dictionary("dictionaries/again").second.dictionary().name(), again.dictionary());
  EXPECT_EQ(Dictionary("dictionaries/the best").second.dictionary().name(), best.dictionary());
}

TEST_F(Named, NamesOfSeveralOrOfNothingAreRefusedInTheirWords) {
  const std::string recording = Simulate();
  const v1::Job one = TrainedAs("twice", recording), two = TrainedAs("twice", recording);
  for (const auto& [status, collection] :
       {std::pair(Job("", "jobs/twice").first, "jobs"),
        {Model("models/twice").first, "models"},
        {Dictionary("dictionaries/twice").first, "dictionaries"}}) {
    EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
    EXPECT_THAT(status.error_message(), HasSubstr("name: is 'twice', as several"));
    for (const v1::Job& job : {one, two}) {
      EXPECT_THAT(status.error_message(), HasSubstr(collection + job.name().substr(4)));
    }
  }
  for (const auto& [status, words] :
       {std::pair(Job("", "jobs/no such one").first, "there is no job 'jobs/no such one'"),
        {Job("", "jobs/nothing").first, "there is no job 'jobs/nothing'"},
        {Model("models/no such one").first, "there is no model 'models/no such one'"},
        {Dictionary("dictionaries/no such one").first,
         "there is no dictionary 'dictionaries/no such one'"},
        {Feature("dictionaries/no such one/features/1").first,
         "there is no dictionary 'dictionaries/no such one'"}}) {
    EXPECT_EQ(status.error_code(), StatusCode::NOT_FOUND);
    EXPECT_THAT(status.error_message(), HasSubstr(words));
  }
  EXPECT_EQ(Job("", "models/twice").first.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Job("", "jobs/a/b").first.error_code(), StatusCode::INVALID_ARGUMENT);
}

TEST_F(Named, EveryNewNameGoesThroughOneCheck) {
  const std::string recording = Simulate();
  const std::string turned =
      "abc\xe2\x80\xae"
      "cba";  // U+202E
  for (const std::string& name :
       {turned, std::string("two\nlines"), std::string(201, 'x'), std::string("0123456789abcdef"),
        std::string("mouse\xe2\x80\x8b"), std::string("-"), std::string(" ")}) {
    auto job = TrainRequest(recording);
    job.set_display_name(name);
    v1::CreateSweepRequest sweep;
    *sweep.mutable_spec()->mutable_base() = job.train();
    auto* lr = sweep.mutable_spec()->add_parameters();
    lr->set_field("lr");
    lr->add_values()->set_number_value(0.01);
    sweep.set_display_name(name);
    v1::SimulateRecordingRequest simulated;
    simulated.mutable_rat();
    simulated.set_display_name(name);
    for (const grpc::Status& status :
         {Make("", job).first,
          As<v1::CreateSweepResponse>(
              "", sweep, [](auto&c, auto... a) { return c.sweeps().CreateSweep(a...); })
              .first,
          As<v1::SimulateRecordingResponse>("", simulated, [](auto&c, auto... a) {
            return c.recordings().SimulateRecording(a...);
          }).first}) {
      EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT) << name;
      EXPECT_THAT(status.error_message(), HasSubstr("display_name"));
      EXPECT_THAT(status.error_message(), Not(HasSubstr("\xe2\x80\xae")));
    }
  }
}

TEST_F(Named, ATimeLimitIsANumberOfSeconds) {
  auto request = TrainRequest(Simulate());
  for (const double limit :
       {std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN(), -1.0}) {
    request.set_time_limit_seconds(limit);
    const auto refused = Make("", request).first;
    EXPECT_EQ(refused.error_code(), StatusCode::INVALID_ARGUMENT) << limit;
    EXPECT_THAT(refused.error_message(), HasSubstr("time_limit_seconds"));
  }
  request.mutable_train()->set_epochs(100'000);
  request.mutable_train()->set_max_steps(50'000'000);
  request.set_time_limit_seconds(0.25);
  const v1::Job ended = Watch(Make("", request).second.job().name()).back().job();
  EXPECT_THAT(ended.error().message(), HasSubstr("longer than its time limit of 0.25 s"));
}

TEST_F(Named, PageTokensAreTheirCallersOwnAndTellNothing) {
  ASSERT_NO_FATAL_FAILURE(MakePeople());
  const std::string recording = AdasRecording(false, 31);
  for (int i = 0; i < 3; ++i) AdasJob(recording);
  v1::ListJobsRequest request;
  request.set_page_size(1);
  request.set_filter("kind = train");
  const auto [first, page] = Jobs("ada", request);
  ASSERT_TRUE(first.ok()) << first.error_message();
  ASSERT_NE(page.next_page_token(), "");
  std::string raw;
  ASSERT_TRUE(absl::WebSafeBase64Unescape(page.next_page_token(), &raw));
  EXPECT_NE(Jobs("ada", request).second.next_page_token(), page.next_page_token())
      << "what tells the same is not sealed";
  request.set_page_token(page.next_page_token());
  const auto [second, next] = Jobs("ada", request);
  EXPECT_TRUE(second.ok()) << second.error_message();
  EXPECT_NE(next.jobs(0).name(), page.jobs(0).name());
  const auto refused = [&](const std::string& who, const v1::ListJobsRequest& asked) {
    const auto status = Jobs(who, asked).first;
    EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT) << who;
    EXPECT_THAT(status.error_message(), HasSubstr("page_token: does not belong to this query"));
  };
  refused("bea", request);
  refused("root", request);
  auto other = request;
  other.set_filter("kind = analyse");
  refused("ada", other);
  other = request;
  other.set_show_trials(true);
  refused("ada", other);
  other = request;
  std::string changed = raw;
  changed[changed.size() / 2] ^= 1;
  other.set_page_token(absl::WebSafeBase64Escape(changed));
  refused("ada", other);
  other.set_page_token(absl::WebSafeBase64Escape("short"));
  refused("ada", other);
}

class StillClock : public jobs::Clock {
 public:
  int64_t NowMicros() const override { return 1; }
  double MonotonicSeconds() const override { return 1; }
};

// What the door says of CreateJob with so many dependencies on the one job that is called 'one',
// among so many jobs that to find it takes about 100'000 steps.
absl::Status Door(const std::string& file, int64_t most_steps, int names) {
  const auto db = *storage::Database::Open(file, {}, most_steps);
  SAED_RETURN_IF_ERROR(db->Write([](SQLite::Database& to) -> absl::Status {
    to.exec(
        "INSERT OR IGNORE INTO recordings (id, digest, name, source, created_at, duration, "
        "unit_count, spike_count, bytes, summary) VALUES ('r', 'd', '', '', 1, 1, 1, 1, 1, '{}'); "
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 20000) "
        "INSERT OR IGNORE INTO jobs (id, number, request_digest, kind, state, recording_id, name, "
        "spec, threads, created_at) SELECT printf('%016x', i), i, '', 'train', 'SUCCEEDED', 'r', "
        "iif(i = 1, 'one', 'other'), '{}', 1, 1 FROM n");
    return absl::OkStatus();
  }));
  storage::PeopleTable people(*db);
  storage::AccessTable access(*db);
  const StillClock clock;
  rpc::Gate gate(people, access, clock, {});
  v1::CreateJobRequest request;
  for (int i = 0; i < names; ++i) request.add_dependencies("jobs/one");
  const OnBehalf call("", [] { return absl::OkStatus(); });
  SAED_RETURN_IF_ERROR(gate.Resources({}, "JobService.CreateJob", request));
  EXPECT_EQ(request.dependencies(0), "jobs/0000000000000001");
  EXPECT_EQ(request.dependencies(names - 1), names > 100 ? "jobs/one" : request.dependencies(0));
  return absl::OkStatus();
}

TEST(DoorSteps, ARequestsNamesShareThoseOfOneSearchAndTheErrorNamesTheField) {
  const test_tools::TempDir dir;
  const std::string file = dir / "x.db";
  for (const int names : {1, 101}) {
    EXPECT_TRUE(Door(file, storage::kMostSteps, names).ok()) << names;
  }
  const absl::Status alone = Door(file, 20'000, 1);
  EXPECT_TRUE(absl::IsInvalidArgument(alone)) << alone;
  EXPECT_THAT(std::string(alone.message()), HasSubstr("dependencies[0]: is 'one', and"));
  EXPECT_THAT(std::string(alone.message()), HasSubstr("must be an id: jobs/{id}"));
  EXPECT_TRUE(Door(file, 1'000'000, 1).ok());
  const absl::Status together = Door(file, 1'000'000, 100);
  EXPECT_TRUE(absl::IsInvalidArgument(together)) << together;
  EXPECT_THAT(std::string(together.message()), HasSubstr("dependencies["));
  EXPECT_THAT(std::string(together.message()), Not(HasSubstr("dependencies[0]")));
}

TEST(PageTokens, AreAsLongWhateverPositionTheyHave) {
  const auto token = [](const std::string& position) {
    return rpc::MakePageToken("jobs", {position});
  };
  const size_t size = token("1").size();
  for (const int64_t position : {int64_t{9}, int64_t{10}, int64_t{100}, int64_t{1000},
                                 std::numeric_limits<int64_t>::max()}) {
    const std::string text = std::to_string(position);
    EXPECT_EQ(token(text).size(), size) << position;
    const auto back = rpc::ParsePageToken(token(text), "jobs", 1);
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_EQ(back->front(), text);
  }
  // Texts that end like what makes them longer, of all lengths about a block.
  for (size_t n = 0; n < 70; ++n) {
    for (const std::string& tail : {std::string(), std::string("\x80"), std::string("\x80\0", 2)}) {
      const std::string text = std::string(n, 'x') + tail;
      const auto back = rpc::ParsePageToken(token(text), "jobs", 1);
      ASSERT_TRUE(back.ok()) << back.status();
      EXPECT_EQ(back->front(), text);
    }
  }
}

// bea's job on a recording of ada's, who hides it then.
TEST_F(Named, AnOwnJobCanBeEndedThoughItsRecordingWasHidden) {
  ASSERT_NO_FATAL_FAILURE(MakePeople());
  const std::string recording = AdasRecording(false, 32);
  auto request = TrainRequest(recording);
  request.set_request_id("mine");
  request.mutable_train()->set_epochs(100'000);
  request.mutable_train()->set_max_steps(50'000'000);
  const std::string job = Make("bea", request).second.job().name();
  Hide(recording);
  EXPECT_EQ(Job("bea", job).first.error_code(), StatusCode::NOT_FOUND);
  // Her request id is as that of a job that is not there.
  auto another = TrainRequest(recording_);
  another.set_request_id("mine");
  const auto used = Make("bea", another).first;
  EXPECT_EQ(used.error_code(), StatusCode::NOT_FOUND);
  EXPECT_THAT(used.error_message(), HasSubstr("not there for you any more"));
  EXPECT_THAT(used.error_message(), HasSubstr("new request_id"));

  v1::CancelJobRequest cancel;
  cancel.set_name(job);
  const auto end = [&](const std::string& who) {
    return As<v1::CancelJobResponse>(who, cancel,
                                     [](auto& c, auto... a) { return c.jobs().CancelJob(a...); });
  };
  v1::PauseJobRequest pause;
  pause.set_name(job);
  EXPECT_EQ(As<v1::PauseJobResponse>("bea", pause,
                                     [](auto& c, auto... a) { return c.jobs().PauseJob(a...); })
                .first.error_code(),
            StatusCode::NOT_FOUND);
  EXPECT_EQ(end("rex").first.error_code(), StatusCode::PERMISSION_DENIED);  // a reader
  // Sees it; it is not hers.
  EXPECT_EQ(end("ada").first.error_code(), StatusCode::PERMISSION_DENIED);
  const auto [done, answer] = end("bea");
  EXPECT_TRUE(done.ok()) << done.error_message();
  v1::Job told;
  told.set_name(job);
  told.set_state(answer.job().state());
  EXPECT_NE(told.state(), v1::Job::STATE_UNSPECIFIED);
  EXPECT_EQ(answer.job().ShortDebugString(), told.ShortDebugString()) << "it is hidden from her";
  const auto ended = [&] {
    return Job("root", job).second.job().state() == v1::Job::STATE_CANCELLED;
  };
  for (int i = 0; i < 200 && !ended(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  v1::DeleteJobRequest gone;
  gone.set_name(job);
  const auto remove = [&] {
    return As<v1::DeleteJobResponse>("bea", gone,
                                     [](auto& c, auto... a) { return c.jobs().DeleteJob(a...); })
        .first;
  };
  EXPECT_TRUE(remove().ok());
  EXPECT_EQ(remove().error_code(), StatusCode::NOT_FOUND);
  const auto fresh = Make("bea", another).first;
  EXPECT_TRUE(fresh.ok()) << "its request id is free again: " << fresh.error_message();
}

TEST_F(Named, AnOwnSweepIsEndedWithoutAWordOfWhatWasHidden) {
  ASSERT_NO_FATAL_FAILURE(MakePeople());
  const std::string recording = AdasRecording(false, 33);
  v1::CreateSweepRequest request;
  *request.mutable_spec()->mutable_base() = TrainRequest(recording).train();
  request.mutable_spec()->mutable_base()->set_epochs(100'000);
  request.mutable_spec()->mutable_base()->set_max_steps(10'000'000);
  auto* lr = request.mutable_spec()->add_parameters();
  lr->set_field("lr");
  for (const double v : {0.01, 0.02}) lr->add_values()->set_number_value(v);
  request.mutable_spec()->set_method(v1::SWEEP_METHOD_GRID);
  const auto begin = [&] {
    return As<v1::CreateSweepResponse>(
        "bea", request, [](auto& c, auto... a) { return c.sweeps().CreateSweep(a...); });
  };
  const auto end = [&](const std::string& name) {
    v1::CancelSweepRequest cancel;
    cancel.set_name(name);
    return As<v1::CancelSweepResponse>(
        "bea", cancel, [](auto& c, auto... a) { return c.sweeps().CancelSweep(a...); });
  };
  const auto [begun, first] = begin();
  ASSERT_TRUE(begun.ok()) << begun.error_message();
  const auto seen = first.sweep(), hidden = begin().second.sweep();
  EXPECT_TRUE(end(seen.name()).second.sweep().has_spec());
  Hide(recording);
  const auto [done, answer] = end(hidden.name());
  EXPECT_TRUE(done.ok()) << done.error_message();
  v1::Sweep told;
  told.set_name(hidden.name());
  told.set_state(v1::Sweep::STATE_CANCELLED);
  EXPECT_EQ(answer.sweep().ShortDebugString(), told.ShortDebugString());
}

}  // namespace
}  // namespace saed
