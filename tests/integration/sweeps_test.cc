#include <gmock/gmock.h>

#include <chrono>
#include <set>
#include <thread>

#include "tests/integration/fixture.h"

namespace saed {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class Sweeps : public test_tools::ServerTest {
 protected:
  static v1::CreateSweepRequest Request(const std::string& recording) {
    v1::CreateSweepRequest request;
    auto* spec = request.mutable_spec();
    *spec->mutable_base() = TrainRequest(recording).train();
    auto* lr = spec->add_parameters();
    lr->set_field("lr");
    lr->mutable_range()->set_low(1e-3);
    lr->mutable_range()->set_high(1e-1);
    lr->mutable_range()->set_logarithmic(true);
    auto* k = spec->add_parameters();
    k->set_field("k");
    for (const int v : {2, 3, 4}) k->add_values()->set_number_value(v);
    spec->set_trials(8);
    spec->mutable_early_stopping()->set_rungs(2);
    return request;
  }

  absl::StatusOr<v1::Sweep> Begin(const v1::CreateSweepRequest& request) {
    grpc::ClientContext context;
    v1::CreateSweepResponse response;
    const auto s = client_->sweeps().CreateSweep(&context, request, &response);
    if (!s.ok()) return client::FromGrpc(s);
    return response.sweep();
  }

  v1::Sweep Get(const std::string& name) {
    grpc::ClientContext context;
    v1::GetSweepRequest request;
    request.set_name(name);
    v1::GetSweepResponse response;
    const auto s = client_->sweeps().GetSweep(&context, request, &response);
    EXPECT_TRUE(s.ok()) << s.error_message();
    return response.sweep();
  }

  v1::Sweep End(const std::string& name) {
    grpc::ClientContext context;
    v1::WatchSweepRequest request;
    request.set_name(name);
    const auto stream = client_->sweeps().WatchSweep(&context, request);
    v1::WatchSweepResponse event;
    while (stream->Read(&event)) {
    }
    EXPECT_TRUE(stream->Finish().ok());
    return event.sweep();
  }
};

TEST_F(Sweeps, ChoosesTheBinsThatItsTrainingLeavesOut) {
  auto request = Request(Simulate());
  request.mutable_spec()->mutable_base()->mutable_view()->clear_bin_width();
  request.mutable_spec()->set_trials(2);
  request.set_request_id("without bins");
  const auto sweep = Begin(request);
  ASSERT_TRUE(sweep.ok()) << sweep.status();
  EXPECT_DOUBLE_EQ(sweep->spec().base().view().bin_width(), 0.02);
  EXPECT_EQ(Begin(request)->name(), sweep->name());
  EXPECT_EQ(End(sweep->name()).state(), v1::Sweep::STATE_SUCCEEDED);
  request.set_request_id("");
  request.set_validate_only(true);
  for (const v1::Sweep& said : {*sweep, *Begin(request)}) {
    std::string choices;
    for (const auto& line : said.spec().base().choices()) choices += line + "\n";
    EXPECT_THAT(choices, HasSubstr("bin 0.02 s: "));
    EXPECT_THAT(choices, Not(HasSubstr("batch"))) << "chosen for each trial";
  }
}

TEST_F(Sweeps, FindsSettingsThroughRestartsAndTrainsTheBest) {
  auto request = Request(Simulate());
  request.set_request_id("once");
  const auto sweep = Begin(request);
  ASSERT_TRUE(sweep.ok()) << sweep.status();
  EXPECT_EQ(Begin(request)->name(), sweep->name());
  for (int i = 0; i < 3; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(250));
    Restart();
  }
  const v1::Sweep end = End(sweep->name());
  ASSERT_EQ(end.state(), v1::Sweep::STATE_SUCCEEDED) << end.error();
  ASSERT_EQ(end.trials_size(), 8);
  int whole = 0;
  double best = -1e9;
  std::set<std::string> jobs;
  for (const auto& t : end.trials()) {
    EXPECT_THAT(t.state(), ::testing::AnyOf(v1::Trial::STATE_DONE, v1::Trial::STATE_STOPPED));
    EXPECT_EQ(t.values_size(), t.state() == v1::Trial::STATE_DONE ? 2 : 1);
    EXPECT_TRUE(t.settings().fields().contains("lr") && t.settings().fields().contains("k"));
    EXPECT_TRUE(jobs.insert(t.jobs(0)).second) << "a trial was begun twice";
    if (t.state() != v1::Trial::STATE_DONE) continue;
    ++whole;
    best = std::max(best, t.values(1));
  }
  EXPECT_GE(whole, 2);
  const auto& chosen = end.trials(static_cast<int>(end.best_trial()));
  EXPECT_EQ(chosen.values(1), best);
  EXPECT_TRUE(chosen.has_explained_variance());
  EXPECT_GT(end.core_seconds(), 0);
  const v1::Job job = Watch(end.best_job()).back().job();
  ASSERT_EQ(job.state(), v1::Job::STATE_SUCCEEDED) << job.error().message();
  EXPECT_EQ(job.train().optimiser().learning_rate(),
            chosen.settings().fields().at("lr").number_value());
  EXPECT_EQ(job.train().model().levels(0).k(), chosen.settings().fields().at("k").number_value());

