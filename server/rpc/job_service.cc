// JobService: work that was asked for.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/str_replace.h"
#include "saed/v1/jobs.pb.h"
#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/inference/interchange.h"
#include "server/inference/model_record.h"
#include "server/jobs/submit.h"
#include "server/rpc/check_cost.h"
#include "server/rpc/convert.h"
#include "server/rpc/describe_job.h"
#include "server/rpc/methods.h"
#include "server/rpc/names.h"
#include "server/rpc/watch_jobs.h"
#include "storage/request_keys.h"

namespace saed::rpc {
namespace {

// What is wrong with the model of a job that succeeded.
absl::Status AddWarnings(Context& context, v1::Job& job) {
  if (job.model().empty()) return absl::OkStatus();
  SAED_ASSIGN_OR_RETURN(const std::string id, IdOf(job.model(), "models", "model"));
  const auto model = context.stores.models.Get(id);
  if (absl::IsNotFound(model.status())) return absl::OkStatus();  // deleted
  SAED_RETURN_IF_ERROR(model.status());
  for (std::string& warning : inference::Warnings(*model)) job.add_warnings(std::move(warning));
  return absl::OkStatus();
}

void SetSpec(const jobs::TrainSpec& spec, v1::Job& job) { *job.mutable_train() = ToProto(spec); }
void SetSpec(const jobs::AnalyseSpec& spec, v1::Job& job) {
  *job.mutable_analyse() = ToProto(spec);
}

// What only is seen once it is wanted in another program.
void SayWhatIsNotExported(const jobs::TrainSpec& spec, v1::Job& job) {
  const std::string why = inference::WhyNotSaeLens(spec.fit.model, spec.target.has_value());
  if (!why.empty()) job.add_warnings("not for SAELens: " + why);
}
void SayWhatIsNotExported(const jobs::AnalyseSpec&, v1::Job&) {}

template <class Spec>
absl::Status CheckOrSubmit(Context& context, const Caller& caller, Spec spec,
                           const v1::CreateJobRequest& request, const jobs::QueueOptions& options,
                           v1::CreateJobResponse& response) {
  spec.name = request.display_name();
  const jobs::SubmitLimits limits = context.scheduler.LimitsFor(options.owner);
  SAED_ASSIGN_OR_RETURN(const auto memory,
                        context.gate.memory().Take(CheckCost(context.stores, spec)));
  if (request.validate_only()) {
    SAED_RETURN_IF_ERROR(jobs::Check(context.stores, options));
    SAED_RETURN_IF_ERROR(jobs::Check(context.stores, spec, limits).status());
    SetSpec(spec, *response.mutable_job());
    SayWhatIsNotExported(spec, *response.mutable_job());
    return absl::OkStatus();
  }
  const auto row = jobs::Submit(context.stores, context.clock, spec, options, limits);
  if (absl::IsAlreadyExists(row.status())) {
    SAED_ASSIGN_OR_RETURN(const auto known, context.stores.jobs.OfRequest(options.request_id));
    return known ? context.gate.TakenBy(caller, "jobs", known->id, row.status()) : row.status();
  }
  SAED_RETURN_IF_ERROR(row.status());
  context.scheduler.Wake();
  SAED_ASSIGN_OR_RETURN(*response.mutable_job(), DescribeJob(context, caller, *row));
  return absl::OkStatus();
}

absl::Status CreateJob(Context& context, const Caller& caller, const v1::CreateJobRequest& request,
                       v1::CreateJobResponse& response) {
  if (request.request_id().size() > 100) {
    return InvalidField("request_id", fmt::format("is {} bytes long; at most 100 are allowed",
                                                  request.request_id().size()));
  }
  jobs::QueueOptions options;
  options.request_id = storage::UserRequest(caller.user, request.request_id());
  SAED_ASSIGN_OR_RETURN(options.priority, FromProto(request.priority()));
  if (options.priority >= jobs::kUrgent && caller.role != Role::kAdmin) {
    return InvalidField("priority",
                        "is urgent, which pauses other people's jobs; only "
                        "administrators may, use high");
  }
  options.owner = caller.user;
  // A job stores a model or a dictionary.
  SAED_RETURN_IF_ERROR(context.gate.Room(caller, 0));
  options.time_limit = request.time_limit_seconds();
  for (const std::string& name : request.dependencies()) {
    SAED_ASSIGN_OR_RETURN(options.dependencies.emplace_back(), IdOf(name, "jobs", "dependencies"));
  }
  if (request.has_train()) {
    SAED_ASSIGN_OR_RETURN(jobs::TrainSpec spec, FromProto(request.train()));
    return CheckOrSubmit(context, caller, std::move(spec), request, options, response);
  }
  if (request.has_analyse()) {
    SAED_ASSIGN_OR_RETURN(jobs::AnalyseSpec spec, FromProto(request.analyse()));
    return CheckOrSubmit(context, caller, std::move(spec), request, options, response);
  }
  return InvalidField("spec", "is not set; must be train or analyse");
}

// Finds the job by its name, lets `change` do something to it and answers with what it is then.
template <class Request, class Response, class Change>
absl::Status With(Context& context, const Caller& caller, const Request& request,
                  Response& response, Change change) {
  SAED_ASSIGN_OR_RETURN(const std::string id, IdOf(request.name(), "jobs", "name"));
  absl::StatusOr<storage::JobRow> row = change(id);
  SAED_RETURN_IF_ERROR(row.status());
  SAED_ASSIGN_OR_RETURN(*response.mutable_job(), DescribeJob(context, caller, *row));
  return AddWarnings(context, *response.mutable_job());
}

// Its owner may end a job also where they may read it no more, as what it is made from was hidden:
// then the answer is its name and state alone.
absl::Status CancelJob(Context& context, const Caller& caller, const v1::CancelJobRequest& request,
                       v1::CancelJobResponse& response) {
  SAED_RETURN_IF_ERROR(With(context, caller, request, response,
                            [&](const std::string& id) { return context.scheduler.Cancel(id); }));
  SAED_ASSIGN_OR_RETURN(const std::string id, IdOf(request.name(), "jobs", "name"));
  const auto owner = context.gate.access().OwnerOf("jobs", id, caller.viewer());
  if (!absl::IsNotFound(owner.status())) return owner.status();
  v1::Job ended;
  ended.set_name(response.job().name());
  ended.set_state(response.job().state());
  *response.mutable_job() = std::move(ended);
  return absl::OkStatus();
}

absl::Status ListJobs(Context& context, const Caller& caller, const v1::ListJobsRequest& request,
                      v1::ListJobsResponse& response) {
  SAED_ASSIGN_OR_RETURN(const int size, PageSize(request.page_size()));
  SAED_ASSIGN_OR_RETURN(storage::JobQuery asked,
                        JobQueryOf(context, caller, request.filter(), request.show_trials()));
  if (request.state() != v1::Job::STATE_UNSPECIFIED) {
    if (!v1::Job::State_IsValid(request.state())) {
      return InvalidField("state", "has an unknown value");
    }
    asked.state = v1::Job::State_Name(request.state()).substr(6);  // without STATE_
  }
  const std::string query =
      fmt::format("jobs/{}/{}/{}", asked.state, request.show_trials(), request.filter());
  SAED_ASSIGN_OR_RETURN(const auto after, ParsePageToken(request.page_token(), query, 1));
  const int64_t before = after.empty() ? std::numeric_limits<int64_t>::max()
                                       : std::strtoll(after[0].c_str(), nullptr, 10);
  SAED_ASSIGN_OR_RETURN(const auto rows, context.stores.jobs.List(asked, size, before));
  for (const auto& row : rows) {
    SAED_ASSIGN_OR_RETURN(*response.add_jobs(), DescribeJob(context, caller, row));
  }
  if (static_cast<int>(rows.size()) == size) {
    response.set_next_page_token(MakePageToken(query, {std::to_string(rows.back().number)}));
  }
  if (after.empty()) {
    SAED_ASSIGN_OR_RETURN(const int64_t trials, context.stores.jobs.TrialsLeftOut(asked));
    response.set_trials_left_out(trials);
  }
  return absl::OkStatus();
}

absl::Status WatchJob(Context& context, const Caller& caller, grpc::ServerContext& server,
                      const v1::WatchJobRequest& request,
                      grpc::ServerWriter<v1::WatchJobResponse>& stream) {
  SAED_ASSIGN_OR_RETURN(const std::string id, IdOf(request.name(), "jobs", "name"));
  const int64_t after = request.after_sequence();
  if (after < -1) {
    return InvalidField("after_sequence",
                        fmt::format("is {}; must be -1 (the latest) or above", after));
  }
  constexpr int kBatch = 256;
  std::string last_state;
  int last_attempt = -1;
  int64_t sequence = after;
  if (after == -1) {
    SAED_ASSIGN_OR_RETURN(const int64_t last, context.stores.jobs.LastProgress(id));
    sequence = std::max<int64_t>(0, last - 1);
  }
  StallGuard::Stream moving(context.stalls, server);
  while (!server.IsCancelled()) {
    moving.Moved();
    if (context.draining) {
      return absl::UnavailableError("the server is stopping; watch again, nothing is lost");
    }
    // It may be somebody's private job by now, and the caller's token revoked.
    SAED_ASSIGN_OR_RETURN(const Caller now, context.gate.Identify(server));
    SAED_RETURN_IF_ERROR(context.gate.Resources(now, MethodOf(*request.descriptor()), request));
    const uint64_t rings = context.scheduler.bell().rings();
    // The row first: once it says that the job ended, every progress record is there.
    SAED_ASSIGN_OR_RETURN(const storage::JobRow row, context.stores.jobs.Get(id));
    SAED_ASSIGN_OR_RETURN(const auto progress,
                          context.stores.jobs.ReadProgress(id, sequence, kBatch));
    const bool caught_up = static_cast<int>(progress.size()) < kBatch;
    const auto send_job = [&]() -> absl::Status {
      v1::WatchJobResponse message;
      SAED_ASSIGN_OR_RETURN(*message.mutable_job(), DescribeJob(context, caller, row));
      SAED_RETURN_IF_ERROR(AddWarnings(context, *message.mutable_job()));
      stream.Write(message);
      last_state = row.shown_state();
      last_attempt = row.attempt;
      return absl::OkStatus();
    };
    const bool changed = row.shown_state() != last_state || row.attempt != last_attempt;
    if (changed && !row.finished()) SAED_RETURN_IF_ERROR(send_job());
    for (const auto& p : progress) {
      v1::WatchJobResponse message;
      *message.mutable_progress() = ToProto(p);
      if (!stream.Write(message)) return absl::CancelledError("the watcher went away");
      sequence = p.sequence;
    }
    if (!caught_up) continue;
    if (row.finished()) return send_job();
    context.scheduler.bell().Wait(rings, std::chrono::milliseconds(250));
  }
  return absl::CancelledError("the watcher went away");
}

absl::Status GetJob(Context& context, const Caller& caller, const v1::GetJobRequest& request,
                    v1::GetJobResponse& response) {
  return With(context, caller, request, response,
              [&](const std::string& id) { return context.stores.jobs.Get(id); });
}

absl::Status PauseJob(Context& context, const Caller& caller, const v1::PauseJobRequest& request,
                      v1::PauseJobResponse& response) {
  return With(context, caller, request, response,
              [&](const std::string& id) { return context.scheduler.Pause(id); });
}

absl::Status ResumeJob(Context& context, const Caller& caller, const v1::ResumeJobRequest& request,
                       v1::ResumeJobResponse& response) {
  return With(context, caller, request, response,
              [&](const std::string& id) { return context.scheduler.Resume(id); });
}

absl::Status RetryJob(Context& context, const Caller& caller, const v1::RetryJobRequest& request,
                      v1::RetryJobResponse& response) {
  SAED_RETURN_IF_ERROR(context.gate.Room(caller, 0));  // as of a new job
  return With(context, caller, request, response,
              [&](const std::string& id) { return context.scheduler.Retry(id); });
}

absl::Status UpdateJob(Context& context, const Caller& caller, const v1::UpdateJobRequest& request,
                       v1::UpdateJobResponse& response) {
  const auto rename = [&](const std::string& id) -> absl::StatusOr<storage::JobRow> {
    SAED_RETURN_IF_ERROR(CheckRename(request.update_mask(), request.display_name()));
    SAED_RETURN_IF_ERROR(context.stores.jobs.SetName(id, request.display_name()));
    context.scheduler.bell().Ring();
    return context.stores.jobs.Get(id);
  };
  return With(context, caller, request, response, rename);
}

absl::Status DeleteJob(Context& context, const Caller&, const v1::DeleteJobRequest& request,
                       v1::DeleteJobResponse&) {
  SAED_ASSIGN_OR_RETURN(const std::string id, IdOf(request.name(), "jobs", "name"));
  return context.stores.jobs.Delete(id);
}

}  // namespace

void AddJobMethods(Methods& methods) {
  methods.Add(CreateJob);
  methods.Add(GetJob);
  methods.Add(ListJobs);
  methods.Add(CancelJob);
  methods.Add(PauseJob);
  methods.Add(ResumeJob);
  methods.Add(RetryJob);
  methods.Add(WatchJob);
  methods.Add(WatchJobs);
  methods.Add(UpdateJob);
  methods.Add(DeleteJob);
}

}  // namespace saed::rpc
