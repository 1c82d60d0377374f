#include "server/rpc/job_service.h"

#include <fmt/format.h>

#include <limits>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/jobs/submit.h"
#include "server/rpc/convert.h"
#include "server/rpc/names.h"
#include "server/rpc/status.h"

namespace saed::rpc {
namespace {

template <class Spec>
absl::Status CheckOrSubmit(Context& context, const Spec& spec, const v1::CreateJobRequest& request,
                           v1::CreateJobResponse& response) {
  const int threads = context.scheduler.threads();
  if (request.validate_only()) return jobs::Check(context.stores, spec, threads);
  SAED_ASSIGN_OR_RETURN(const storage::JobRow row, jobs::Submit(context.stores, context.clock, spec,
                                                                request.request_id(), threads));
  context.scheduler.Wake();
  SAED_ASSIGN_OR_RETURN(*response.mutable_job(), ToProto(row));
  return absl::OkStatus();
}

absl::Status Create(Context& context, const v1::CreateJobRequest& request,
                    v1::CreateJobResponse& response) {
  if (request.request_id().size() > 100) {
    return InvalidField("request_id", fmt::format("is {} bytes long; at most 100 are allowed",
                                                  request.request_id().size()));
  }
  if (request.has_train()) {
    SAED_ASSIGN_OR_RETURN(jobs::TrainSpec spec, FromProto(request.train()));
    spec.name = request.display_name();
    return CheckOrSubmit(context, spec, request, response);
  }
  if (request.has_analyse()) {
    SAED_ASSIGN_OR_RETURN(jobs::AnalyseSpec spec, FromProto(request.analyse()));
    spec.name = request.display_name();
    return CheckOrSubmit(context, spec, request, response);
  }
  return InvalidField("spec", "is not set; must be train or analyse");
}

absl::Status List(Context& context, const v1::ListJobsRequest& request,
                  v1::ListJobsResponse& response) {
  SAED_ASSIGN_OR_RETURN(const int size, PageSize(request.page_size()));
  std::string state;
  if (request.state() != v1::Job::STATE_UNSPECIFIED) {
    if (!v1::Job::State_IsValid(request.state())) {
      return InvalidField("state", "has an unknown value");
    }
    state = v1::Job::State_Name(request.state()).substr(6);  // without STATE_
  }
  const std::string query = "jobs/" + state;
  SAED_ASSIGN_OR_RETURN(const auto after, ParsePageToken(request.page_token(), query, 1));
  const int64_t before = after.empty() ? std::numeric_limits<int64_t>::max()
                                       : std::strtoll(after[0].c_str(), nullptr, 10);
  SAED_ASSIGN_OR_RETURN(const auto rows, context.stores.jobs.List(state, size, before));
  for (const auto& row : rows) {
    SAED_ASSIGN_OR_RETURN(*response.add_jobs(), ToProto(row));
  }
  if (static_cast<int>(rows.size()) == size) {
    response.set_next_page_token(MakePageToken(query, {std::to_string(rows.back().number)}));
  }
  return absl::OkStatus();
}

absl::Status Watch(Context& context, const std::string& id, grpc::ServerContext& server,
                   grpc::ServerWriter<v1::WatchJobResponse>& stream) {
  constexpr int kBatch = 256;
  std::string last_state;
  int last_attempt = -1;
  int64_t sequence = 0;
  while (!server.IsCancelled()) {
    if (context.draining) {
      return absl::UnavailableError("the server is stopping; watch again, nothing is lost");
    }
    const uint64_t rings = context.scheduler.bell().rings();
    // The row first: once it says that the job ended, every progress record is there.
    SAED_ASSIGN_OR_RETURN(const storage::JobRow row, context.stores.jobs.Get(id));
    SAED_ASSIGN_OR_RETURN(const auto progress,
                          context.stores.jobs.ReadProgress(id, sequence, kBatch));
    const bool caught_up = static_cast<int>(progress.size()) < kBatch;
    const auto send_job = [&]() -> absl::Status {
      v1::WatchJobResponse message;
      SAED_ASSIGN_OR_RETURN(*message.mutable_job(), ToProto(row));
      stream.Write(message);
      last_state = row.state;
      last_attempt = row.attempt;
      return absl::OkStatus();
    };
    const bool changed = row.state != last_state || row.attempt != last_attempt;
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

}  // namespace

grpc::Status JobService::CreateJob(grpc::ServerContext*, const v1::CreateJobRequest* request,
                                   v1::CreateJobResponse* response) {
  return ToGrpc(Create(context_, *request, *response));
}

grpc::Status JobService::GetJob(grpc::ServerContext*, const v1::GetJobRequest* request,
                                v1::GetJobResponse* response) {
  const auto id = IdOf(request->name(), "jobs", "name");
  if (!id.ok()) return ToGrpc(id.status());
  const auto row = context_.stores.jobs.Get(*id);
  if (!row.ok()) return ToGrpc(row.status());
  auto job = ToProto(*row);
  if (!job.ok()) return ToGrpc(job.status());
  *response->mutable_job() = *std::move(job);
  return grpc::Status::OK;
}

grpc::Status JobService::ListJobs(grpc::ServerContext*, const v1::ListJobsRequest* request,
                                  v1::ListJobsResponse* response) {
  return ToGrpc(List(context_, *request, *response));
}

grpc::Status JobService::CancelJob(grpc::ServerContext*, const v1::CancelJobRequest* request,
                                   v1::CancelJobResponse* response) {
  const auto id = IdOf(request->name(), "jobs", "name");
  if (!id.ok()) return ToGrpc(id.status());
  const auto row = context_.scheduler.Cancel(*id);
  if (!row.ok()) return ToGrpc(row.status());
  auto job = ToProto(*row);
  if (!job.ok()) return ToGrpc(job.status());
  *response->mutable_job() = *std::move(job);
  return grpc::Status::OK;
}

grpc::Status JobService::WatchJob(grpc::ServerContext* server, const v1::WatchJobRequest* request,
                                  grpc::ServerWriter<v1::WatchJobResponse>* stream) {
  const auto id = IdOf(request->name(), "jobs", "name");
  if (!id.ok()) return ToGrpc(id.status());
  return ToGrpc(Watch(context_, *id, *server, *stream));
}

grpc::Status JobService::DeleteJob(grpc::ServerContext*, const v1::DeleteJobRequest* request,
                                   v1::DeleteJobResponse*) {
  const auto id = IdOf(request->name(), "jobs", "name");
  if (!id.ok()) return ToGrpc(id.status());
  return ToGrpc(context_.stores.jobs.Delete(*id));
}

}  // namespace saed::rpc
