// What a caller may not see does not exist for them: every method, for every role, on things made
// from shared and private recordings together.
#include <gmock/gmock.h>

#include <algorithm>
#include <set>
#include <thread>

#include "tests/integration/people.h"

namespace saed {
namespace {

using google::protobuf::Message;
using grpc::StatusCode;
using test_tools::AllMethods;
using test_tools::MethodDescriptor;
using test_tools::Name;
using ::testing::HasSubstr;
using ::testing::Not;
using Things = std::map<std::string, std::string>;

constexpr char kSecret[] = "secret-mouse";

class Privacy : public test_tools::PeopleTest {
 protected:
  template <class Response, class Request, class Method>
  Response Do(const std::string& who, const Request& request, Method method) {
    grpc::ClientContext context;
    Response response;
    const auto s = method(*people_[who].client, &context, request, &response);
    EXPECT_TRUE(s.ok()) << s.error_message();
    return response;
  }

  v1::Job Finished(const std::string& who, const v1::CreateJobRequest& request) {
    const auto made = Do<v1::CreateJobResponse>(
        who, request, [](auto& c, auto... a) { return c.jobs().CreateJob(a...); });
    grpc::ClientContext context;
    v1::WatchJobRequest watch;
    watch.set_name(made.job().name());
    const auto stream = people_[who].client->jobs().WatchJob(&context, watch);
    v1::WatchJobResponse event;
    while (stream->Read(&event)) {
    }
    EXPECT_EQ(event.job().state(), v1::Job::STATE_SUCCEEDED) << event.job().error().message();
    return event.job();
  }

  static v1::CreateJobRequest ToTarget(const std::string& input, const std::string& target) {
    auto request = TrainRequest(input);
    request.mutable_train()->mutable_target()->set_recording(target);
    return request;
  }

  static v1::CreateJobRequest Analysis(const std::string& model, const std::string& recording) {
    v1::CreateJobRequest request;
    request.mutable_analyse()->set_model(model);
    request.mutable_analyse()->set_recording(recording);
    return request;
  }

