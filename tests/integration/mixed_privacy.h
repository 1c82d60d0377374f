// Things made from shared and private recordings together, in every way in which they can be.
#pragma once

#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/integration/people.h"

namespace saed::test_tools {

// Names of things, by their collection.
using Things = std::map<std::string, std::string>;

inline constexpr char kSecret[] = "secret-mouse";

class MixedPrivacyTest : public PeopleTest {
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

}  // namespace saed::test_tools
