// What lists show, what watches tell, other names, and dictionaries that go.
#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>

#include <array>
#include <functional>
#include <map>

#include "tests/integration/fixture.h"

namespace saed {
namespace {

using grpc::StatusCode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Lists : public test_tools::ServerTest {
 protected:
  static v1::CreateJobRequest Long(const std::string& recording) {
    auto request = TrainRequest(recording);
    request.mutable_train()->set_epochs(100'000);
    request.mutable_train()->set_max_steps(50'000'000);
    request.mutable_train()->set_threads(2);
    return request;
  }

  std::pair<grpc::Status, v1::ListJobsResponse> Jobs(const std::string& filter,
                                                     bool trials = false) {
    grpc::ClientContext context;
    v1::ListJobsRequest request;
    request.set_filter(filter);
    request.set_show_trials(trials);
    v1::ListJobsResponse response;
    auto status = client_->jobs().ListJobs(&context, request, &response);
    return {status, response};
  }
  std::vector<std::string> Names(const std::string& filter) {
    const auto [status, response] = Jobs(filter);
    EXPECT_TRUE(status.ok()) << filter << ": " << status.error_message();
    std::vector<std::string> out;
    for (const auto& job : response.jobs()) out.push_back(job.display_name());
    return out;
  }
  void Cancel(const std::string& name) {
    grpc::ClientContext context;
    v1::CancelJobRequest request;
    request.set_name(name);
    v1::CancelJobResponse response;
    EXPECT_TRUE(client_->jobs().CancelJob(&context, request, &response).ok());
  }
  std::pair<grpc::Status, v1::Job> Rename(const std::string& name, const std::string& to,
                                          const std::string& mask) {
    grpc::ClientContext context;
    v1::UpdateJobRequest request;
    request.set_name(name);
    request.set_display_name(to);
    if (!mask.empty()) request.mutable_update_mask()->add_paths(mask);
    v1::UpdateJobResponse response;
    const auto status = client_->jobs().UpdateJob(&context, request, &response);
    return {status, response.job()};
  }
  // Of three trials, ended.
  std::string Sweep(const std::string& recording) {
    v1::CreateSweepRequest request;
    *request.mutable_spec()->mutable_base() = TrainRequest(recording).train();
    request.mutable_spec()->mutable_base()->set_max_steps(20);
    auto* lr = request.mutable_spec()->add_parameters();
    lr->set_field("lr");
    for (const double v : {0.001, 0.01, 0.02}) lr->add_values()->set_number_value(v);
    request.mutable_spec()->set_method(v1::SWEEP_METHOD_GRID);
    request.mutable_spec()->set_skip_best(true);
    grpc::ClientContext context;
    v1::CreateSweepResponse made;
    EXPECT_TRUE(client_->sweeps().CreateSweep(&context, request, &made).ok());
    Trials(made.sweep().name(), false);
    return made.sweep().name();
  }
  // How many trials each message about a sweep has.
  std::vector<int> Trials(const std::string& name, bool changed) {
    grpc::ClientContext context;
    v1::WatchSweepRequest request;
    request.set_name(name);
    request.set_changed_trials(changed);
    const auto stream = client_->sweeps().WatchSweep(&context, request);
    std::vector<int> out;
    v1::WatchSweepResponse event;
    while (stream->Read(&event)) out.push_back(event.sweep().trials_size());
    EXPECT_TRUE(stream->Finish().ok());
    return out;
  }
  // How many each page of the sweep's trials has, and how many of the recording's tables.
  std::vector<int> TrialPages(const std::string& sweep, int size) {
    v1::GetSweepRequest request;
    request.set_name(sweep);
    request.set_page_size(size);
    std::vector<int> out;
    do {
      grpc::ClientContext context;
      v1::GetSweepResponse page;
      EXPECT_TRUE(client_->sweeps().GetSweep(&context, request, &page).ok());
      out.push_back(page.sweep().trials_size());
      request.set_page_token(page.next_page_token());
    } while (!request.page_token().empty());
    return out;
  }
  std::vector<int> TablePages(const std::string& recording, int size) {
    v1::ListIntervalTablesRequest request;
    request.set_parent(recording);
    request.set_page_size(size);
    std::vector<int> out;
    do {
      grpc::ClientContext context;
      v1::ListIntervalTablesResponse page;
      EXPECT_TRUE(client_->recordings().ListIntervalTables(&context, request, &page).ok());
      out.push_back(page.interval_tables_size());
      request.set_page_token(page.next_page_token());
    } while (!request.page_token().empty());
    return out;
  }
  v1::Model Model(const std::string& name) {
    grpc::ClientContext context;
    v1::GetModelRequest request;
    request.set_name(name);
    v1::GetModelResponse response;
    EXPECT_TRUE(client_->models().GetModel(&context, request, &response).ok());
    return response.model();
  }
};

TEST_F(Lists, JobsAreFilteredByWhatTheyAre) {
  const std::string recording = Simulate(), other = Simulate(2100);
  auto request = TrainRequest(recording);
  request.set_display_name("first Mouse");
  const v1::Job first = Watch(Create(request)->name()).back().job();
  request.mutable_train()->set_recording(other);
  request.set_display_name("second");
  const v1::Job second = Watch(Create(request)->name()).back().job();
  v1::CreateJobRequest analysis;
  analysis.mutable_analyse()->set_model(first.model());
  analysis.mutable_analyse()->set_recording(other);
  analysis.set_display_name("third");
  Cancel(Create(analysis)->name());
  EXPECT_THAT(Names(""), ElementsAre("third", "second", "first Mouse"));
  EXPECT_THAT(Names("state = SUCCEEDED"), ElementsAre("second", "first Mouse"));
  EXPECT_THAT(Names("state != succeeded AND owner = \"\""), ElementsAre("third"));
  EXPECT_THAT(Names("kind = analyse OR display_name : mouse"), ElementsAre("third", "first Mouse"));
  EXPECT_THAT(Names("recording = \"" + other + "\""), ElementsAre("third", "second"));
  EXPECT_THAT(Names("recording = \"" + other.substr(11) + "\" AND kind = train"),
              ElementsAre("second"));
  EXPECT_THAT(Names("NOT kind = train AND display_name != second"), ElementsAre("third"));
  EXPECT_THAT(Names("sweep = \"0123456789abcdef\""), ElementsAre());
  EXPECT_THAT(Names("owner = ada"), ElementsAre());
  for (const auto& [filter, why] : std::vector<std::pair<std::string, std::string>>{
           {"colour = red", "filter: names 'colour'; known are state, kind, owner, recording"},
           {"state = DONE",
            "compares state with 'DONE'; must be QUEUED, RUNNING, PAUSED, "
            "SUCCEEDED, FAILED or CANCELLED"},
           {"kind = test", "must be train, analyse or trial"},
           {"owner > ada", "compares owner with >; use = or !="},
           {"display_name < a", "use = or !=, or : (contains)"},
           {"speed(x) > 1", "names 'speed'"},
           {"sweep = \"lr search\"", "names the sweep 'lr search', which is not there"},
           {"NOT recording = nothing", "names the recording 'nothing', which is not there"},
           {"state =", "filter"}}) {
    const auto status = Jobs(filter).first;
    EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT) << filter;
    EXPECT_THAT(status.error_message(), HasSubstr(why)) << filter;
  }
}

TEST_F(Lists, TrialsAreLeftOutAndCountedAndPaged) {
  v1::CreateSweepRequest request;
  *request.mutable_spec()->mutable_base() = TrainRequest(Simulate()).train();
  request.mutable_spec()->mutable_base()->set_max_steps(20);
  auto* lr = request.mutable_spec()->add_parameters();
  lr->set_field("lr");
  for (const double v : {0.001, 0.01, 0.02}) lr->add_values()->set_number_value(v);
  request.mutable_spec()->set_method(v1::SWEEP_METHOD_GRID);
  request.set_display_name(std::string(200, 's'));  // its best job's would be longer
  grpc::ClientContext context;
  v1::CreateSweepResponse made;
  ASSERT_TRUE(client_->sweeps().CreateSweep(&context, request, &made).ok());
  const std::string name = made.sweep().name();
  // Watched by what changed, the trials add up to what the sweep is in the end.
  grpc::ClientContext watching;
  v1::WatchSweepRequest watch;
  watch.set_name(name);
  watch.set_changed_trials(true);
  const auto stream = client_->sweeps().WatchSweep(&watching, watch);
  std::map<int64_t, std::string> trials;
  size_t sent = 0, messages = 0;
  v1::WatchSweepResponse event;
  for (; stream->Read(&event); ++messages) {
    sent += static_cast<size_t>(event.sweep().trials_size());
    for (const auto& t : event.sweep().trials()) trials[t.number()] = t.SerializeAsString();
  }
  ASSERT_EQ(event.sweep().state(), v1::Sweep::STATE_SUCCEEDED) << event.sweep().error();
  EXPECT_LT(sent, 3 * messages) << "all of them every time";
  ASSERT_EQ(trials.size(), 3U);
  v1::GetSweepRequest get;
  get.set_name(name);
  get.set_page_size(2);
  std::vector<int> sizes;
  do {
    grpc::ClientContext getting;
    v1::GetSweepResponse page;
    ASSERT_TRUE(client_->sweeps().GetSweep(&getting, get, &page).ok());
    sizes.push_back(page.sweep().trials_size());
    for (const auto& t : page.sweep().trials()) {
      EXPECT_EQ(t.SerializeAsString(), trials.at(t.number()));
      trials.erase(t.number());
    }
    get.set_page_token(page.next_page_token());
  } while (!get.page_token().empty());
  EXPECT_THAT(sizes, ElementsAre(2, 1));
  EXPECT_TRUE(trials.empty());

  const auto jobs = Jobs("").second;
  ASSERT_EQ(jobs.jobs_size(), 1) << "the job of the best settings alone";
  EXPECT_EQ(jobs.jobs(0).name(), event.sweep().best_job());
  EXPECT_EQ(jobs.jobs(0).display_name(), "best of " + name);
  EXPECT_EQ(jobs.trials_left_out(), 3);
  EXPECT_EQ(Jobs("state = FAILED").second.trials_left_out(), 0);
  EXPECT_EQ(Jobs("", true).second.jobs_size(), 4);
  EXPECT_EQ(Jobs("", true).second.trials_left_out(), 0);
  EXPECT_EQ(Jobs("sweep = \"" + name + "\"").second.jobs_size(), 3);
  EXPECT_EQ(Jobs("sweep = \"" + request.display_name() + "\"").second.jobs_size(), 3);
  EXPECT_EQ(Jobs("kind = trial").second.jobs_size(), 3);
}

// As clients did before there were pages.
TEST_F(Lists, WhoAsksForNoPagesGetsAll) {
  const std::string recording = Simulate(), sweep = Sweep(recording);
  daemon_.reset();
  {
    SQLite::Database db(dir_ / "data/saed.db", SQLite::OPEN_READWRITE);
    EXPECT_EQ(db.exec("UPDATE jobs SET state = 'FAILED', error_message = hex(zeroblob(200000))"),
              3);
    db.exec(
        "UPDATE recordings SET summary = '{\"tables\": [' || replace('t,t,t', 't', "
        "'{\"name\": \"' || hex(zeroblob(200000)) || '\"}') || ']}'");
  }
  Start();
  EXPECT_THAT(TrialPages(sweep, 0), ElementsAre(3));
  EXPECT_THAT(TrialPages(sweep, 1000), ElementsAre(2, 1));
  EXPECT_THAT(Trials(sweep, false), ElementsAre(3));
  EXPECT_THAT(Trials(sweep, true), ElementsAre(2, 1));
  EXPECT_THAT(TablePages(recording, 0), ElementsAre(3));
  EXPECT_THAT(TablePages(recording, 1000), ElementsAre(2, 1));
}

TEST_F(Lists, AWatcherOfAllJobsSeesThemComeChangeAndGo) {
  const std::string recording = Simulate();
  Watch(Create(TrainRequest(recording))->name());  // of before
  grpc::ClientContext context, filtered;
  v1::WatchJobsRequest request;
  const auto stream = client_->jobs().WatchJobs(&context, request);
  v1::WatchJobsResponse message;
  ASSERT_TRUE(stream->Read(&message));
  EXPECT_TRUE(message.current());
  EXPECT_EQ(message.jobs_size(), 0) << "nothing runs";
  request.set_filter("display_name = watched");
  const auto named = client_->jobs().WatchJobs(&filtered, request);
  ASSERT_TRUE(named->Read(&message));
  EXPECT_EQ(message.jobs_size(), 0);

  auto slow = Long(recording);
  slow.set_display_name("watched");
  const v1::Job first = *Create(slow), second = *Create(Long(recording));
  std::map<std::string, v1::Job> seen;
  bool progressed = false;
  const auto until = [&](const std::function<bool()>& done) {
    for (int i = 0; i < 200 && !done(); ++i) {
      if (!stream->Read(&message)) return false;
      for (const auto& job : message.jobs()) seen[job.name()] = job;
      for (const auto& p : message.progress()) {
        EXPECT_TRUE(p.job() == first.name() || p.job() == second.name()) << p.job();
        progressed |= p.progress().stage() == "training";
      }
      EXPECT_EQ(message.left_out(), 0);
    }
    return done();
  };
  const auto state = [&](const v1::Job& job) { return seen[job.name()].state(); };
  EXPECT_TRUE(until([&] {
    return progressed && state(first) == v1::Job::STATE_RUNNING &&
           state(second) == v1::Job::STATE_QUEUED &&
           seen[second.name()].wait_reason().find("next in line") == 0;
  })) << seen[second.name()].wait_reason();
  EXPECT_TRUE(Rename(second.name(), "second", "").first.ok());
  EXPECT_TRUE(until([&] { return seen[second.name()].display_name() == "second"; }));
  Cancel(first.name());
  EXPECT_TRUE(until([&] {
    return state(first) == v1::Job::STATE_CANCELLED && state(second) == v1::Job::STATE_RUNNING;
  }));
  Cancel(second.name());
  EXPECT_TRUE(until([&] { return state(second) == v1::Job::STATE_CANCELLED; }));

  // The filtered one saw the first alone: as it came, and as it ended.
  std::vector<std::string> names;
  v1::Job last;
  while (last.state() != v1::Job::STATE_CANCELLED && named->Read(&message)) {
    for (const auto& job : message.jobs()) {
      EXPECT_EQ(job.name(), first.name());
      last = job;
    }
  }
  EXPECT_EQ(last.state(), v1::Job::STATE_CANCELLED);
  // What the filter does not hold for any more is gone.
  slow.set_display_name("watched");
  const v1::Job third = *Create(slow);
  while (last.name() != third.name() && named->Read(&message)) {
    for (const auto& job : message.jobs()) last = job;
  }
  EXPECT_TRUE(Rename(third.name(), "another", "display_name").first.ok());
  do {
    ASSERT_TRUE(named->Read(&message));
  } while (message.gone_size() == 0);
  EXPECT_EQ(message.gone(0), third.name());
  Cancel(third.name());
  context.TryCancel();
  filtered.TryCancel();
  EXPECT_EQ(stream->Finish().error_code(), StatusCode::CANCELLED);
  EXPECT_EQ(named->Finish().error_code(), StatusCode::CANCELLED);

  grpc::ClientContext wrong;
  request.set_filter("colour = red");
  const auto refused = client_->jobs().WatchJobs(&wrong, request);
  EXPECT_FALSE(refused->Read(&message));
  EXPECT_EQ(refused->Finish().error_code(), StatusCode::INVALID_ARGUMENT);
}

TEST_F(Lists, JobsAndModelsTakeOtherNames) {
  const v1::Job job = Trained();
  EXPECT_EQ(Rename(job.name(), "good one", "").second.display_name(), "good one");
  EXPECT_EQ(Model(job.model()).display_name(), "") << "what it made keeps its own";
  EXPECT_EQ(Rename(job.name(), "", "display_name").second.display_name(), "");
  for (const auto& [name, mask, why] : std::vector<std::array<std::string, 3>>{
           {"", "", "update_mask: is empty and so is display_name"},
           {"x", "state", "update_mask: names 'state'; must name display_name"},
           {"a\nb", "", "without control characters"},
           {std::string(201, 'x'), "", "1 to 200 bytes"}}) {
    const auto status = Rename(job.name(), name, mask).first;
    EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT) << why;
    EXPECT_THAT(status.error_message(), HasSubstr(why));
  }
  EXPECT_EQ(Rename("jobs/0123456789abcdef", "x", "").first.error_code(), StatusCode::NOT_FOUND);

