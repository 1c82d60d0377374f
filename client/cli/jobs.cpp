#include <fmt/format.h>

#include "client/cli/ask.h"
#include "client/cli/command.h"
#include "client/cli/connection.h"
#include "client/cli/job_flags.h"
#include "client/cli/output.h"
#include "client/cli/scored.h"
#include "server/base/status_macros.h"

namespace saed::cli {

std::string StateName(v1::Job::State state) {
  return v1::Job::State_Name(state).substr(6);  // without STATE_
}

namespace {

// "train 48:8", "analyse" or "trial 3".
std::string What(const v1::Job& job) {
  if (job.has_analyse()) return "analyse";
  if (!job.sweep().empty()) return fmt::format("trial {}", job.trial());
  std::string levels;
  for (const auto& l : job.train().model().levels()) {
    levels += fmt::format("{}{}:{}", levels.empty() ? "" : ",", l.features(), l.k());
  }
  return "train " + levels;
}

// The name of what it is made from or belongs to.
std::string From(const v1::Job& job) {
  if (job.has_analyse()) return job.analyse().model();
  return job.sweep().empty() ? job.train().recording() : job.sweep();
}

std::string Describe(const v1::JobProgress& p) {
  if (p.stage() != "training") return p.stage();
  std::string text = fmt::format("step {}/{}  loss {:.5f}  L0 {:.1f}  dead {:.0f} %  {:.0f} win/s",
                                 p.step(), p.total_steps(), p.reconstruction_loss(), p.l0(),
                                 100 * p.dead_fraction(), p.windows_per_second());
  if (p.has_seconds_left()) text += "  " + Seconds(p.seconds_left()) + " left";
  return text;
}

// Where nobody can miss them: last, each on its own.
void PrintWarnings(const v1::Job& job) {
  for (const auto* warnings : {&job.train().warnings(), &job.warnings()}) {
    for (const auto& warning : *warnings) {
      fmt::print("\n{}\n", Wrapped("WARNING: " + warning, TerminalWidth(), 2));
    }
  }
}

void Print(const v1::Job& job) {
  fmt::print(
      "{}\n  name       {}\n  what       {}\n  state      {}\n  threads    {}\n  attempt    "
      "{}\n  created    {}\n",
      job.name(), job.display_name(), What(job) + ", " + From(job), StateName(job.state()),
      job.threads(), job.attempt(), Utc(job.create_time()));
  for (const auto& choice : job.train().choices()) fmt::print("  chosen     {}\n", choice);
  if (!job.owner().empty()) fmt::print("  owner      {}\n", job.owner());
  if (job.priority() != v1::JOB_PRIORITY_NORMAL) {
    fmt::print("  priority   {}\n", v1::JobPriority_Name(job.priority()).substr(13));
  }
  fmt::print("  memory     about {} MB\n", job.memory_bytes() >> 20);
  if (!job.wait_reason().empty()) fmt::print("  waits      {}\n", job.wait_reason());
  if (job.has_estimated_start_time()) {
    fmt::print("  starts     about {}\n", Utc(job.estimated_start_time()));
  }
  for (const std::string& other : job.dependencies()) fmt::print("  after      {}\n", other);
  if (job.failures() > 0) fmt::print("  failed     {} times, of what may pass\n", job.failures());
  if (job.has_start_time()) {
    fmt::print("  started    {}{}\n", Utc(job.start_time()),
               job.attempt() > 1 ? " (the first attempt)" : "");
  }
  if (job.has_end_time()) fmt::print("  ended      {}\n", Utc(job.end_time()));
  if (job.has_error()) fmt::print("  error      {}\n", job.error().message());
  if (!job.model().empty()) fmt::print("  model      {}\n", job.model());
  if (!job.dictionary().empty()) fmt::print("  dictionary {}\n", job.dictionary());
  PrintWarnings(job);
}

absl::Status List(Session& session, const JobFlags& flags) {
  v1::ListJobsRequest request;
  SAED_ASSIGN_OR_RETURN(const std::string filter, FilterOf(session, flags));
  request.set_filter(filter);
  request.set_show_trials(flags.trials);
  SAED_ASSIGN_OR_RETURN(
      const auto all,
      AllPages<v1::ListJobsResponse>(request, [&](auto* context, const auto& r, auto* out) {
        return session.client->jobs().ListJobs(context, r, out);
      }));
  if (session.json) {
    fmt::print("{}", Json(all));
    return absl::OkStatus();
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& j : all.jobs()) {
    rows.push_back({j.name(), StateName(j.state()), j.owner(), j.display_name(), What(j),
                    Utc(j.create_time()), From(j),
                    j.wait_reason().empty() ? j.error().message() : j.wait_reason()});
  }
  fmt::print("{}",
             Listing("jobs", !filter.empty(),
                     {"JOB", "STATE", "OWNER", "NAME", "WHAT", "CREATED", "FROM", "WHY"}, rows));
  if (all.trials_left_out() > 0) {
    fmt::print("{} trials of sweeps are left out; --trials lists them, too\n",
               all.trials_left_out());
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::Job> Get(Session& session, const std::string& name) {
  grpc::ClientContext context;
  v1::GetJobRequest request;
  request.set_name(FullName("jobs", name));
  v1::GetJobResponse response;
  SAED_RETURN_IF_ERROR(
      client::FromGrpc(session.client->jobs().GetJob(&context, request, &response)));
  return response.job();
}

// Cancels, pauses, resumes or retries, and says what the job is then; `stops`: a running one ends
// or waits soon.
template <class Request, class Response, class Call>
absl::Status Change(Session& session, const std::string& name, bool stops, const Call& call) {
  grpc::ClientContext context;
  Request request;
  request.set_name(FullName("jobs", name));
  Response response;
  SAED_RETURN_IF_ERROR(client::FromGrpc(call(&context, request, &response)));
  if (session.json) {
    fmt::print("{}", Json(response.job()));
  } else {
    const bool running = response.job().state() == v1::Job::STATE_RUNNING;
    fmt::print("{} is {}{}\n", response.job().name(), StateName(response.job().state()),
               stops && running ? " and will stop within about a second" : "");
  }
  return absl::OkStatus();
}

}  // namespace

namespace {

// By what the dictionary is scored. The job has succeeded, whatever this comes to.
void PrintScored(Session& session, const std::string& dictionary) {
  const auto lines = ScoredBy(session, dictionary);
  if (!lines.ok()) return;
  fmt::print("\n");
  for (const std::string& line : *lines) fmt::print("{}\n", Wrapped(line, TerminalWidth(), 2));
}

void Show(const v1::WatchJobResponse& event, ProgressLine& line) {
  if (!event.has_job()) {
    line.Show(event.progress().stage_fraction(), Describe(event.progress()));
    return;
  }
  const v1::Job& job = event.job();
  if (job.state() == v1::Job::STATE_QUEUED || job.state() == v1::Job::STATE_PAUSED) {
    line.Show(0, job.wait_reason().empty() ? "queued" : "queued: " + job.wait_reason());
  }
}

}  // namespace

absl::Status WatchJob(Session& session, const std::string& name) {
  v1::Job last;
  {
    ProgressLine line;
    v1::WatchJobRequest request;
    request.set_name(FullName("jobs", name));
    request.set_after_sequence(-1);  // one line shows what is now
    bool heard = false;
    const GoesOn goes_on(request.name());
    SAED_RETURN_IF_ERROR(Follow(line, heard, [&] {
      grpc::ClientContext context;
      const auto stream = session.client->jobs().WatchJob(&context, request);
      v1::WatchJobResponse event;
      for (heard = false; stream->Read(&event); heard = true) {
        if (event.has_job()) last = event.job();
        Show(event, line);
      }
      return stream->Finish();
    }));
  }
  if (last.state() != v1::Job::STATE_SUCCEEDED) {
    return absl::AbortedError(fmt::format("{} {}{}{}", last.name(), StateName(last.state()),
                                          last.error().message().empty() ? "" : ": ",
                                          last.error().message()));
  }
  if (session.json) {
    fmt::print("{}", Json(last));
  } else {
    fmt::print("{0}\n{1}\n\nNext: saectl features list {1}\n      saectl conditions list {1}\n",
               last.model(), last.dictionary());
    PrintScored(session, last.dictionary());
    PrintWarnings(last);
  }
  return absl::OkStatus();
}

namespace {

absl::Status Rename(Session& session, const std::string& name, const std::string& display_name) {
  grpc::ClientContext context;
  v1::UpdateJobRequest request;
  request.set_name(FullName("jobs", name));
  request.set_display_name(display_name);
  request.mutable_update_mask()->add_paths("display_name");
  v1::UpdateJobResponse response;
  SAED_RETURN_IF_ERROR(
      client::FromGrpc(session.client->jobs().UpdateJob(&context, request, &response)));
  if (session.json) {
    fmt::print("{}", Json(response.job()));
  } else {
    fmt::print("{} is called '{}'\n", response.job().name(), response.job().display_name());
  }
  return absl::OkStatus();
}

}  // namespace

void AddJobCommands(CLI::App& app, Session& session) {
  auto* group = app.add_subcommand("jobs", "The queue: list, show, watch, cancel, retry, rename");
  group->require_subcommand(1);
  auto* list = group->add_subcommand("list", "Jobs, newest first, without trials of sweeps");
  auto flags = std::make_shared<JobFlags>();
  AddJobFlags(*list, *flags);
  Run(list, session, [&session, flags] { return List(session, *flags); });

  const auto named = [&](const char* command, const char* help, auto fn) {
    auto* sub = group->add_subcommand(command, help);
    auto name = std::make_shared<std::string>();
    sub->add_option("job", *name, "Its name or id")->required();
    Run(sub, session, [&session, name, fn] { return fn(session, *name); });
  };
  named("show", "One job", [](Session& s, const std::string& name) -> absl::Status {
    SAED_ASSIGN_OR_RETURN(const v1::Job job, Get(s, name));
    if (s.json) {
      fmt::print("{}", Json(job));
    } else {
      Print(job);
    }
    return absl::OkStatus();
  });
  auto* watch = group->add_subcommand(
      "watch", "Follow a job to its end or, without one, all jobs as they change");
  auto watched = std::make_shared<std::string>();
  auto watch_flags = std::make_shared<JobFlags>();
  watch->add_option("job", *watched, "Its name or id; none: all jobs, until Ctrl-C");
  AddJobFlags(*watch, *watch_flags);
  Run(watch, session, [&session, watched, watch_flags]() -> absl::Status {
    if (watched->empty()) return WatchJobs(session, *watch_flags);
    if (!watch_flags->any()) return WatchJob(session, *watched);
    return absl::InvalidArgumentError(
        fmt::format("flags choose among all jobs, and '{}' is one; give either", *watched));
  });
  auto* rename = group->add_subcommand("rename", "Give a job another name");
  auto renamed = std::make_shared<std::pair<std::string, std::string>>();
  rename->add_option("job", renamed->first, "Its name or id")->required();
  rename->add_option("name", renamed->second, "The new name")->required();
  Run(rename, session,
      [&session, renamed] { return Rename(session, renamed->first, renamed->second); });
  named("cancel", "Cancel a queued or running job",
        [](Session& s, const std::string& name) -> absl::Status {
          return Change<v1::CancelJobRequest, v1::CancelJobResponse>(
              s, name, true, [&](auto... a) { return s.client->jobs().CancelJob(a...); });
        });
  named("pause", "Let a job wait, with all it has done, until it is resumed",
        [](Session& s, const std::string& name) -> absl::Status {
          return Change<v1::PauseJobRequest, v1::PauseJobResponse>(
              s, name, true, [&](auto... a) { return s.client->jobs().PauseJob(a...); });
        });
  named("resume", "Let a paused job go on",
        [](Session& s, const std::string& name) -> absl::Status {
          return Change<v1::ResumeJobRequest, v1::ResumeJobResponse>(
              s, name, false, [&](auto... a) { return s.client->jobs().ResumeJob(a...); });
        });
  named("retry", "Start the next attempt now; begin a failed or cancelled job anew",
        [](Session& s, const std::string& name) -> absl::Status {
          return Change<v1::RetryJobRequest, v1::RetryJobResponse>(
              s, name, false, [&](auto... a) { return s.client->jobs().RetryJob(a...); });
        });
  named("delete", "Forget a finished job whose model is gone",
        [](Session& s, const std::string& name) -> absl::Status {
          v1::DeleteJobRequest request;
          request.set_name(FullName("jobs", name));
          return Erase<v1::DeleteJobResponse>(
              s, request, [&](auto... a) { return s.client->jobs().DeleteJob(a...); });
        });
}

}  // namespace saed::cli
