// saectl analyse: another dictionary of a model.
#include <fmt/format.h>

#include "client/cli/command.h"
#include "client/cli/output.h"
#include "client/cli/queue_flags.h"
#include "client/cli/scored.h"
#include "client/cli/train_flags.h"
#include "server/base/status_macros.h"

namespace saed::cli {

void AddAnalyseCommand(CLI::App& app, Session& session) {
  auto* c = app.add_subcommand(
      "analyse",
      "Build a dictionary of a model on another recording, or on its own again. The conditions of "
      "the model's training are taken over but those whose names are given here, and its condition "
      "columns where none are given, as far as the recording has what they ask for; what is not is "
      "said.");
  struct Flags {
    std::string model, recording, name;
    ConditionFlags conditions;
    bool detach = false, check = false, own = false;
    QueueFlags queue;
  };
  auto f = std::make_shared<Flags>();
  c->add_option("model", f->model, "Its name or id")->required();
  c->add_option("recording", f->recording, "Its name or id")->required();
  c->add_option("--name", f->name, "Name for people");
  f->conditions.AddTo(*c);
  c->add_flag("--without-model-conditions", f->own,
              "Take nothing over: only automatic conditions, and those given here")
      ->group("Dictionary");
  c->add_flag("--detach", f->detach, "Do not wait for the job");
  c->add_flag("--check", f->check, "Only check the specification");
  f->queue.AddTo(*c);
  Run(c, session, [&session, f]() -> absl::Status {
    v1::CreateJobRequest request;
    request.set_request_id(NewRequestId());
    request.set_display_name(f->name);
    request.set_validate_only(f->check);
    request.mutable_analyse()->set_model(FullName("models", f->model));
    request.mutable_analyse()->set_recording(FullName("recordings", f->recording));
    SAED_RETURN_IF_ERROR(f->conditions.Fill(*request.mutable_analyse()));
    f->queue.Fill(request);
    SAED_ASSIGN_OR_RETURN(const auto said, TakeOver(session, request, !f->own));
    if (!session.json) fmt::print("{}\n", Wrapped(said.scored_by, TerminalWidth(), 2));
    for (const std::string& line : said.left_out) {
      fmt::print(session.json ? stderr : stdout, "{}\n", Wrapped(line, TerminalWidth(), 2));
    }
    return Submit(session, request, f->detach || f->check);
  });
}

}  // namespace saed::cli
