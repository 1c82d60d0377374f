#include "server/rpc/describe_job.h"

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_replace.h"
#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/rpc/convert.h"
#include "server/rpc/names.h"

namespace saed::rpc {
namespace {

// Takes the jobs that it depends on and the caller may not see out of it and of what it says.
absl::Status HideDependencies(Context& context, const Caller& caller, v1::Job& job) {
  const std::vector<std::string> all(job.dependencies().begin(), job.dependencies().end());
  job.clear_dependencies();
  for (const std::string& name : all) {
    SAED_ASSIGN_OR_RETURN(const std::string id, IdOf(name, "jobs", "dependencies"));
    const auto owner = context.gate.access().OwnerOf("jobs", id, caller.viewer());
    if (owner.ok()) {
      job.add_dependencies(name);
      continue;
    }
    if (!absl::IsNotFound(owner.status())) return owner.status();
    const std::vector<std::pair<std::string, std::string>> plain = {{name, "another job"}};
    job.set_wait_reason(absl::StrReplaceAll(job.wait_reason(), plain));
    if (!job.has_error()) continue;
    job.mutable_error()->set_message(absl::StrReplaceAll(job.error().message(), plain));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<v1::Job> DescribeJob(Context& context, const Caller& caller,
                                    const storage::JobRow& row) {
  SAED_ASSIGN_OR_RETURN(v1::Job job, ToProto(row));
  if (const auto wait = context.scheduler.Waiting(row)) {
    job.set_wait_reason(wait->reason);
    if (wait->estimated_start)
      *job.mutable_estimated_start_time() = Timestamp(*wait->estimated_start);
  }
  SAED_RETURN_IF_ERROR(HideDependencies(context, caller, job));
  return job;
}

absl::StatusOr<storage::JobQuery> JobQueryOf(Context& context, const Caller& caller,
                                             const std::string& filter, bool trials) {
  const storage::RecordingId recording =
      [&](const std::string& text) -> absl::StatusOr<std::string> {
    SAED_ASSIGN_OR_RETURN(const auto ids,
                          context.gate.access().Called("recordings", text, caller.viewer()));
    if (ids.size() < 2) return ids.empty() ? text : ids[0];
    std::string choices;
    for (const auto& id : ids) {
      choices += fmt::format("{}recordings/{}", choices.empty() ? "" : ", ", id);
    }
    return InvalidField("filter",
                        fmt::format("names the recording '{}', as several are called; say "
                                    "which by its id: {}",
                                    text, choices));
  };
  storage::JobQuery out;
  SAED_ASSIGN_OR_RETURN(out.filter, storage::ParseJobFilter(filter, recording));
  out.trials = trials || out.filter.names_trials;
  out.viewer = caller.viewer();
  return out;
}

}  // namespace saed::rpc
