#include "client/cli/job_flags.h"

#include <fmt/format.h>

#include "server/base/status_macros.h"

namespace saed::cli {
namespace {

// A value as filters take any text.
std::string InFilter(const std::string& value) {
  std::string out = "\"";
  for (const char c : value)
    out += c == '"' || c == '\\' ? fmt::format("\\{}", c) : fmt::format("{}", c);
  return out + "\"";
}

absl::StatusOr<std::string> Caller(Session& session) {
  grpc::ClientContext context;
  v1::GetServerStatusResponse status;
  SAED_RETURN_IF_ERROR(
      client::FromGrpc(session.client->server().GetServerStatus(&context, {}, &status)));
  return status.caller();
}

}  // namespace

void AddJobFlags(CLI::App& command, JobFlags& flags) {
  command.add_option("--state", flags.state, "Only these")
      ->check(CLI::IsMember({"QUEUED", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED", "PAUSED"},
                            CLI::ignore_case));
  command.add_option("--kind", flags.kind, "Only train, analyse or trial")
      ->check(CLI::IsMember({"train", "analyse", "trial"}, CLI::ignore_case));
  command.add_option("--owner", flags.owner, "Only of this user");
  command.add_flag("--mine", flags.mine, "Only yours")->excludes("--owner");
  command.add_option("--recording", flags.recording, "Only on this recording, by name or id");
  command.add_option("--sweep", flags.sweep, "Only trials of this sweep, by name or id");
  command.add_flag("--trials", flags.trials, "With the trials of sweeps");
  command.add_option("--filter", flags.filter,
                     "Only those for which this holds, such as 'state = FAILED AND display_name : "
                     "mouse'");
}

absl::StatusOr<std::string> FilterOf(Session& session, const JobFlags& flags) {
  std::string owner = flags.owner, out;
  if (flags.mine) {
    SAED_ASSIGN_OR_RETURN(owner, Caller(session));
  }
  for (const auto& [field, value] : {std::pair("state", &flags.state),
                                     {"kind", &flags.kind},
                                     {"owner", &owner},
                                     {"recording", &flags.recording},
                                     {"sweep", &flags.sweep}}) {
    if (value->empty()) continue;
    out += fmt::format("{}{} = {}", out.empty() ? "" : " AND ", field, InFilter(*value));
  }
  if (flags.filter.empty()) return out;
  return out.empty() ? flags.filter : fmt::format("{} AND ({})", out, flags.filter);
}

}  // namespace saed::cli
