#include <fmt/chrono.h>
#include <fmt/format.h>

#include "client/cli/command.h"
#include "client/cli/output.h"
#include "server/base/status_macros.h"

namespace saed::cli {
namespace {

absl::Status Show(Session& session) {
  grpc::ClientContext context;
  v1::GetServerStatusResponse r;
  SAED_RETURN_IF_ERROR(
      client::FromGrpc(session.client->server().GetServerStatus(&context, {}, &r)));
  if (session.json) {
    fmt::print("{}", Json(r));
    return absl::OkStatus();
  }
  const std::time_t since = r.start_time().seconds();
  fmt::print("saed {} at {}, since {:%Y-%m-%d %H:%M:%S} UTC\n", r.version(), session.server,
             fmt::gmtime(since));
  fmt::print("  jobs     {} running, {} queued, {} paused, {} threads and {} for them\n  {}  ",
             r.running_jobs(), r.queued_jobs(), r.paused_jobs(), r.threads(),
             Bytes(static_cast<double>(r.memory_bytes())),
             r.caller().empty() ? "kernels" : "you are");
  if (!r.caller().empty()) fmt::print("{} ({})\n  kernels  ", r.caller(), r.caller_role());
  for (const auto& path : r.kernel_paths()) {
    if (path.in_use()) fmt::print("{}\n", path.name());
  }
  for (const auto& path : r.kernel_paths()) {
    if (!path.available()) fmt::print("           not {}: {}\n", path.name(), path.reason());
  }
  std::string guards;
  for (const auto& guard : r.reader_guards()) {
    if (guard.active()) guards += (guards.empty() ? "" : ", ") + guard.name();
  }
  if (r.reader_guards_size() > 0) {
    fmt::print("  reader   shut in by {}\n", guards.empty() ? "nothing" : guards);
  }
  for (const auto& guard : r.reader_guards()) {
    if (!guard.active()) fmt::print("           not {}: {}\n", guard.name(), guard.detail());
  }
  return absl::OkStatus();
}

}  // namespace

void AddServerCommand(CLI::App& app, Session& session) {
  Run(app.add_subcommand("health", "Whether the server takes calls; wants no token"), session,
      [&session]() -> absl::Status {
        SAED_RETURN_IF_ERROR(session.client->CheckHealth());
        fmt::print("the server at {} takes calls\n", session.server);
        return absl::OkStatus();
      });
  Run(app.add_subcommand("status", "The server's version, queue and instruction set"), session,
      [&session] { return Show(session); });
}

}  // namespace saed::cli
