#include "server/rpc/server_service.h"

#include "server/rpc/convert.h"
#include "server/rpc/status.h"
#include "server/sae/kernels/dispatch.h"

namespace saed::rpc {

grpc::Status ServerService::GetServerStatus(grpc::ServerContext* server,
                                            const v1::GetServerStatusRequest* request,
                                            v1::GetServerStatusResponse* response) {
  const auto caller = context_.gate.Enter(*server, "ServerService.GetServerStatus", request);
  if (!caller.ok()) return ToGrpc(caller.status());
  response->set_version(SAED_VERSION);
  response->set_caller(caller->user);
  response->set_caller_role(std::string(RoleName(caller->role)));
  *response->mutable_start_time() = Timestamp(started_at_);
  response->set_threads(context_.scheduler.threads());
  for (const sae::KernelPath& path : sae::KernelPaths()) {
    auto* m = response->add_kernel_paths();
    m->set_name(path.name);
    m->set_available(path.available);
    m->set_reason(path.reason);
    m->set_in_use(path.name == sae::KernelPathName());
  }
  response->set_memory_bytes(context_.scheduler.LimitsFor(caller->user).memory);
  for (const jobs::UserReport& user : context_.scheduler.Users()) {
    // What others run may be private.
    if (!caller->viewer().all && user.user != caller->user) continue;
    auto* m = response->add_users();
    m->set_user(user.user);
    m->set_running_jobs(user.running);
    m->set_waiting_jobs(user.waiting);
    m->set_threads(user.threads);
    m->set_core_seconds(user.core_seconds);
    m->set_share(user.share);
  }
  for (const recordings::Guard& guard : context_.reader_guards) {
    auto* m = response->add_reader_guards();
    m->set_name(guard.name);
    m->set_active(guard.active);
    m->set_detail(guard.detail);
  }
  const auto queue = context_.stores.jobs.Statistics(caller->viewer());
  if (!queue.ok()) return ToGrpc(queue.status());
  for (const auto& c : queue->counts) {
    if (c.state == "QUEUED") response->set_queued_jobs(response->queued_jobs() + c.jobs);
    if (c.state == "PAUSED") response->set_paused_jobs(response->paused_jobs() + c.jobs);
    if (c.state == "RUNNING") response->set_running_jobs(response->running_jobs() + c.jobs);
  }
  return grpc::Status::OK;
}

}  // namespace saed::rpc
