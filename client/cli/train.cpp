// saectl train.
#include "client/cli/command.h"
#include "client/cli/queue_flags.h"
#include "client/cli/train_flags.h"
#include "server/base/status_macros.h"

namespace saed::cli {

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

}  // namespace saed::cli