  grpc::ClientContext context;
  v1::UpdateModelRequest request;
  request.set_name(job.model());
  request.set_display_name("best");
  v1::UpdateModelResponse response;
  ASSERT_TRUE(client_->models().UpdateModel(&context, request, &response).ok());
  EXPECT_EQ(response.model().display_name(), "best");
  EXPECT_EQ(Model(job.model()).display_name(), "best");
  EXPECT_EQ(Model(job.model()).tensor_digest(), response.model().tensor_digest());

  // The same request again finds the job under its new name.
  auto once = TrainRequest(Simulate());
  once.set_request_id("once");
  once.set_display_name("asked");
  const auto known = Create(once);
  EXPECT_TRUE(Rename(known->name(), "given", "").first.ok());
  const auto again = Create(once);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->name(), known->name());
  EXPECT_EQ(again->display_name(), "given");
  once.set_display_name("given");
  EXPECT_TRUE(absl::IsAlreadyExists(Create(once).status())) << "another request than it was";

  // A job that is renamed while it runs gives its model the new name.
  auto slow = TrainRequest(Simulate());
  slow.set_display_name("old");
  slow.mutable_train()->set_epochs(300);
  const auto running = Create(slow);
  EXPECT_TRUE(Rename(running->name(), "new", "").first.ok());
  EXPECT_EQ(Model(Watch(running->name()).back().job().model()).display_name(), "new");
}

