// saectl top: queue, jobs and users, again and again.
#include <fmt/format.h>
#include <google/protobuf/util/time_util.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "client/cli/command.h"
#include "client/cli/output.h"
#include "server/base/status_macros.h"

namespace saed::cli {
namespace {

absl::StatusOr<v1::ListJobsResponse> Jobs(Session& session, v1::Job::State state) {
  grpc::ClientContext context;
  v1::ListJobsRequest request;
  request.set_state(state);
  request.set_page_size(15);
  request.set_show_trials(true);
  v1::ListJobsResponse response;
  SAED_RETURN_IF_ERROR(
      client::FromGrpc(session.client->jobs().ListJobs(&context, request, &response)));
  return response;
}

std::vector<std::string> JobRow(const v1::Job& job) {
  using google::protobuf::util::TimeUtil;
  const bool running = job.state() == v1::Job::STATE_RUNNING;
  const int64_t since =
      running && job.has_start_time() ? job.start_time().seconds() : job.create_time().seconds();
  const int64_t now = TimeUtil::TimestampToSeconds(TimeUtil::GetCurrentTime());
  return {job.name(),
          v1::Job::State_Name(job.state()).substr(6),
          job.owner(),
          job.display_name(),
          std::to_string(job.threads()),
          Seconds(static_cast<double>(std::max<int64_t>(0, now - since))),
          job.wait_reason()};
}

absl::StatusOr<std::string> Page(Session& session) {
  grpc::ClientContext context;
  v1::GetServerStatusResponse status;
  SAED_RETURN_IF_ERROR(
      client::FromGrpc(session.client->server().GetServerStatus(&context, {}, &status)));
  int used = 0;
  for (const auto& u : status.users()) used += u.threads();
  std::string out =
      fmt::format("saed {} at {}   {} running, {} queued, {} paused   {} of {} threads\n\n",
                  status.version(), session.server, status.running_jobs(), status.queued_jobs(),
                  status.paused_jobs(), used, status.threads());
  std::vector<std::vector<std::string>> rows;
  for (const auto& u : status.users()) {
    rows.push_back({u.user().empty() ? "(no user)" : u.user(), std::to_string(u.running_jobs()),
                    std::to_string(u.waiting_jobs()), std::to_string(u.threads()),
                    fmt::format("{:.0f}", u.core_seconds()), fmt::format("{:g}", u.share())});
  }
  out += Table({"USER", "RUNNING", "WAITING", "THREADS", "CORE-SECONDS LATELY", "SHARE"}, rows,
               TerminalWidth(), {1, 2, 3, 4, 5});
  rows.clear();
  for (const auto state : {v1::Job::STATE_RUNNING, v1::Job::STATE_QUEUED, v1::Job::STATE_PAUSED}) {
    SAED_ASSIGN_OR_RETURN(const auto jobs, Jobs(session, state));
    // The oldest of the page first: it will be next.
    for (int i = jobs.jobs_size() - 1; i >= 0; --i) rows.push_back(JobRow(jobs.jobs(i)));
  }
  out += "\n" + Table({"JOB", "STATE", "OWNER", "NAME", "THREADS", "SINCE", "WAITS FOR"}, rows,
                      TerminalWidth(), {4, 5});
  return out;
}

}  // namespace

void AddTopCommand(CLI::App& app, Session& session) {
  auto* c = app.add_subcommand("top", "Queue, jobs and users, live; Ctrl-C ends it");
  auto seconds = std::make_shared<double>(2);
  auto once = std::make_shared<bool>(false);
  c->add_option("--every", *seconds, "Seconds between looks")->capture_default_str();
  c->add_flag("--once", *once, "Only one look");
  Run(c, session, [&session, seconds, once]() -> absl::Status {
    const bool terminal = isatty(STDOUT_FILENO) != 0;
    while (true) {
      SAED_ASSIGN_OR_RETURN(const std::string page, Page(session));
      fmt::print("{}{}", terminal && !*once ? "\x1b[H\x1b[2J" : "", page);
      std::fflush(stdout);
      if (*once) return absl::OkStatus();
      std::this_thread::sleep_for(std::chrono::duration<double>(std::max(0.2, *seconds)));
    }
  });
}

}  // namespace saed::cli
