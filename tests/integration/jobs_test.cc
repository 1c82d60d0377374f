#include <chrono>
#include <set>
#include <thread>

#include "tests/integration/fixture.h"

namespace saed {
namespace {

class Jobs : public test_tools::ServerTest {};

v1::CreateJobRequest Long(v1::CreateJobRequest request) {
  request.mutable_train()->set_epochs(100000);
  request.mutable_train()->set_max_steps(50'000'000);
  return request;
}

TEST_F(Jobs, TrainWatchAndFindAgain) {
  const v1::Job job = Trained();
  EXPECT_EQ(job.model().substr(0, 7), "models/");
  // A late watcher sees everything from the beginning.
  const auto events = Watch(job.name());
  std::set<std::string> stages;
  int64_t sequence = 0;
  for (const auto& e : events) {
    if (!e.has_progress()) continue;
    EXPECT_EQ(e.progress().sequence(), ++sequence);
    stages.insert(e.progress().stage());
  }
  EXPECT_EQ(stages, (std::set<std::string>{"loading", "training", "calibrating", "evaluating",
                                           "dictionary", "finished"}));
  grpc::ClientContext context;
  v1::GetModelRequest request;
  request.set_name(job.model());
  v1::GetModelResponse response;
  ASSERT_TRUE(client_->models().GetModel(&context, request, &response).ok());
  EXPECT_EQ(response.model().unit_ids_size(), 20);
  EXPECT_GT(response.model().evaluation().windows(), 300);
  EXPECT_NEAR(response.model().evaluation().l0(), 3, 1.5);
}

// Of 2000 bins five stretches train 320 each, but for eight beside each 80 held-out ones, and for
// those whose window would not be whole.
TEST_F(Jobs, WhatIsLeftToTheServerIsChosenAndSaid) {
  auto request = TrainRequest(Simulate());
  request.set_request_id("chosen");
  request.mutable_train()->mutable_model()->clear_levels();
  request.mutable_train()->clear_batch_size();
  request.mutable_train()->clear_epochs();
  request.mutable_train()->mutable_view()->clear_bin_width();
  // Checked alone it says the same, of a job that is not there.
  request.set_validate_only(true);
  const auto checked = Create(request);
  request.set_validate_only(false);
  const auto job = Create(request), again = Create(request);
  ASSERT_TRUE(checked.ok() && job.ok() && again.ok()) << job.status();
  EXPECT_EQ(job->name(), again->name());
  EXPECT_EQ(checked->name(), "");
  EXPECT_EQ(checked->train().SerializeAsString(), job->train().SerializeAsString());
  // Its output is softplus, which is known before it trains.
  ASSERT_EQ(checked->warnings_size(), 1);
  EXPECT_NE(checked->warnings(0).find("SAELens: SAELens decodes linearly; this model's output "
                                      "function is softplus. Download saelens-linear, whose "
                                      "decoder gives what goes into it, or the plain safetensors "
                                      "file, or train with output identity (which loss mse has "
                                      "by itself)"),
            std::string::npos)
      << checked->warnings(0);
  auto linear = request;
  linear.set_validate_only(true);
  linear.mutable_train()->mutable_model()->set_loss(v1::LOSS_MSE);
  EXPECT_EQ(Create(linear)->warnings_size(), 0);
  EXPECT_EQ(job->train().view().bin_width(), 0.02);
  EXPECT_EQ(job->train().batch_size(), 256);
  EXPECT_EQ(job->train().epochs(), 167);
  ASSERT_EQ(job->train().model().levels_size(), 1);
  EXPECT_EQ(job->train().model().levels(0).features(), 48);
  EXPECT_EQ(job->train().model().levels(0).k(), 8);
  const auto& choices = job->train().choices();
  ASSERT_EQ(choices.size(), 5);
  EXPECT_EQ(choices[0].find("bin 0.02 s: "), 0U) << choices[0];
  EXPECT_EQ(choices[1].find("features 48, k 8: 20 units and 1523 windows that train"), 0U)
      << choices[1];
  EXPECT_EQ(choices[3], "epochs 167: 6 steps each, at least 20 epochs and 1000 steps");
  EXPECT_EQ(choices[4].find("split: the last fifth of each of 5 stretches"), 0U) << choices[4];
  EXPECT_TRUE(job->train().view().split().has_time());
  const auto ended = Watch(job->name()).back().job();
  EXPECT_EQ(ended.state(), v1::Job::STATE_SUCCEEDED) << ended.error().message();
}

// What is said before it trains comes with the answer, and the split is kept as it was asked for.
TEST_F(Jobs, ASplitByTrialsAndWhatItKeepsApart) {
  auto request = TrainRequest(Simulate());
  auto* view = request.mutable_train()->mutable_view();
  auto* trials = view->mutable_split()->mutable_trials();
  trials->set_table("planted");
  trials->set_filter("feature = f00 OR feature = f01");
  trials->set_order(v1::TRIAL_ORDER_RANDOM);
  trials->set_seed(3);
  trials->set_folds(4);
  trials->set_fold(1);
  trials->set_embargo(0.1);
  trials->set_outside(v1::OUTSIDE_LEFT_OUT);
  const auto job = Create(request);
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->train().view().split().trials().SerializeAsString(), trials->SerializeAsString());
  EXPECT_EQ(job->train().warnings_size(), 0);
  EXPECT_EQ(Watch(job->name()).back().job().state(), v1::Job::STATE_SUCCEEDED);

