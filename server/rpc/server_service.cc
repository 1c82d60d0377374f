// ServerService: how the server is.
#include "saed/v1/server.pb.h"
#include "server/base/status_macros.h"
#include "server/rpc/convert.h"
#include "server/rpc/methods.h"
#include "server/sae/kernels/dispatch.h"

namespace saed::rpc {
namespace {

absl::Status GetServerStatus(Context& context, const Caller& caller,
                             const v1::GetServerStatusRequest&,
                             v1::GetServerStatusResponse& response) {
  response.set_version(SAED_VERSION);
  response.set_caller(caller.user);
  response.set_caller_role(std::string(RoleName(caller.role)));
  *response.mutable_start_time() = Timestamp(context.started_at);
  response.set_threads(context.scheduler.threads());
  for (const sae::KernelPath& path : sae::KernelPaths()) {
    auto* m = response.add_kernel_paths();
    m->set_name(path.name);
    m->set_available(path.available);
    m->set_reason(path.reason);
    m->set_in_use(path.name == sae::KernelPathName());
  }
  response.set_memory_bytes(context.scheduler.LimitsFor(caller.user).memory);
  for (const jobs::UserReport& user : context.scheduler.Users()) {
    // What others run may be private.
    if (!caller.viewer().all && user.user != caller.user) continue;
    auto* m = response.add_users();
    m->set_user(user.user);
    m->set_running_jobs(user.running);
    m->set_waiting_jobs(user.waiting);
    m->set_threads(user.threads);
    m->set_core_seconds(user.core_seconds);
    m->set_share(user.share);
  }
  for (const recordings::Guard& guard : context.reader_guards) {
    auto* m = response.add_reader_guards();
    m->set_name(guard.name);
    m->set_active(guard.active);
    m->set_detail(guard.detail);
  }
  SAED_ASSIGN_OR_RETURN(const auto queue, context.stores.jobs.Statistics(caller.viewer()));
  for (const auto& c : queue.counts) {
    if (c.state == "QUEUED") response.set_queued_jobs(response.queued_jobs() + c.jobs);
    if (c.state == "PAUSED") response.set_paused_jobs(response.paused_jobs() + c.jobs);
    if (c.state == "RUNNING") response.set_running_jobs(response.running_jobs() + c.jobs);
  }
  return absl::OkStatus();
}

}  // namespace

void AddServerMethods(Methods& methods) { methods.Add(GetServerStatus); }

}  // namespace saed::rpc