TEST_F(Lists, ModelsAreListedWithoutWhatEveryLatentHas) {
  const v1::Job job = Trained();
  const auto list = [&](v1::ModelView view) {
    grpc::ClientContext context;
    v1::ListModelsRequest request;
    request.set_view(view);
    v1::ListModelsResponse response;
    const auto s = client_->models().ListModels(&context, request, &response);
    EXPECT_EQ(s.ok(), v1::ModelView_IsValid(view)) << s.error_message();
    return response;
  };
  const v1::Model whole = Model(job.model());
  ASSERT_EQ(list(v1::MODEL_VIEW_FULL).models_size(), 1);
  EXPECT_EQ(list(v1::MODEL_VIEW_FULL).models(0).SerializeAsString(), whole.SerializeAsString());
  EXPECT_EQ(list(v1::MODEL_VIEW_UNSPECIFIED).models(0).SerializeAsString(),
            whole.SerializeAsString())
      << "as before there were views";
  v1::Model basic = list(v1::MODEL_VIEW_BASIC).models(0);
  EXPECT_EQ(basic.evaluation().density_size() + basic.evaluation().unit_r2_size() +
                basic.evaluation().l0_histogram_size() + basic.unit_ids_size(),
            0);
  *basic.mutable_unit_ids() = whole.unit_ids();
  *basic.mutable_evaluation()->mutable_density() = whole.evaluation().density();
  *basic.mutable_evaluation()->mutable_unit_r2() = whole.evaluation().unit_r2();
  *basic.mutable_evaluation()->mutable_l0_histogram() = whole.evaluation().l0_histogram();
  EXPECT_EQ(basic.SerializeAsString(), whole.SerializeAsString()) << "all else is there";
  list(static_cast<v1::ModelView>(7));
}

