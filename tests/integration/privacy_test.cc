// What a caller may not see does not exist for them: every method, for every role, on things made
// from shared and private recordings together.
#include <gmock/gmock.h>

#include <algorithm>
#include <set>
#include <thread>

#include "server/base/npy.h"
#include "server/base/sha256.h"
#include "server/inference/safetensors.h"
#include "tests/integration/mixed_privacy.h"

namespace saed {
namespace {

using google::protobuf::Message;
using grpc::StatusCode;
using test_tools::AllMethods;
using test_tools::kSecret;
using test_tools::MethodDescriptor;
using test_tools::Name;
using test_tools::Things;
using ::testing::HasSubstr;
using ::testing::Not;

class Privacy : public test_tools::MixedPrivacyTest {
 public:
  using MixedPrivacyTest::Sweep;
  using MixedPrivacyTest::TrainRequest;
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

// The messages with the files behind the first one of an import.
template <class Request>
std::vector<std::string> Files(const std::map<std::string, std::string>& files) {
  std::vector<std::string> out;
  for (const auto& [name, bytes] : files) {
    Request message;
    message.mutable_file()->set_name(name);
    message.mutable_file()->set_size(static_cast<int64_t>(bytes.size()));
    message.mutable_file()->set_sha256(Sha256Hex(bytes));
    out.push_back(message.SerializeAsString());
    message.set_chunk(bytes);
    out.push_back(message.SerializeAsString());
  }
  return out;
}

// A model of the 20 units that all recordings here have.
std::map<std::string, std::string> SaeLens() {
  inference::Safetensors weights;
  weights.tensors = {{"W_enc", {20, 8}, std::vector<float>(160, 0.5F)},
                     {"W_dec", {8, 20}, std::vector<float>(160, 0.25F)},
                     {"b_enc", {8}, std::vector<float>(8)},
                     {"b_dec", {20}, std::vector<float>(20)}};
  return {{"cfg.json", R"({"d_in": 20, "d_sae": 8})"},
          {"sae_weights.safetensors", inference::WriteSafetensors(weights)}};
}

// Makes a request that names things into one that is right, with the messages that follow it.
std::vector<std::string> Complete(const Things& things, Message& message) {
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
  } else if (auto* sweep = dynamic_cast<v1::CreateSweepRequest*>(&message)) {
    const std::string& recording = things.at("recordings");
    *sweep = Privacy::Sweep(Privacy::TrainRequest(recording), 20);
    sweep->mutable_spec()->mutable_base()->mutable_target()->set_recording(recording);
    sweep->set_validate_only(true);
  } else if (auto* simulated = dynamic_cast<v1::SimulateRecordingRequest*>(&message)) {
    simulated->mutable_planted()->set_bins(2000);
    simulated->set_private_(true);
  } else if (auto* detected = dynamic_cast<v1::DetectFormatRequest*>(&message)) {
    detected->add_files()->set_name("a.nwb");
  } else if (auto* model = dynamic_cast<v1::ImportModelRequest*>(&message)) {
    model->mutable_spec()->mutable_view()->set_bin_width(0.02);
    model->mutable_spec()->mutable_view()->set_window(1);
    model->mutable_spec()->set_format(v1::MODEL_FORMAT_SAELENS);
    return Files<v1::ImportModelRequest>(SaeLens());
  } else if (auto* import = dynamic_cast<v1::ImportRecordingRequest*>(&message)) {
    import->mutable_header()->set_format(v1::FORMAT_COUNTS_NPY);
    import->mutable_header()->set_bin_width(0.02);
    import->mutable_header()->set_private_(true);
    return Files<v1::ImportRecordingRequest>(
        {{"counts.npy", MakeNpy(std::vector<double>(3000, 1), {1000, 3})}});
  }
  return {};
}

// Their owner and an administrator whatever it is, others what is shared and their role may ask
// for.
TEST_F(Privacy, WhoMaySeeThemIsAnsweredOk) {
  ASSERT_NO_FATAL_FAILURE(MakeShared());
  const auto mixed = MakeMixed();
  // These end or hold what is there, or make secrets; other tests show them.
  const std::set<std::string> apart = {"CancelJob",   "PauseJob",    "ResumeJob",  "RetryJob",
                                       "CancelSweep", "CreateToken", "RevokeToken"};
  auto all = mixed;
  all["nothing"] = {};
  std::map<std::string, int> asked;
  for (const auto& [how, seen] : all) {
    Things there = things_;
    for (const auto& [collection, name] : seen) there[collection] = name;
    for (const auto* method : AllMethods()) {
      const rpc::Rule& rule = *rpc::FindRule(Name(*method));
      if (rule.least == rpc::Role::kAdmin || apart.contains(method->name()) ||
          method->name().starts_with("Delete")) {
        continue;
      }
      const auto request = PeopleTest::Request(*method, there);
      const auto more = Complete(there, *request);
      for (const auto& [who, role] : {std::pair("ada", rpc::Role::kAdmin),
                                      {"root", rpc::Role::kAdmin},
                                      {"bea", rpc::Role::kMember},
                                      {"rex", rpc::Role::kReader}}) {
        const bool others = role != rpc::Role::kAdmin;
        if (others &&
            (!seen.empty() || role < rule.least || rule.needs == rpc::Rule::Needs::kSelf ||
             rule.needs == rpc::Rule::Needs::kChange)) {
          continue;
        }
        const Answer answer = Send(people_[who].token, *method, *request, more);
        EXPECT_EQ(answer.code, StatusCode::OK)
            << Name(*method) << " by " << who << " on what is "
            << "private by its " << how << ": " << answer.message;
        ++asked[method->name()];
      }
    }
  }
  for (const char* name : {"ImportModel", "ImportRecording", "SimulateRecording", "CreateSweep"}) {
    EXPECT_EQ(asked[name], 2 * all.size() + 1) << name << ", by bea where it is shared";
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

// Whose id would say that it runs, where one's own says MODEL_NOT_READY.
TEST_F(Privacy, AHiddenJobThatRunsIsNoModel) {
  ASSERT_NO_FATAL_FAILURE(MakePeople());
  private_ = AdasRecording(true, 22);
  auto slow = TrainRequest(private_);
  slow.mutable_train()->set_epochs(100'000);
  slow.mutable_train()->set_max_steps(50'000'000);
  const std::string job =
      Do<v1::CreateJobResponse>("ada", slow,
                                [](auto& c, auto... a) { return c.jobs().CreateJob(a...); })
          .job()
          .name();
  const std::string model = "models" + job.substr(4), missing = "models/0123456789abcdef";
  for (const char* name : {"Encode", "GetModel", "DownloadModel", "ListDictionaries"}) {
    for (const char* who : {"bea", "rex"}) {
      const Answer hides =
          Call(people_[who].token, MethodNamed(name),
               {{"models", model}, {"dictionaries", "dictionaries/0123456789abcdef"}});
      const Answer lacks =
          Call(people_[who].token, MethodNamed(name),
               {{"models", missing}, {"dictionaries", "dictionaries/0123456789abcdef"}});
      EXPECT_EQ(hides.code, StatusCode::NOT_FOUND) << name;
      EXPECT_EQ(Unnamed(hides.message, model), Unnamed(lacks.message, missing)) << name;
    }
  }
  v1::EncodeRequest request;
  request.set_model(model);
  EXPECT_EQ(Send(people_["ada"].token, MethodNamed("Encode"), request).code,
            StatusCode::FAILED_PRECONDITION)
      << "it is hers";
  v1::CancelJobRequest cancel;
  cancel.set_name(job);
  Do<v1::CancelJobResponse>("ada", cancel,
                            [](auto& c, auto... a) { return c.jobs().CancelJob(a...); });
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
