// saectl jobs watch without a job: all of them, a line for each change.
#include <fmt/format.h>

#include <map>

#include "client/cli/connection.h"
#include "client/cli/job_flags.h"
#include "client/cli/output.h"
#include "server/base/status_macros.h"

namespace saed::cli {
namespace {

class Watched {
 public:
  explicit Watched(ProgressLine& line) : line_(line) {}

  void Show(const v1::WatchJobsResponse& message) {
    for (const v1::Job& job : message.jobs()) {
      const bool ended = job.has_end_time();
      if (ended) {
        running_.erase(job.name());
        waiting_.erase(job.name());
      } else if (job.state() == v1::Job::STATE_RUNNING) {
        waiting_.erase(job.name());
        running_[job.name()];
      } else {
        running_.erase(job.name());
        waiting_[job.name()];
      }
      Line(job);
    }
    for (const std::string& name : message.gone()) {
      running_.erase(name);
      waiting_.erase(name);
      line_.End();
      fmt::print("{:<9}  {}\n", "gone", name);
    }
    for (const auto& p : message.progress()) {
      const auto at = running_.find(p.job());
      if (at != running_.end()) at->second = p.progress().stage_fraction();
    }
    std::fflush(stdout);
    if (message.current()) Sum(message.left_out());
  }

 private:
  void Line(const v1::Job& job) {
    line_.End();
    const std::string why = job.has_error() ? job.error().message() : job.wait_reason();
    std::string text = fmt::format("{:<9}  {}", StateName(job.state()), job.name());
    for (const std::string& part : {job.owner(), job.display_name(), why}) {
      if (!part.empty()) text += "  " + part;
    }
    fmt::print("{}\n", Wrapped(text, TerminalWidth(), kIndent));
  }

  void Sum(int64_t left_out) {
    double done = 0;
    for (const auto& [name, fraction] : running_) done += fraction;
    line_.Show(running_.empty() ? 0 : done / static_cast<double>(running_.size()),
               fmt::format("{} running, {} waiting{}", running_.size(), waiting_.size(),
                           left_out > 0 ? fmt::format(", {} more", left_out) : ""));
  }

  static constexpr int kIndent = 11;
  ProgressLine& line_;
  std::map<std::string, double> running_, waiting_;  // how far the stage is
};

}  // namespace

absl::Status WatchJobs(Session& session, const JobFlags& flags) {
  v1::WatchJobsRequest request;
  SAED_ASSIGN_OR_RETURN(const std::string filter, FilterOf(session, flags));
  request.set_filter(filter);
  request.set_show_trials(flags.trials);
  if (!session.json) {
    fmt::print(stderr,
               "all jobs as they change, until Ctrl-C; saectl jobs watch JOB follows one to its "
               "end\n");
  }
  ProgressLine line;
  bool heard = false;
  return Follow(line, heard, [&] {
    Watched watched(line);  // anew: a server that was gone tells all again
    grpc::ClientContext context;
    const auto stream = session.client->jobs().WatchJobs(&context, request);
    v1::WatchJobsResponse message;
    for (heard = false; stream->Read(&message); heard = true) {
      if (session.json) {
        fmt::print("{}", Json(message));
        std::fflush(stdout);
      } else {
        watched.Show(message);
      }
    }
    return stream->Finish();
  });
}

}  // namespace saed::cli