TEST_F(Lists, ADictionaryGoesAndItsModelStays) {
  const v1::Job job = Trained();
  const auto drop = [&](const std::string& name) {
    grpc::ClientContext context;
    v1::DeleteDictionaryRequest request;
    request.set_name(name);
    v1::DeleteDictionaryResponse response;
    return client_->features().DeleteDictionary(&context, request, &response);
  };
  grpc::ClientContext annotating;
  v1::CreateAnnotationRequest note;
  note.set_parent(job.dictionary() + "/features/3");
  note.set_kind(v1::Annotation::KIND_LABEL);
  note.set_text("kept");
  note.set_author("ada");
  v1::CreateAnnotationResponse noted;
  ASSERT_TRUE(client_->features().CreateAnnotation(&annotating, note, &noted).ok());
  v1::CreateJobRequest analysis;
  analysis.mutable_analyse()->set_model(job.model());
  analysis.mutable_analyse()->set_recording(job.train().recording());
  const v1::Job second = Watch(Create(analysis)->name()).back().job();
  ASSERT_TRUE(drop(job.dictionary()).ok());
  EXPECT_EQ(drop(job.dictionary()).error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(drop("dictionaries/0123456789abcdef").error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(drop("dictionaries/-").error_code(), StatusCode::NOT_FOUND);
  grpc::ClientContext listing, finding, labels;
  v1::ListDictionariesResponse left;
  ASSERT_TRUE(client_->features().ListDictionaries(&listing, {}, &left).ok());
  ASSERT_EQ(left.dictionaries_size(), 1);
  EXPECT_EQ(left.dictionaries(0).name(), second.dictionary());
  v1::GetDictionaryRequest get;
  get.set_name(job.dictionary());
  v1::GetDictionaryResponse got;
  EXPECT_EQ(client_->features().GetDictionary(&finding, get, &got).error_code(),
            StatusCode::NOT_FOUND);
  EXPECT_EQ(Model(job.model()).name(), job.model());
  v1::ListAnnotationsRequest of;
  of.set_parent(second.dictionary() + "/features/3");
  v1::ListAnnotationsResponse annotations;
  ASSERT_TRUE(client_->features().ListAnnotations(&labels, of, &annotations).ok());
  ASSERT_EQ(annotations.annotations_size(), 1);
  EXPECT_EQ(annotations.annotations(0).text(), "kept");
  // The job that made it can be forgotten then.
  ASSERT_TRUE(drop(second.dictionary()).ok());
  grpc::ClientContext forgetting;
  v1::DeleteJobRequest forget;
  forget.set_name(second.name());
  v1::DeleteJobResponse forgotten;
  EXPECT_TRUE(client_->jobs().DeleteJob(&forgetting, forget, &forgotten).ok());
}

}  // namespace
}  // namespace saed