  grpc::ClientContext context;
  v1::DeleteJobRequest one;
  one.set_name(end.trials(0).jobs(0));
  v1::DeleteJobResponse gone;
  EXPECT_EQ(client_->jobs().DeleteJob(&context, one, &gone).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
  grpc::ClientContext again;
  v1::DeleteSweepRequest all;
  all.set_name(end.name());
  v1::DeleteSweepResponse response;
  EXPECT_TRUE(client_->sweeps().DeleteSweep(&again, all, &response).ok());
}

TEST_F(Sweeps, AGridTakesTheMeanOverSeedsAndAConditionalParameterOnlyWhereItCounts) {
  auto request = Request(Simulate());
  auto* spec = request.mutable_spec();
  spec->clear_parameters();
  auto* selection = spec->add_parameters();
  selection->set_field("selection");
  selection->add_values()->set_string_value("relu");
  selection->add_values()->set_string_value("top_k");
  auto* k = spec->add_parameters();
  k->set_field("k");
  k->add_values()->set_number_value(2);
  k->add_values()->set_number_value(4);
  k->set_when_field("selection");
  k->add_when_values()->set_string_value("top_k");
  spec->set_method(v1::SWEEP_METHOD_GRID);
  spec->set_seeds(2);
  spec->clear_early_stopping();
  spec->set_skip_best(true);
  spec->mutable_objective()->set_kind(v1::SweepObjective::KIND_ERROR);
  const auto sweep = Begin(request);
  ASSERT_TRUE(sweep.ok()) << sweep.status();
  EXPECT_EQ(sweep->planned_trials(), 3);
  const v1::Sweep end = End(sweep->name());
  ASSERT_EQ(end.state(), v1::Sweep::STATE_SUCCEEDED) << end.error();
  EXPECT_TRUE(end.best_job().empty());
  int pareto = 0;
  for (const auto& t : end.trials()) {
    EXPECT_EQ(t.jobs_size(), 2);
    EXPECT_EQ(t.values(0), t.error());
    EXPECT_EQ(t.settings().fields().contains("k"),
              t.settings().fields().at("selection").string_value() == "top_k");
    EXPECT_GE(t.error(), end.trials(static_cast<int>(end.best_trial())).error());
    pareto += t.pareto();
  }
  EXPECT_GE(pareto, 1);
}

TEST_F(Sweeps, TheObjectiveMayBeTheAurocOfACondition) {
  auto request = Request(Simulate(4000));
  auto* objective = request.mutable_spec()->mutable_objective();
  objective->set_kind(v1::SweepObjective::KIND_AUROC);
  objective->mutable_condition()->set_name("first");
  objective->mutable_condition()->set_expression("during(planted, feature = f01)");
  request.mutable_spec()->set_trials(3);
  request.mutable_spec()->set_skip_best(true);
  request.mutable_spec()->clear_early_stopping();
  const auto sweep = Begin(request);
  ASSERT_TRUE(sweep.ok()) << sweep.status();
  const v1::Sweep end = End(sweep->name());
  ASSERT_EQ(end.state(), v1::Sweep::STATE_SUCCEEDED) << end.error();
  ASSERT_EQ(end.trials_size(), 3);
  double best = 0;
  for (const auto& t : end.trials()) {
    ASSERT_TRUE(t.has_auroc());
    EXPECT_EQ(t.values(0), t.auroc());
    EXPECT_LE(t.auroc(), 1);
    best = std::max(best, t.auroc());
  }
  EXPECT_EQ(end.trials(static_cast<int>(end.best_trial())).auroc(), best);
  EXPECT_GT(best, 0.8) << "a planted feature is plain to see";

  objective->mutable_condition()->set_expression("during(planted, feature = nobody)");
  const auto wrong = Begin(request);
  EXPECT_EQ(wrong.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(wrong.status().message()), HasSubstr("objective.condition.expression"));
}

// The base's dictionary is sized once, so that settings can name its level; batch and epochs are
// every trial's own.
TEST_F(Sweeps, WhatTheBaseLeavesToTheServerIsChosen) {
  auto request = Request(Simulate(4000));
  auto* spec = request.mutable_spec();
  spec->mutable_base()->mutable_model()->clear_levels();
  spec->mutable_base()->clear_batch_size();
  spec->mutable_base()->clear_epochs();
  spec->mutable_base()->set_max_steps(20);
  spec->set_trials(1);
  spec->set_skip_best(true);
  spec->clear_early_stopping();
  const auto sweep = Begin(request);
  ASSERT_TRUE(sweep.ok()) << sweep.status();
  const v1::Sweep end = End(sweep->name());
  ASSERT_EQ(end.state(), v1::Sweep::STATE_SUCCEEDED) << end.error();
  EXPECT_EQ(end.spec().base().model().levels(0).features(), 48);
  grpc::ClientContext context;
  v1::GetJobRequest get;
  get.set_name(end.trials(0).jobs(0));
  v1::GetJobResponse job;
  ASSERT_TRUE(client_->jobs().GetJob(&context, get, &job).ok());
  EXPECT_EQ(job.job().train().batch_size(), 256);
  EXPECT_GE(job.job().train().epochs(), 20);
}

// It neither ends with the sweep nor lets the sweep end without it.
TEST_F(Sweeps, WaitsForATrialThatAPersonPaused) {
  auto request = Request(Simulate());
  auto* spec = request.mutable_spec();
  spec->mutable_base()->set_epochs(100000);
  spec->mutable_base()->set_max_steps(1500);
  spec->set_trials(2);
  spec->set_skip_best(true);
  spec->clear_early_stopping();
  const auto sweep = Begin(request);
  ASSERT_TRUE(sweep.ok()) << sweep.status();
  const auto until = [&](auto&& holds) {
    for (int i = 0; i < 1000; ++i) {
      const v1::Sweep now = Get(sweep->name());
      if (now.trials_size() == 2 && holds(now)) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  };
  ASSERT_TRUE(until([](const v1::Sweep& now) { return now.trials(0).jobs_size() == 1; }));
  const std::string job = Get(sweep->name()).trials(0).jobs(0);
  {
    grpc::ClientContext context;
    v1::PauseJobRequest pause;
    pause.set_name(job);
    v1::PauseJobResponse paused;
    const auto s = client_->jobs().PauseJob(&context, pause, &paused);
    ASSERT_TRUE(s.ok()) << s.error_message();
  }
  ASSERT_TRUE(until([](const v1::Sweep& now) {
    return now.trials(0).state() == v1::Trial::STATE_PAUSED &&
           now.trials(1).state() == v1::Trial::STATE_DONE;
  }));
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  EXPECT_EQ(Get(sweep->name()).state(), v1::Sweep::STATE_RUNNING);
  EXPECT_EQ(Get(sweep->name()).trials(0).state(), v1::Trial::STATE_PAUSED);
  grpc::ClientContext context;
  v1::ResumeJobRequest resume;
  resume.set_name(job);
  v1::ResumeJobResponse resumed;
  ASSERT_TRUE(client_->jobs().ResumeJob(&context, resume, &resumed).ok());
  const v1::Sweep end = End(sweep->name());
  EXPECT_EQ(end.state(), v1::Sweep::STATE_SUCCEEDED) << end.error();
  EXPECT_EQ(end.trials(0).state(), v1::Trial::STATE_DONE);
}

// What a sweep begins has names of the server's own: one who guesses them stalls nothing.
TEST_F(Sweeps, NobodyCanTakeTheNamesOfItsTrials) {
  const std::string recording = Simulate();
  auto request = Request(recording);
  request.mutable_spec()->set_trials(4);
  request.set_request_id("once");
  const auto sweep = Begin(request);
  ASSERT_TRUE(sweep.ok()) << sweep.status();
  const std::string id = sweep->name().substr(sweep->name().find('/') + 1);
  for (const std::string what : {" trial 3 seed 0", " best"}) {
    auto taken = TrainRequest(recording);
    for (const std::string prefix : {"", "server:", "sweep:"}) {
      taken.set_request_id(prefix + "sweep " + id + what);
      EXPECT_TRUE(Create(taken).ok());
    }
  }
  const v1::Sweep end = End(sweep->name());
  EXPECT_EQ(end.state(), v1::Sweep::STATE_SUCCEEDED) << end.error();
  ASSERT_EQ(end.trials_size(), 4);
  EXPECT_EQ(end.trials(3).jobs_size(), 1);
  const auto again = Begin(request);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->name(), sweep->name());
}

TEST_F(Sweeps, ACancelledSweepEndsWithItsJobs) {
  auto request = Request(Simulate());
  request.mutable_spec()->mutable_base()->set_epochs(100000);
  request.mutable_spec()->mutable_base()->set_max_steps(10'000'000);
  const auto sweep = Begin(request);
  ASSERT_TRUE(sweep.ok()) << sweep.status();
  for (int i = 0; i < 300 && Get(sweep->name()).trials_size() < 2; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  grpc::ClientContext context;
  v1::CancelSweepRequest cancel;
  cancel.set_name(sweep->name());
  v1::CancelSweepResponse response;
  ASSERT_TRUE(client_->sweeps().CancelSweep(&context, cancel, &response).ok());
  EXPECT_EQ(response.sweep().state(), v1::Sweep::STATE_CANCELLED);
  for (const auto& t : response.sweep().trials()) {
    EXPECT_EQ(Watch(t.jobs(0)).back().job().state(), v1::Job::STATE_CANCELLED);
  }
  grpc::ClientContext again;
  EXPECT_EQ(client_->sweeps().CancelSweep(&again, cancel, &response).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
}

TEST_F(Sweeps, WrongSweepsAreRefusedWithWhatIsWrong) {
  const std::string recording = Simulate();
  const auto message = [&](auto change) {
    auto request = Request(recording);
    change(*request.mutable_spec());
    return std::string(Begin(request).status().message());
  };
  EXPECT_THAT(message([](auto& s) { s.clear_parameters(); }), HasSubstr("parameters"));
  EXPECT_THAT(message([](auto& s) { s.set_trials(0); }), HasSubstr("trials is 0"));
  EXPECT_THAT(message([](auto& s) { s.mutable_parameters(0)->set_field("learning"); }),
              HasSubstr("learning is not a field"));
  EXPECT_THAT(
      message([](auto& s) { s.mutable_parameters(1)->mutable_values(0)->set_number_value(99); }),
      HasSubstr("which is refused"));
  EXPECT_THAT(message([](auto& s) { s.set_method(v1::SWEEP_METHOD_GRID); }),
              HasSubstr("parameters[0].points"));
  EXPECT_THAT(
      message([](auto& s) { s.mutable_objective()->set_kind(v1::SweepObjective::KIND_AUROC); }),
      HasSubstr("objective.condition"));
  EXPECT_THAT(message([](auto& s) { s.set_validation_fraction(0.9); }),
              HasSubstr("validation_fraction is 0.9"));
  EXPECT_THAT(message([](auto& s) { s.mutable_base()->set_recording("recordings/none"); }),
              HasSubstr("there is no recording"));
  EXPECT_THAT(message([](auto& s) { s.mutable_parameters(1)->mutable_values(0)->clear_kind(); }),
              HasSubstr("something else than numbers"));
}

}  // namespace
}  // namespace saed
