#include "server/jobs/scheduler.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>

#include "server/base/status_macros.h"

namespace saed::jobs {

Scheduler::Scheduler(Stores stores, const Clock& clock, Observer& observer,
                     SchedulerOptions options)
    : stores_(stores),
      clock_(clock),
      observer_(observer),
      options_(std::move(options)),
      free_threads_(options_.threads) {}

Scheduler::~Scheduler() { Stop(); }

absl::Status Scheduler::Start() {
  SAED_ASSIGN_OR_RETURN(const int64_t requeued, stores_.jobs.RequeueRunning());
  if (requeued > 0) spdlog::info("resuming jobs={} from their last checkpoints", requeued);
  loop_ = std::thread([this] { Loop(); });
  Wake();
  return absl::OkStatus();
}

void Scheduler::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = work_ = true;
    for (auto& [id, running] : running_) running->stop = true;
  }
  wake_.notify_all();
  if (loop_.joinable()) loop_.join();
}

void Scheduler::Wake() {
  {
    const std::lock_guard lock(mutex_);
    work_ = true;
  }
  wake_.notify_all();
}

absl::StatusOr<storage::JobRow> Scheduler::Cancel(const std::string& id) {
  auto row = stores_.jobs.RequestCancel(id, clock_.NowMicros());
  if (row.ok()) {
    const std::lock_guard lock(mutex_);
    if (const auto it = running_.find(id); it != running_.end()) it->second->stop = true;
    if (row->finished()) observer_.JobFinished(row->kind, row->state);
  }
  bell_.Ring();
  return row;
}

void Scheduler::Loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    // The timeout picks up a job whose start failed for a passing reason.
    wake_.wait_for(lock, std::chrono::seconds(5), [&] { return work_; });
    work_ = false;
    for (auto it = running_.begin(); it != running_.end();) {
      if (!it->second->done) {
        ++it;
        continue;
      }
      it->second->thread.join();
      free_threads_ += it->second->threads;
      it = running_.erase(it);
    }
    if (stopping_) {
      if (running_.empty()) return;
      continue;
    }
    lock.unlock();
    StartWhatFits();
    lock.lock();
  }
}

void Scheduler::StartWhatFits() {
  const auto queue = stores_.jobs.Queue(16);
  if (!queue.ok()) {
    spdlog::error("cannot read the queue error=\"{}\"", std::string(queue.status().message()));
    return;
  }
  for (storage::JobRow job : *queue) {
    job.threads = std::clamp(job.threads, 1, options_.threads);
    {
      const std::lock_guard lock(mutex_);
      // In order: a job that does not fit holds back those behind it, so that none starves.
      if (stopping_ || job.threads > free_threads_) return;
    }
    const auto started = stores_.jobs.Start(job.id, clock_.NowMicros());
    if (!started.ok() || !*started) continue;
    // Under the lock, so that a cancel either shows in the row or finds the job in running_.
    const std::lock_guard lock(mutex_);
    auto current = stores_.jobs.Get(job.id);
    if (!current.ok()) continue;
    current->threads = job.threads;
    free_threads_ -= job.threads;
    auto running = std::make_unique<Running>();
    running->threads = job.threads;
    running->stop = stopping_ || current->cancel_requested;
    Running& r = *running;
    running_[job.id] = std::move(running);
    r.thread = std::thread([this, row = *std::move(current), &r] { Run(row, r); });
  }
}

void Scheduler::Run(storage::JobRow job, Running& running) {
  bell_.Ring();
  spdlog::info("job started job={} kind={} threads={} attempt={}", job.id, job.kind, job.threads,
               job.attempt);
  const RunContext context{stores_,
                           clock_,
                           observer_,
                           bell_,
                           running.stop,
                           options_.checkpoint_seconds,
                           options_.code_version};
  const absl::Status status = RunJob(context, job);
  Conclude(job, status, running.stop);
  {
    const std::lock_guard lock(mutex_);
    running.done = true;
    work_ = true;
  }
  bell_.Ring();
  wake_.notify_all();
}

void Scheduler::Conclude(const storage::JobRow& job, const absl::Status& status, bool stopped) {
  const auto now = stores_.jobs.Get(job.id);
  const bool cancelled = now.ok() && now->cancel_requested;
  if (!status.ok() && stopped && !cancelled) return;  // the next start goes on with it
  const char* state = status.ok() ? "SUCCEEDED" : cancelled ? "CANCELLED" : "FAILED";
  const auto code = status.ok() || cancelled ? 0 : static_cast<int>(status.code());
  const std::string message = code == 0 ? "" : std::string(status.message());
  const auto checkpoint = stores_.jobs.Finish(job.id, state, code, message, clock_.NowMicros());
  if (!checkpoint.ok()) {
    spdlog::error("cannot finish job={} error=\"{}\"", job.id,
                  std::string(checkpoint.status().message()));
    return;
  }
  if (!checkpoint->empty()) stores_.objects.Remove(*checkpoint);
  observer_.JobFinished(job.kind, state);
  spdlog::info("job ended job={} state={} error=\"{}\"", job.id, state, message);
}

}  // namespace saed::jobs