  static v1::CreateSweepRequest Sweep(const v1::CreateJobRequest& base, int steps) {
    v1::CreateSweepRequest request;
    *request.mutable_spec()->mutable_base() = base.train();
    request.mutable_spec()->mutable_base()->set_max_steps(steps);
    if (steps > 1000) request.mutable_spec()->mutable_base()->set_epochs(100'000);
    auto* lr = request.mutable_spec()->add_parameters();
    lr->set_field("lr");
    lr->add_values()->set_number_value(0.01);
    request.mutable_spec()->set_trials(1);
    request.mutable_spec()->set_skip_best(true);
    return request;
  }

  v1::Sweep Swept(const std::string& who, const v1::CreateSweepRequest& request) {
    auto sweep = Do<v1::CreateSweepResponse>(who, request, [](auto& c, auto... a) {
                   return c.sweeps().CreateSweep(a...);
                 }).sweep();
    v1::GetSweepRequest get;
    get.set_name(sweep.name());
    for (int i = 0; i < 300 && sweep.state() == v1::Sweep::STATE_RUNNING; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      sweep = Do<v1::GetSweepResponse>("root", get, [](auto& c, auto... a) {
                return c.sweeps().GetSweep(a...);
              }).sweep();
    }
    return sweep;
  }

  void Annotate(const std::string& who, const std::string& dictionary, v1::Annotation::Kind kind,
                const std::string& text) {
    v1::CreateAnnotationRequest request;
    request.set_parent(dictionary + "/features/0");
    request.set_kind(kind);
    request.set_text(text);
    Do<v1::CreateAnnotationResponse>(
        who, request, [](auto& c, auto... a) { return c.features().CreateAnnotation(a...); });
  }

  // Everything that lists, filters, counts or pools, as bytes. Those of units come in any order.
  std::map<std::string, std::string> Lists(const std::string& who) {
    std::map<std::string, std::string> out;
    for (const auto* method : AllMethods()) {
      const std::string& name = method->name();
      if (rpc::FindRule(Name(*method))->least == rpc::Role::kAdmin) continue;
      if ((name.starts_with("List") || name == "WatchJobs") && name != "ListFeatures" &&
          name != "ListFormats" && name != "ListUnits") {
        Things none = things_;
        if (name == "ListModels" || name == "ListDictionaries") {
          none["recordings"] = none["models"] = "";
        }
        out[name] = Call(people_[who].token, *method, none).bytes;
      }
      if (name == "ListFeatures") {
        for (const std::string& filter : std::vector<std::string>{
                 "", std::string("label = \"") + kSecret + "\"",
                 "tag = \"" + std::string(kSecret) + "\"", "label = \"open\"",
                 "auroc(\"" + std::string(kSecret) + ".x=y\") > 0",
                 "auroc(\"tagged.feature=f07\") > 0", "spearman(\"tagged\") > 0",
                 "best_condition = \"tagged.feature=f07\""}) {
          v1::ListFeaturesRequest request;
          request.set_parent("dictionaries/-");
          request.set_page_size(1000);
          request.set_filter(filter);
          const Answer answer = Send(people_[who].token, *method, request);
          out[name + " " + filter] = answer.bytes + answer.message;
        }
      }
      if (name == "ListJobs") {
        for (const std::string& filter :
             {std::string(), "display_name : " + std::string(kSecret),
              "recording = \"" + std::string(kSecret) + "\"", std::string("NOT kind = train")}) {
          v1::ListJobsRequest request;
          request.set_filter(filter);
          request.set_show_trials(true);
          const Answer answer = Send(people_[who].token, *method, request);
          out[name + " " + filter] = answer.bytes + answer.message;
        }
      }
      if (name == "PoolCondition") {
        v1::PoolConditionRequest request;
        request.set_condition("planted.feature=f07");
        const Answer answer = Send(people_[who].token, *method, request);
        out[name] = answer.bytes + answer.message;
      }
      if (name == "RenderReport" || name == "GetFeature") {
        out[name] = Call(people_[who].token, *method, things_).bytes;
      }
    }
    const auto status = Do<v1::GetServerStatusResponse>(
        who, v1::GetServerStatusRequest(),
        [](auto& c, auto... a) { return c.server().GetServerStatus(a...); });
    for (const auto& user : status.users()) {
      EXPECT_EQ(user.user(), who) << "what others run may be private";
    }
    out["status"] = std::to_string(status.queued_jobs()) + " " +
                    std::to_string(status.running_jobs()) + " " +
                    std::to_string(status.paused_jobs());
    return out;
  }

  // The world before there is anything private: a shared recording and all that is made from it.
  void MakeShared() {
    ASSERT_NO_FATAL_FAILURE(MakePeople());
    shared_ = AdasRecording(false, 21);
    const v1::Job job = Finished("ada", TrainRequest(shared_));
    things_ = {{"users", "users/ada"},
               {"tokens", TokenOfAda()},
               {"recordings", shared_},
               {"jobs", job.name()},
               {"models", job.model()},
               {"dictionaries", job.dictionary()},
               {"sweeps", Swept("ada", Sweep(TrainRequest(shared_), 20)).name()}};
    Annotate("bea", job.dictionary(), v1::Annotation::KIND_LABEL, "open");
  }

  // One that nobody calls with.
  std::string TokenOfAda() {
    v1::Token token;
    MakeToken("ada", &token);
    return token.name();
  }

  // What ada makes from shared and private recordings together: what is private of it, by how.
  std::map<std::string, Things> MakeMixed() {
    private_ = AdasRecording(true, 22);
    v1::UpdateRecordingRequest rename;
    rename.set_name(private_);
    rename.set_display_name(kSecret);
    Do<v1::UpdateRecordingResponse>(
        "ada", rename, [](auto& c, auto... a) { return c.recordings().UpdateRecording(a...); });
    std::map<std::string, Things> out;
    const auto trained = [](const v1::Job& job) {
      return Things{
          {"jobs", job.name()}, {"models", job.model()}, {"dictionaries", job.dictionary()}};
    };
    auto named = ToTarget(shared_, private_);
    named.set_display_name(kSecret);
    named.set_request_id("once");
    const v1::Job target = Finished("ada", named);
    out["input"] = trained(Finished("ada", TrainRequest(private_)));
    out["input"]["recordings"] = private_;
    out["target"] = trained(target);
    const v1::Job model = Finished("ada", Analysis(out["input"]["models"], shared_));
    out["model"] = {{"jobs", model.name()}, {"dictionaries", model.dictionary()}};
    const v1::Job analysed = Finished("ada", Analysis(things_["models"], private_));
    out["recording of the analysis"] = {{"jobs", analysed.name()},
                                        {"dictionaries", analysed.dictionary()}};
    auto request = Sweep(ToTarget(shared_, private_), 20);
    request.set_request_id("once");
    const v1::Sweep sweep = Swept("ada", request);
    EXPECT_EQ(sweep.state(), v1::Sweep::STATE_SUCCEEDED) << sweep.error();
    out["sweep"] = {{"sweeps", sweep.name()}, {"jobs", sweep.trials(0).jobs(0)}};
    Annotate("ada", analysed.dictionary(), v1::Annotation::KIND_LABEL, kSecret);
    Annotate("ada", analysed.dictionary(), v1::Annotation::KIND_TAG, kSecret);
    Annotate("ada", analysed.dictionary(), v1::Annotation::KIND_NOTE, kSecret);
    out["owner"] = {{"users", "users/ada"}, {"tokens", TokenOfAda()}};
    return out;
  }

  Things things_;  // that everyone may see
  std::string shared_, private_;
};

// The same text with what differs between a thing that is hidden and one that is not.
std::string Unnamed(std::string text, const std::string& name) {
  const std::string id = name.substr(name.find('/') + 1);
  for (size_t at = text.find(id); at != std::string::npos; at = text.find(id)) {
    text.replace(at, id.size(), "ID");
  }
  return text;
}

TEST_F(Privacy, WhatIsHiddenAnswersAsWhatIsNotThere) {
  ASSERT_NO_FATAL_FAILURE(MakeShared());
  const auto before = Lists("bea"), reader = Lists("rex");
  const auto mixed = MakeMixed();
  for (const auto& [who, old] : {std::pair("bea", before), {"rex", reader}}) {
    for (const auto& [what, bytes] : Lists(who)) {
      EXPECT_TRUE(bytes == old.at(what)) << what << " tells " << who << " of what is private";
    }
  }
  int asked = 0;
  for (const auto& [how, hidden] : mixed) {
    for (const auto& [collection, name] : hidden) {
      Things there = things_, missing = things_;
      there[collection] = name;
      missing[collection] = collection + "/0123456789abcdef";
      for (const auto* method : AllMethods()) {
        const auto* rule = rpc::FindRule(Name(*method));
        if (rule->fields.empty()) continue;
        const auto one = PeopleTest::Request(*method, there);
        const auto two = PeopleTest::Request(*method, missing);
        if (one->SerializeAsString() == two->SerializeAsString()) continue;
        for (const char* who : {"bea", "rex"}) {
          const std::string what =
              Name(*method) + " by " + who + " on " + name + ", private by its " + how;
          const Answer hides = Send(people_[who].token, *method, *one);
          const Answer lacks = Send(people_[who].token, *method, *two);
          EXPECT_EQ(hides.code, lacks.code) << what << ": " << hides.message;
          EXPECT_NE(hides.code, StatusCode::OK) << what;
          EXPECT_EQ(Unnamed(hides.message, name), Unnamed(lacks.message, missing[collection]))
              << what;
          EXPECT_EQ(hides.bytes, lacks.bytes) << what;
          EXPECT_THAT(hides.message, Not(HasSubstr(kSecret))) << what;
          ++asked;
        }
      }
    }
  }
  EXPECT_GT(asked, 200);
}

// Makes a request that names things into one that is right.
void Complete(const Things& things, Message& message) {
  if (auto* job = dynamic_cast<v1::CreateJobRequest*>(&message)) {
    job->clear_dependencies();
    job->mutable_analyse()->set_model(things.at("models"));
    job->mutable_analyse()->set_recording(things.at("recordings"));
    job->set_validate_only(true);
  } else if (auto* encode = dynamic_cast<v1::EncodeRequest*>(&message)) {
    encode->clear_sets();
    encode->mutable_counts()->set_dtype(v1::DATA_TYPE_U8);
    for (const int d : {1, 2, 20}) encode->mutable_counts()->add_shape(d);
    encode->mutable_counts()->set_data(std::string(40, 1));
  } else if (auto* note = dynamic_cast<v1::CreateAnnotationRequest*>(&message)) {
    note->set_kind(v1::Annotation::KIND_NOTE);
    note->set_text("seen");
  } else if (auto* pool = dynamic_cast<v1::PoolConditionRequest*>(&message)) {
    pool->set_condition("planted.feature=f03");
  } else if (auto* update = dynamic_cast<v1::UpdateRecordingRequest*>(&message)) {
    update->set_display_name(kSecret);
  } else if (auto* job_name = dynamic_cast<v1::UpdateJobRequest*>(&message)) {
    job_name->set_display_name(kSecret);
  } else if (auto* model_name = dynamic_cast<v1::UpdateModelRequest*>(&message)) {
    model_name->set_display_name(kSecret);
  } else if (auto* watch = dynamic_cast<v1::WatchJobRequest*>(&message)) {
    watch->set_after_sequence(-1);
  }
}

TEST_F(Privacy, WhoMaySeeThemIsAnsweredOk) {
  ASSERT_NO_FATAL_FAILURE(MakeShared());
  const auto mixed = MakeMixed();
  // These change what is there, or come as a stream; others show them.
  const std::set<std::string> apart = {"CancelJob",       "PauseJob",          "ResumeJob",
                                       "RetryJob",        "CancelSweep",       "ImportModel",
                                       "ImportRecording", "SimulateRecording", "DetectFormat",
                                       "CreateSweep",     "CreateToken",       "RevokeToken"};
  for (const auto& [how, seen] : mixed) {
    Things there = things_;
    for (const auto& [collection, name] : seen) there[collection] = name;
    for (const auto* method : AllMethods()) {
      const bool admin = rpc::FindRule(Name(*method))->least == rpc::Role::kAdmin;
      if (admin || apart.contains(method->name()) || method->name().starts_with("Delete")) continue;
      const auto request = PeopleTest::Request(*method, there);
      Complete(there, *request);
      for (const char* who : {"ada", "root"}) {
        const Answer answer = Send(people_[who].token, *method, *request);
        EXPECT_EQ(answer.code, StatusCode::OK)
            << Name(*method) << " by " << who << " on what is "
            << "private by its " << how << ": " << answer.message;
      }
    }
  }
  // Their owner deletes them, in the order in which they depend on each other.
  const auto* files = v1::DeleteJobRequest::descriptor()->file();
  const auto drop = [&](const MethodDescriptor* method, const Things& things) {
    const Answer answer = Call(people_["ada"].token, *method, things);
    EXPECT_EQ(answer.code, StatusCode::OK) << Name(*method) << ": " << answer.message;
  };
  drop(v1::DeleteSweepRequest::descriptor()->file()->service(0)->FindMethodByName("DeleteSweep"),
       mixed.at("sweep"));
  for (const char* how : {"target", "input"}) {
    drop(v1::DeleteModelRequest::descriptor()->file()->service(0)->FindMethodByName("DeleteModel"),
         mixed.at(how));
    drop(files->service(0)->FindMethodByName("DeleteJob"), mixed.at(how));
  }
}

const MethodDescriptor& MethodNamed(const std::string& name) {
  for (const auto* method : AllMethods()) {
    if (method->name() == name) return *method;
  }
  ADD_FAILURE() << name;
  return *AllMethods()[0];
}

// What changes things, on private ones and in an order in which each can: pausing, resuming,
// cancelling, retrying, deleting.
TEST_F(Privacy, WhoMaySeeThemChangesThem) {
  ASSERT_NO_FATAL_FAILURE(MakeShared());
  const auto mixed = MakeMixed();
  auto slow = TrainRequest(private_);
  slow.mutable_train()->set_epochs(100'000);
  slow.mutable_train()->set_max_steps(50'000'000);
  const auto create = [](auto& c, auto... a) { return c.jobs().CreateJob(a...); };
  const auto sweep = [](auto& c, auto... a) { return c.sweeps().CreateSweep(a...); };
  for (const char* who : {"ada", "root"}) {
    Things things = things_;
    things["recordings"] = private_;
    things["jobs"] = Do<v1::CreateJobResponse>("ada", slow, create).job().name();
    things["sweeps"] =
        Do<v1::CreateSweepResponse>("ada", Sweep(slow, 50'000'000), sweep).sweep().name();
    const auto may = [&](const std::string& name) {
      const Answer answer = Call(people_[who].token, MethodNamed(name), things);
      EXPECT_EQ(answer.code, StatusCode::OK) << name << " by " << who << ": " << answer.message;
    };
    const auto reaches = [&](v1::Job::State state) {
      v1::GetJobRequest get;
      get.set_name(things["jobs"]);
      for (int i = 0; i < 500; ++i) {
        const auto job = Do<v1::GetJobResponse>(
            "ada", get, [](auto& c, auto... a) { return c.jobs().GetJob(a...); });
        if (job.job().state() == state) return;
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
      }
      ADD_FAILURE() << things["jobs"] << " never was " << v1::Job::State_Name(state);
    };
    may("CancelSweep");
    may("PauseJob");
    reaches(v1::Job::STATE_PAUSED);
    may("ResumeJob");
    may("CancelJob");
    reaches(v1::Job::STATE_CANCELLED);
    may("RetryJob");
    may("CancelJob");
    reaches(v1::Job::STATE_CANCELLED);
    may("DeleteJob");
  }
  for (const auto& [who, how] :
       {std::pair("ada", "model"), {"root", "recording of the analysis"}}) {
    const Answer answer = Call(people_[who].token, MethodNamed("DeleteDictionary"), mixed.at(how));
    EXPECT_EQ(answer.code, StatusCode::OK) << who << ": " << answer.message;
  }
}

TEST_F(Privacy, NothingOfOthersStandsInTheWay) {
  ASSERT_NO_FATAL_FAILURE(MakeShared());
  const auto mixed = MakeMixed();
  // Request ids are each user's own.
  auto job = TrainRequest(shared_);
  job.set_request_id("once");
  EXPECT_NE(Finished("bea", job).name(), mixed.at("target").at("jobs"));
  auto sweep = Sweep(TrainRequest(shared_), 20);
  sweep.set_request_id("once");
  EXPECT_NE(Swept("bea", sweep).name(), mixed.at("sweep").at("sweeps"));
  // Contents, too: bea's copies are hers, under an id that says nothing of ada's.
  const auto simulate = [&](const std::string& who, bool is_private, uint64_t seed) {
    v1::SimulateRecordingRequest request;
    auto* planted = request.mutable_planted();
    planted->set_units(20);
    planted->set_features(8);
    planted->set_bins(2000);
    planted->set_seed(seed);
    request.set_private_(is_private);
    return Do<v1::SimulateRecordingResponse>(
        who, request, [](auto& c, auto... a) { return c.recordings().SimulateRecording(a...); });
  };
  const auto again = simulate("bea", false, 22);
  EXPECT_TRUE(again.created());
  EXPECT_NE(again.recording().name(), private_);
  EXPECT_EQ(again.recording().owner(), "bea");
  EXPECT_FALSE(again.recording().private_());
  const auto kept = simulate("bea", true, 21);
  EXPECT_TRUE(kept.created()) << "private of what ada shares";
  EXPECT_TRUE(kept.recording().private_());
  EXPECT_FALSE(simulate("bea", true, 21).created());
  EXPECT_EQ(simulate("ada", true, 22).recording().name(), private_);
  // Her own shared one is not made private by the way.
  grpc::ClientContext context;
  v1::SimulateRecordingRequest shared;
  *shared.mutable_planted() = v1::PlantedSimulation();
  shared.mutable_planted()->set_units(20);
  shared.mutable_planted()->set_features(8);
  shared.mutable_planted()->set_bins(2000);
  shared.mutable_planted()->set_seed(22);
  shared.set_private_(true);
  v1::SimulateRecordingResponse response;
  const auto s = people_["bea"].client->recordings().SimulateRecording(&context, shared, &response);
  EXPECT_EQ(s.error_code(), StatusCode::ALREADY_EXISTS);
  EXPECT_THAT(s.error_message(), HasSubstr("yours and shared"));
  // One of two copies may go; the other still reads.
  v1::DeleteRecordingRequest drop;
  drop.set_name(again.recording().name());
  Do<v1::DeleteRecordingResponse>(
      "bea", drop, [](auto& c, auto... a) { return c.recordings().DeleteRecording(a...); });
  Finished("ada", TrainRequest(private_));
  // A recording in hidden use is not deleted, and who uses it is not told.
  grpc::ClientContext deleting;
  drop.set_name(private_);
  v1::DeleteRecordingResponse gone;
  EXPECT_EQ(
      people_["ada"].client->recordings().DeleteRecording(&deleting, drop, &gone).error_code(),
      StatusCode::FAILED_PRECONDITION);
}

TEST_F(Privacy, DependenciesThatAreHiddenAreNotNamed) {
  ASSERT_NO_FATAL_FAILURE(MakeShared());
  private_ = AdasRecording(true, 22);
  auto slow = TrainRequest(private_);
  slow.mutable_train()->set_epochs(100'000);
  slow.mutable_train()->set_max_steps(50'000'000);
  const auto create = [](auto& c, auto... a) { return c.jobs().CreateJob(a...); };
  const std::string hidden = Do<v1::CreateJobResponse>("ada", slow, create).job().name();
  auto next = TrainRequest(shared_);
  next.add_dependencies(hidden);
  v1::GetJobRequest get;
  get.set_name(Do<v1::CreateJobResponse>("ada", next, create).job().name());
  const auto seen = [&](const std::string& who) {
    return Do<v1::GetJobResponse>(who, get,
                                  [](auto& c, auto... a) { return c.jobs().GetJob(a...); })
        .job();
  };
  for (int i = 0; i < 100 && !seen("ada").wait_reason().starts_with("waits for"); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  EXPECT_THAT(seen("ada").wait_reason(), HasSubstr(hidden));
  EXPECT_THAT(seen("bea").wait_reason(), HasSubstr("waits for another job, which is"));
  EXPECT_THAT(seen("bea").ShortDebugString(), Not(HasSubstr(hidden)));
  v1::CancelJobRequest cancel;
  cancel.set_name(hidden);
  Do<v1::CancelJobResponse>("ada", cancel,
                            [](auto& c, auto... a) { return c.jobs().CancelJob(a...); });
  for (int i = 0; i < 200 && seen("ada").state() != v1::Job::STATE_FAILED; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  EXPECT_THAT(seen("ada").error().message(), HasSubstr(hidden));
  EXPECT_THAT(seen("bea").error().message(), HasSubstr("another job, which it depends on"));
}

TEST_F(Privacy, AnnotationsAreTheirAuthorsAndAsPrivateAsWhereTheyWereWritten) {
  ASSERT_NO_FATAL_FAILURE(MakeShared());
  const auto mixed = MakeMixed();
  const std::string feature = things_["dictionaries"] + "/features/0";
  const auto list = [&](const std::string& who) {
    v1::ListAnnotationsRequest request;
    request.set_parent(feature);
    request.set_show_deleted(true);
    const auto answer = Do<v1::ListAnnotationsResponse>(
        who, request, [](auto& c, auto... a) { return c.features().ListAnnotations(a...); });
    std::vector<std::string> texts;
    for (const auto& a : answer.annotations()) texts.push_back(a.text());
    return std::pair(texts, answer);
  };
  EXPECT_THAT(list("ada").first, ::testing::ElementsAre("open", kSecret, kSecret, kSecret));
  EXPECT_THAT(list("bea").first, ::testing::ElementsAre("open"));
  Annotate("bea", things_["dictionaries"], v1::Annotation::KIND_NOTE, "mine");
  v1::DeleteAnnotationRequest request;
  const auto of_bea = list("bea").second;
  for (const auto& a : of_bea.annotations()) {
    if (a.text() == "mine") request.set_name(a.name());
  }
  const auto drop = [&](const std::string& who) {
    grpc::ClientContext context;
    v1::DeleteAnnotationResponse response;
    return people_[who].client->features().DeleteAnnotation(&context, request, &response);
  };
  EXPECT_EQ(drop("ada").error_code(), StatusCode::PERMISSION_DENIED);
  EXPECT_TRUE(drop("bea").ok());
  const auto of_ada = list("ada").second;
  for (const auto& a : of_ada.annotations()) {
    if (a.kind() == v1::Annotation::KIND_NOTE && a.text() == kSecret) request.set_name(a.name());
  }
  EXPECT_EQ(drop("bea").error_code(), StatusCode::NOT_FOUND);
  EXPECT_TRUE(drop("root").ok());
}

}  // namespace
}  // namespace saed
