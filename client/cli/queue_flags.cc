#include "client/cli/queue_flags.h"

#include <fmt/format.h>

#include <cctype>

#include "client/cli/output.h"
#include "client/cli/words.h"
#include "server/base/status_macros.h"

namespace saed::cli {

void QueueFlags::AddTo(CLI::App& command) {
  command.add_option("--priority", priority, "Among your own jobs; urgent ones pause others")
      ->transform(OneOf({"low", "normal", "high", "urgent"}))
      ->group("Queue")
      ->capture_default_str();
  command
      .add_option("--after", after,
                  "Start only once this job, by name or id, has succeeded (repeatable)")
      ->group("Queue");
  command.add_option("--time-limit", time_limit, "Seconds of running after which it fails")
      ->group("Queue");
}

void QueueFlags::Fill(v1::CreateJobRequest& request) const {
  v1::JobPriority value = v1::JOB_PRIORITY_NORMAL;
  std::string name = priority;
  for (char& c : name) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  v1::JobPriority_Parse("JOB_PRIORITY_" + name, &value);
  request.set_priority(value);
  for (const std::string& job : after) request.add_dependencies(FullName("jobs", job));
  request.set_time_limit_seconds(time_limit);
}

void PrintChoices(const v1::TrainSpec& spec) {
  constexpr int kIndent = 8;  // of "chosen: "
  for (const auto& choice : spec.choices()) {
    fmt::print("{}\n", Wrapped("chosen: " + choice, TerminalWidth(), kIndent));
  }
  for (const auto& warning : spec.warnings()) {
    fmt::print("{}\n", Wrapped("WARNING: " + warning, TerminalWidth(), 2));
  }
}

absl::Status Submit(Session& session, const v1::CreateJobRequest& request, bool detach) {
  grpc::ClientContext context;
  v1::CreateJobResponse response;
  SAED_RETURN_IF_ERROR(
      client::FromGrpc(session.client->jobs().CreateJob(&context, request, &response)));
  if (session.json && detach) fmt::print("{}", Json(response));
  if (!session.json) {
    fmt::print("{}\n",
               request.validate_only() ? "the specification is good" : response.job().name());
    PrintChoices(response.job().train());
    for (const auto& warning : response.job().warnings()) {
      fmt::print("{}\n", Wrapped("note: " + warning, TerminalWidth(), 2));
    }
  }
  if (detach) return absl::OkStatus();
  return WatchJob(session, response.job().name());
}

}  // namespace saed::cli
