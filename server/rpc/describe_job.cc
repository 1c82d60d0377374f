#include "server/rpc/describe_job.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_replace.h"
#include "server/base/display_name.h"
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

// The id of the one thing that the caller calls so. A text of the form of an id is one, whether or
// not there is such a thing; any other that is nobody's name is refused, as no job would ever
// match.
absl::StatusOr<std::string> IdInFilter(Context& context, const Caller& caller,
                                       const std::string& collection, const std::string& text) {
  const auto refused = [&](const std::string& why) {
    return InvalidField(
        "filter", fmt::format("names the {} '{}', {}", collection.substr(0, collection.size() - 1),
                              ShownName(text), why));
  };
  const auto called = context.gate.access().Called(collection, text, caller.viewer());
  if (absl::IsInvalidArgument(called.status())) {
    return refused(
        "and to find it the server would look at more rows than one call may; must be "
        "its id");
  }
  SAED_RETURN_IF_ERROR(called.status());
  if (called->size() == 1) return called->front();
  if (called->empty() && (text.empty() || IsIdForm(text))) return text;
  if (called->empty()) return refused("which is not there; must be an id or a name");
  return refused(fmt::format("as several are called; say which by its id: {}/{}", collection,
                             fmt::join(*called, fmt::format(", {}/", collection))));
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
  const storage::IdOfThing id = [&](const std::string& collection, const std::string& text) {
    return IdInFilter(context, caller, collection, text);
  };
  storage::JobQuery out;
  SAED_ASSIGN_OR_RETURN(out.filter, storage::ParseJobFilter(filter, id));
  out.trials = trials || out.filter.names_trials;
  out.viewer = caller.viewer();
  return out;
}

}  // namespace saed::rpc
