#include "server/rpc/watch_jobs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "server/base/status_macros.h"
#include "server/rpc/convert.h"
#include "server/rpc/describe_job.h"

namespace saed::rpc {
namespace {

constexpr int kMost = 500, kOfMessage = 50;

// What one watcher knows. Every look compares it with the store, so that nothing is kept for a
// client that reads slowly, and what it may not see any more is gone at the next look.
class Watcher {
 public:
  Watcher(Context& context, const v1::WatchJobsRequest& request,
          grpc::ServerWriter<v1::WatchJobsResponse>& stream)
      : context_(context), request_(request), stream_(stream) {}

  absl::Status Look(const Caller& caller) {
    SAED_ASSIGN_OR_RETURN(const storage::JobQuery query,
                          JobQueryOf(context_, caller, request_.filter(), request_.show_trials()));
    SAED_ASSIGN_OR_RETURN(const storage::LiveJobs live,
                          context_.stores.jobs.Live(query, kMost, ended_above_));
    ended_above_ = live.last_number;
    v1::WatchJobsResponse message;
    std::vector<std::string> changed;
    Compare(live.rows, changed);
    SAED_RETURN_IF_ERROR(Forget(caller, live.rows, changed, message));
    for (const std::string& id : changed) {
      if (message.jobs_size() == kOfMessage) SAED_RETURN_IF_ERROR(Send(message));
      SAED_ASSIGN_OR_RETURN(const auto row, context_.stores.jobs.Seen(id, caller.viewer()));
      if (!row) continue;  // gone since; the next look says so
      SAED_ASSIGN_OR_RETURN(*message.add_jobs(), DescribeJob(context_, caller, *row));
    }
    SAED_RETURN_IF_ERROR(AddProgress(live.rows, message));
    const int64_t left_out = live.matching - static_cast<int64_t>(live.rows.size());
    const bool news = message.jobs_size() + message.gone_size() + message.progress_size() > 0;
    if (!news && left_out == left_out_) return absl::OkStatus();
    left_out_ = left_out;
    message.set_current(true);
    return Send(message);
  }

 private:
  struct Known {
    std::string shown;
    int64_t sequence = 0;  // of the progress record sent last
  };

  // What of a job is worth a message, but numbers in what it waits for.
  std::string Shown(const storage::JobRow& row) const {
    std::string reason;
    if (const auto wait = context_.scheduler.Waiting(row)) reason = wait->reason;
    std::erase_if(reason, [](unsigned char c) { return std::isdigit(c) != 0; });
    return fmt::format("{} {} {} {}\n{}", row.shown_state(), row.attempt, row.cancel_requested,
                       row.name, reason);
  }

  void Compare(const std::vector<storage::JobRow>& rows, std::vector<std::string>& changed) {
    for (const storage::JobRow& row : rows) {
      std::string shown = Shown(row);
      Known& known = known_[row.id];
      if (known.shown != shown) changed.push_back(row.id);
      known.shown = std::move(shown);
      if (row.finished()) known_.erase(row.id);
    }
  }

  // What is known and not among the rows has ended, which is sent, or is to be forgotten.
  absl::Status Forget(const Caller& caller, const std::vector<storage::JobRow>& rows,
                      std::vector<std::string>& changed, v1::WatchJobsResponse& message) {
    std::set<std::string> there;
    for (const storage::JobRow& row : rows) there.insert(row.id);
    for (auto it = known_.begin(); it != known_.end();) {
      if (there.contains(it->first)) {
        ++it;
        continue;
      }
      SAED_ASSIGN_OR_RETURN(const auto row, context_.stores.jobs.Seen(it->first, caller.viewer()));
      if (row && row->finished()) {
        changed.push_back(it->first);
      } else {
        message.add_gone("jobs/" + it->first);
      }
      it = known_.erase(it);
    }
    return absl::OkStatus();
  }

  absl::Status AddProgress(const std::vector<storage::JobRow>& rows,
                           v1::WatchJobsResponse& message) {
    for (const storage::JobRow& row : rows) {
      if (row.state != "RUNNING") continue;
      SAED_ASSIGN_OR_RETURN(const auto latest, context_.stores.jobs.LatestProgress(row.id));
      Known& known = known_[row.id];
      if (!latest || latest->sequence <= known.sequence) continue;
      known.sequence = latest->sequence;
      auto* progress = message.add_progress();
      progress->set_job("jobs/" + row.id);
      *progress->mutable_progress() = ToProto(*latest);
    }
    return absl::OkStatus();
  }

  absl::Status Send(v1::WatchJobsResponse& message) {
    message.set_left_out(std::max<int64_t>(0, left_out_));
    if (!stream_.Write(message)) return absl::CancelledError("the watcher went away");
    message.Clear();
    return absl::OkStatus();
  }

  Context& context_;
  const v1::WatchJobsRequest& request_;
  grpc::ServerWriter<v1::WatchJobsResponse>& stream_;
  std::map<std::string, Known> known_;  // jobs that have not ended, by id
  int64_t left_out_ = -1;               // nothing was sent yet
  int64_t ended_above_ = std::numeric_limits<int64_t>::max();
};

}  // namespace

absl::Status WatchJobs(Context& context, const Caller&, grpc::ServerContext& server,
                       const v1::WatchJobsRequest& request,
                       grpc::ServerWriter<v1::WatchJobsResponse>& stream) {
  Watcher watcher(context, request, stream);
  StallGuard::Stream moving(context.stalls, server);
  while (!server.IsCancelled()) {
    moving.Moved();
    if (context.draining) {
      return absl::UnavailableError("the server is stopping; watch again, nothing is lost");
    }
    const uint64_t rings = context.scheduler.bell().rings();
    // The caller's token may be revoked by now, and what they may see another.
    SAED_ASSIGN_OR_RETURN(const Caller now, context.gate.Identify(server));
    SAED_RETURN_IF_ERROR(watcher.Look(now));
    context.scheduler.bell().Wait(rings, std::chrono::milliseconds(1000));
    std::this_thread::sleep_for(std::chrono::milliseconds(200));  // progress rings often
  }
  return absl::CancelledError("the watcher went away");
}

}  // namespace saed::rpc