  auto* column = view->mutable_split()->mutable_column();
  column->set_table("planted");
  column->set_column("feature");
  column->add_train_values("f00");
  column->add_test_values("f01");
  auto* condition = request.mutable_train()->add_conditions();
  condition->set_name("first");
  condition->set_expression("planted.feature = f00");
  const auto apart = Create(request);
  ASSERT_TRUE(apart.ok()) << apart.status();
  ASSERT_GT(apart->train().warnings_size(), 0);
  EXPECT_NE(apart->train().warnings(0).find("condition 'first' holds in all of the"),
            std::string::npos)
      << apart->train().warnings(0);
}

// A single step leaves half of all latents active.
TEST_F(Jobs, ATrainingThatFellShortSaysSoEverywhere) {
  auto request = TrainRequest(Simulate());
  request.mutable_train()->set_max_steps(1);
  const auto job = Create(request);
  ASSERT_TRUE(job.ok()) << job.status();
  const auto ended = Watch(job->name()).back().job();
  ASSERT_EQ(ended.state(), v1::Job::STATE_SUCCEEDED) << ended.error().message();
  ASSERT_GE(ended.warnings_size(), 1);
  EXPECT_NE(ended.warnings(0).find("and should be 3; it had 1 step of 128 windows"),
            std::string::npos)
      << ended.warnings(0);
  grpc::ClientContext of_job, of_model, of_dictionary;
  v1::GetJobRequest get_job;
  get_job.set_name(job->name());
  v1::GetJobResponse shown;
  ASSERT_TRUE(client_->jobs().GetJob(&of_job, get_job, &shown).ok());
  EXPECT_EQ(shown.job().warnings(0), ended.warnings(0));
  v1::GetModelRequest get_model;
  get_model.set_name(ended.model());
  v1::GetModelResponse model;
  ASSERT_TRUE(client_->models().GetModel(&of_model, get_model, &model).ok());
  ASSERT_EQ(model.model().warnings_size(), ended.warnings_size());
  EXPECT_EQ(model.model().warnings(0), ended.warnings(0));
  v1::GetDictionaryRequest get_dictionary;
  get_dictionary.set_name(ended.dictionary());
  v1::GetDictionaryResponse dictionary;
  ASSERT_TRUE(client_->features().GetDictionary(&of_dictionary, get_dictionary, &dictionary).ok());
  ASSERT_GE(dictionary.dictionary().warnings_size(), 1);
  EXPECT_EQ(dictionary.dictionary().warnings(0), ended.warnings(0));
  EXPECT_EQ(Trained().warnings_size(), 0);
}

// With thresholds that no window reaches.
TEST_F(Jobs, ATrainingThatLearnedNothingFails) {
  auto request = TrainRequest(Simulate());
  auto* model = request.mutable_train()->mutable_model();
  model->set_selection(v1::SELECTION_JUMP_RELU);
  model->mutable_penalty()->set_threshold(1e6);
  model->mutable_penalty()->set_weight(1);
  const auto job = Create(request);
  ASSERT_TRUE(job.ok()) << job.status();
  const auto ended = Watch(job->name()).back().job();
  EXPECT_EQ(ended.state(), v1::Job::STATE_FAILED);
  EXPECT_NE(ended.error().message().find("nothing was learned: no latent is active"),
            std::string::npos)
      << ended.error().message();
  EXPECT_NE(ended.error().message().find("a smaller penalty"), std::string::npos);
}

TEST_F(Jobs, SubmissionIsIdempotent) {
  auto request = TrainRequest(Simulate());
  request.set_request_id("once");
  const auto first = Create(request), second = Create(request);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(first->name(), second->name());
  request.mutable_train()->set_seed(1);
  EXPECT_TRUE(absl::IsAlreadyExists(Create(request).status()));
}

TEST_F(Jobs, AWatcherGoesOnWhereItWas) {
  const auto job = Create(TrainRequest(Simulate()));
  ASSERT_TRUE(job.ok()) << job.status();
  std::vector<int64_t> all;
  for (const auto& event : Watch(job->name())) {
    if (event.has_progress()) all.push_back(event.progress().sequence());
  }
  ASSERT_GE(all.size(), 3U);
  const auto after = [&](int64_t sequence) {
    grpc::ClientContext context;
    v1::WatchJobRequest request;
    request.set_name(job->name());
    request.set_after_sequence(sequence);
    const auto stream = client_->jobs().WatchJob(&context, request);
    std::vector<int64_t> got;
    v1::WatchJobResponse event;
    while (stream->Read(&event)) {
      if (event.has_progress()) got.push_back(event.progress().sequence());
    }
    EXPECT_EQ(stream->Finish().error_code(),
              sequence < -1 ? grpc::StatusCode::INVALID_ARGUMENT : grpc::StatusCode::OK);
    return got;
  };
  EXPECT_EQ(after(0), all);
  EXPECT_EQ(after(all[1]), std::vector<int64_t>(all.begin() + 2, all.end()));
  EXPECT_EQ(after(-1), std::vector<int64_t>{all.back()});
  EXPECT_TRUE(after(all.back()).empty());
  EXPECT_TRUE(after(-2).empty());
}

TEST_F(Jobs, CancelEndsARunningAndAQueuedJobWithinASecond) {
  const std::string recording = Simulate();
  const auto running = Create(Long(TrainRequest(recording)));
  const auto queued = Create(Long(TrainRequest(recording)));
  ASSERT_TRUE(running.ok() && queued.ok()) << running.status();
  const auto state = [&](const std::string& name) {
    grpc::ClientContext context;
    v1::GetJobRequest request;
    request.set_name(name);
    v1::GetJobResponse response;
    client_->jobs().GetJob(&context, request, &response);
    return response.job().state();
  };
  for (int i = 0; i < 500 && state(running->name()) != v1::Job::STATE_RUNNING; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  ASSERT_EQ(state(running->name()), v1::Job::STATE_RUNNING);
  EXPECT_EQ(state(queued->name()), v1::Job::STATE_QUEUED);
  const auto start = std::chrono::steady_clock::now();
  for (const auto* job : {&*queued, &*running}) {
    grpc::ClientContext context;
    v1::CancelJobRequest request;
    request.set_name(job->name());
    v1::CancelJobResponse response;
    ASSERT_TRUE(client_->jobs().CancelJob(&context, request, &response).ok());
    EXPECT_EQ(Watch(job->name()).back().job().state(), v1::Job::STATE_CANCELLED);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(1));
  // A cancelled job cannot be cancelled again.
  grpc::ClientContext context;
  v1::CancelJobRequest request;
  request.set_name(running->name());
  v1::CancelJobResponse response;
  EXPECT_EQ(client_->jobs().CancelJob(&context, request, &response).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
}

TEST_F(Jobs, AStoppedServerGoesOnToTheSameTensors) {
  const std::string recording = Simulate();
  auto request = TrainRequest(recording);
  request.mutable_train()->set_epochs(400);
  const auto whole = Create(request);
  ASSERT_TRUE(whole.ok());
  Watch(whole->name());
  const auto broken = Create(request);
  ASSERT_TRUE(broken.ok());
  for (int i = 0; i < 2; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(120));
    Restart();
  }
  const auto events = Watch(broken->name());
  ASSERT_EQ(events.back().job().state(), v1::Job::STATE_SUCCEEDED)
      << events.back().job().error().message();
  const auto digest = [&](const std::string& id) {
    grpc::ClientContext context;
    v1::GetModelRequest get;
    get.set_name("models/" + id.substr(5));
    v1::GetModelResponse response;
    EXPECT_TRUE(client_->models().GetModel(&context, get, &response).ok());
    return response.model().tensor_digest();
  };
  EXPECT_EQ(digest(whole->name()), digest(broken->name()));
  EXPECT_GE(events.back().job().attempt(), 2);
}

TEST_F(Jobs, AnalyseAnotherRecordingWithTheModelsUnits) {
  const v1::Job trained = Trained();
  v1::CreateJobRequest request;
  request.mutable_analyse()->set_model(trained.model());
  request.mutable_analyse()->set_recording(Simulate(1500));
  const auto job = Create(request);
  ASSERT_TRUE(job.ok()) << job.status();
  const v1::Job end = Watch(job->name()).back().job();
  ASSERT_EQ(end.state(), v1::Job::STATE_SUCCEEDED) << end.error().message();
  grpc::ClientContext context;
  v1::GetDictionaryRequest get;
  get.set_name(end.dictionary());
  v1::GetDictionaryResponse response;
  ASSERT_TRUE(client_->features().GetDictionary(&context, get, &response).ok());
  EXPECT_EQ(response.dictionary().train_windows(), 0);
  EXPECT_EQ(response.dictionary().test_windows(), 1499);
}

}  // namespace
}  // namespace saed
