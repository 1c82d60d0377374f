#include <fmt/format.h>

#include "client/cli/command.h"
#include "client/cli/output.h"
#include "client/cli/train_flags.h"
#include "client/cli/words.h"
#include "server/base/status_macros.h"

namespace saed::cli {
namespace {

// How a job is queued; for train and analyse alike.
struct QueueFlags {
  std::string priority = "normal";
  std::vector<std::string> after;
  double time_limit = 0;

  void AddTo(CLI::App& command) {
    command.add_option("--priority", priority, "Among your own jobs; urgent ones pause others")
        ->transform(OneOf({"low", "normal", "high", "urgent"}))
        ->group("Queue")
        ->capture_default_str();
    command.add_option("--after", after, "Start only once this job has succeeded (repeatable)")
        ->group("Queue");
    command.add_option("--time-limit", time_limit, "Seconds of running after which it fails")
        ->group("Queue");
  }
  void Fill(v1::CreateJobRequest& request) const {
    v1::JobPriority value = v1::JOB_PRIORITY_NORMAL;
    std::string name = priority;
    for (char& c : name) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    v1::JobPriority_Parse("JOB_PRIORITY_" + name, &value);
    request.set_priority(value);
    for (const std::string& job : after) request.add_dependencies(FullName("jobs", job));
    request.set_time_limit_seconds(time_limit);
  }
};

absl::Status Submit(Session& session, const v1::CreateJobRequest& request, bool detach) {
  grpc::ClientContext context;
  v1::CreateJobResponse response;
  SAED_RETURN_IF_ERROR(
      client::FromGrpc(session.client->jobs().CreateJob(&context, request, &response)));
  if (session.json && detach) fmt::print("{}", Json(response));
  if (!session.json) {
    fmt::print("{}\n",
               request.validate_only() ? "the specification is good" : response.job().name());
    for (const auto& choice : response.job().train().choices()) {
      fmt::print("{}\n", Wrapped("chosen: " + choice, TerminalWidth(), 8));
    }
    for (const auto& warning : response.job().train().warnings()) {
      fmt::print("{}\n", Wrapped(fmt::format("WARNING: {}", warning), TerminalWidth(), 2));
    }
  }
  if (detach) return absl::OkStatus();
  return WatchJob(session, response.job().name());
}

}  // namespace

void AddTrainCommand(CLI::App& app, Session& session) {
  auto* c = app.add_subcommand(
      "train", "Train a sparse autoencoder on a recording and build its feature dictionary");
  struct Flags {
    TrainFlags train;
    QueueFlags queue;
    std::string name, request_id;
    bool detach = false, check = false;
  };
  auto f = std::make_shared<Flags>();
  f->train.AddTo(*c);
  c->add_option("--name", f->name, "Name for people");
  f->queue.AddTo(*c);
  c->add_option("--request-id", f->request_id, "Makes the call safe to repeat");
  c->add_flag("--detach", f->detach, "Do not wait for the job");
  c->add_flag("--check", f->check, "Only check the specification");
  Run(c, session, [&session, f]() -> absl::Status {
    v1::CreateJobRequest request;
    request.set_request_id(f->request_id.empty() ? NewRequestId() : f->request_id);
    request.set_display_name(f->name);
    request.set_validate_only(f->check);
    SAED_RETURN_IF_ERROR(f->train.Fill(*request.mutable_train()));
    f->queue.Fill(request);
    return Submit(session, request, f->detach || f->check);
  });
}

void AddAnalyseCommand(CLI::App& app, Session& session) {
  auto* c = app.add_subcommand("analyse", "Build a dictionary of a model on another recording");
  struct Flags {
    std::string model, recording, name;
    ConditionFlags conditions;
    bool detach = false;
    QueueFlags queue;
  };
  auto f = std::make_shared<Flags>();
  c->add_option("model", f->model, "Its name or id")->required();
  c->add_option("recording", f->recording, "Its name or id")->required();
  c->add_option("--name", f->name, "Name for people");
  f->conditions.AddTo(*c);
  c->add_flag("--detach", f->detach, "Do not wait for the job");
  f->queue.AddTo(*c);
  Run(c, session, [&session, f]() -> absl::Status {
    v1::CreateJobRequest request;
    request.set_request_id(NewRequestId());
    request.set_display_name(f->name);
    request.mutable_analyse()->set_model(FullName("models", f->model));
    request.mutable_analyse()->set_recording(FullName("recordings", f->recording));
    SAED_RETURN_IF_ERROR(f->conditions.Fill(*request.mutable_analyse()));
    f->queue.Fill(request);
    return Submit(session, request, f->detach);
  });
}

}  // namespace saed::cli
