#include "server/jobs/scheduler.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <system_error>

#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/jobs/no_throw.h"

namespace saed::jobs {
namespace {

constexpr int kRetries = 5;
constexpr double kFirstBackoff = 10;  // s; four times longer after every failure
constexpr double kSaveUsage = 60;     // s
constexpr double kFewSeconds = 10;    // of which parts matter

// Faults of the moment: a full disk, no memory, a busy database.
bool MayPass(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsResourceExhausted(status) ||
         absl::IsAborted(status);
}

}  // namespace

Scheduler::Scheduler(Stores stores, const Clock& clock, Observer& observer,
                     SchedulerOptions options)
    : stores_(stores),
      clock_(clock),
      observer_(observer),
      options_(std::move(options)),
      usage_(options_.policy.half_life) {
  if (options_.default_threads == 0) {
    options_.default_threads =
        std::min(options_.policy.threads, std::max(4, options_.policy.threads / 4));
  }
}

Scheduler::~Scheduler() { Stop(); }

absl::Status Scheduler::Start() {
  SAED_ASSIGN_OR_RETURN(const auto died, stores_.jobs.Recover(clock_.NowMicros()));
  for (const storage::AttemptEnd& end : died) {
    spdlog::info("the server died while it ran: job={} state={}", end.job, end.state);
    Tell(end);
  }
  SAED_RETURN_IF_ERROR(stores_.dictionaries.DiscardUnfinished().status());
  SAED_ASSIGN_OR_RETURN(const auto usage, stores_.jobs.Usage());
  SAED_ASSIGN_OR_RETURN(typical_core_seconds_, stores_.jobs.TypicalCoreSeconds());
  for (const storage::UsageRow& row : usage) {
    const double age = 1e-6 * static_cast<double>(clock_.NowMicros() - row.at);
    usage_.Charge(row.user, row.core_seconds, Now() - std::max(0.0, age));
  }
  usage_saved_ = Now();
  loop_ = std::thread([this] { Loop(); });
  Wake();
  return absl::OkStatus();
}

void Scheduler::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = work_ = true;
    for (auto& [id, running] : running_) Ask(*running, Stopping::kServer);
  }
  wake_.notify_all();
  if (loop_.joinable()) {
    loop_.join();
    SaveUsage();
  }
}

void Scheduler::Wake() {
  {
    const std::lock_guard lock(mutex_);
    work_ = true;
  }
  wake_.notify_all();
}

// Under the lock. A cancelled job stays cancelled, whatever else is asked of it later.
void Scheduler::Ask(Running& running, Stopping why) {
  if (running.why == Stopping::kNo || why == Stopping::kCancel || why == Stopping::kServer) {
    if (running.why != Stopping::kCancel) running.why = why;
  }
  running.stop = true;
}

absl::StatusOr<storage::JobRow> Scheduler::Cancel(const std::string& id) {
  auto row = stores_.jobs.RequestCancel(id, clock_.NowMicros());
  if (row.ok()) {
    {
      const std::lock_guard lock(mutex_);
      if (const auto it = running_.find(id); it != running_.end()) {
        Ask(*it->second, Stopping::kCancel);
      }
    }
    if (row->finished()) {
      observer_.JobFinished(row->kind, row->state);
      // It may have been paused with a checkpoint, which nothing names any more.
      if (!row->checkpoint.empty()) stores_.objects.Remove(row->checkpoint);
    }
    Wake();
  }
  bell_.Ring();
  return row;
}

absl::StatusOr<storage::JobRow> Scheduler::Pause(const std::string& id) {
  SAED_ASSIGN_OR_RETURN(storage::JobRow row, stores_.jobs.Pause(id, clock_.NowMicros()));
  {
    const std::lock_guard lock(mutex_);
    if (const auto it = running_.find(id); it != running_.end()) Ask(*it->second, Stopping::kPause);
  }
  bell_.Ring();
  Wake();
  return row;
}

absl::StatusOr<storage::JobRow> Scheduler::Resume(const std::string& id) {
  SAED_ASSIGN_OR_RETURN(storage::JobRow row, stores_.jobs.Resume(id, clock_.NowMicros()));
  Reconsider(id);
  return row;
}

absl::StatusOr<storage::JobRow> Scheduler::Retry(const std::string& id) {
  SAED_ASSIGN_OR_RETURN(const storage::JobRow known, stores_.jobs.Get(id));
  SAED_ASSIGN_OR_RETURN(
      storage::JobRow row,
      stores_.jobs.Retry(id, clock_.NowMicros(), LimitsFor(known.owner).user_unfinished));
  Reconsider(id);
  return row;
}

void Scheduler::Reconsider(const std::string& id) {
  {
    const std::lock_guard lock(mutex_);
    places_.erase(id);
  }
  bell_.Ring();
  Wake();
}

SubmitLimits Scheduler::LimitsFor(const std::string& user) const {
  const std::lock_guard lock(mutex_);
  const auto own = most_unfinished_.find(user);
  return {options_.policy.threads, options_.default_threads, options_.policy.memory,
          own == most_unfinished_.end() ? options_.user_unfinished : own->second};
}

void Scheduler::SetTerms(const std::string& user, const UserTerms& terms) {
  {
    const std::lock_guard lock(mutex_);
    usage_.SetShare(user, terms.share);
    const UserLimits& all = options_.policy.user;
    options_.policy.users[user] = {static_cast<int>(terms.threads.value_or(all.threads)),
                                   static_cast<int>(terms.running_jobs.value_or(all.jobs))};
    most_unfinished_[user] = terms.unfinished_jobs.value_or(options_.user_unfinished);
  }
  Wake();
}

UserTerms Scheduler::TermsOf(const std::string& user) const {
  const std::lock_guard lock(mutex_);
  const auto own = options_.policy.users.find(user);
  const UserLimits& limits =
      own == options_.policy.users.end() ? options_.policy.user : own->second;
  const auto unfinished = most_unfinished_.find(user);
  return {usage_.Share(user), limits.threads, limits.jobs,
          unfinished == most_unfinished_.end() ? options_.user_unfinished : unfinished->second};
}

void Scheduler::Left(const std::string& user, const std::string& heir) {
  {
    const std::lock_guard lock(mutex_);
    for (auto& [left, now] : heirs_) {
      if (now == user) now = heir;
    }
    heirs_[user] = heir;
    usage_.Forget(user);
    options_.policy.users.erase(user);
    most_unfinished_.erase(user);
  }
  Wake();
}

const std::string& Scheduler::OwnerOf(const Running& running) const {
  const auto left = heirs_.find(running.job.owner);
  return left == heirs_.end() ? running.job.owner : left->second;
}

void Scheduler::Loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    // The timeout picks up jobs whose time has come, and slices that have ended.
    wake_.wait_for(lock, std::chrono::seconds(5), [&] { return work_; });
    work_ = false;
    Charge(Now());
    Reap();
    if (stopping_) {
      if (running_.empty()) return;
      continue;
    }
    const bool save = Now() - usage_saved_ > kSaveUsage;
    lock.unlock();
    if (save) SaveUsage();
    if (const absl::Status s = NoThrow([&] { return StartWhatFits(); }); !s.ok()) {
      spdlog::error("cannot go on with the queue error=\"{}\"", std::string(s.message()));
    }
    lock.lock();
  }
}

void Scheduler::Reap() {
  for (auto it = running_.begin(); it != running_.end();) {
    if (!it->second->done) {
      ++it;
      continue;
    }
    it->second->thread.join();
    it = running_.erase(it);
  }
}

void Scheduler::Charge(double now) {
  for (auto& [id, r] : running_) {
    if (r->done) continue;
    const double core_seconds = (now - r->charged) * r->job.threads;
    usage_.Charge(OwnerOf(*r), core_seconds, now);
    observer_.Computed(OwnerOf(*r), core_seconds);
    r->charged = now;
    if (r->job.time_limit > 0 && r->job.run_seconds + now - r->started > r->job.time_limit) {
      Ask(*r, Stopping::kTimeLimit);
    }
  }
}

void Scheduler::SaveUsage() {
  std::vector<storage::UsageRow> rows;
  {
    const std::lock_guard lock(mutex_);
    usage_saved_ = Now();
    for (const std::string& user : usage_.Users()) {
      rows.push_back({user, usage_.Of(user, Now()), clock_.NowMicros()});
    }
  }
  if (const auto s = stores_.jobs.SaveUsage(rows); !s.ok()) {
    spdlog::warn("cannot store what users have computed error=\"{}\"", std::string(s.message()));
  }
}

std::string Scheduler::DependencyFault(const storage::JobRow& job, std::string& waits_for) {
  for (const std::string& id : job.dependencies) {
    const auto other = stores_.jobs.Get(id);
    if (absl::IsNotFound(other.status())) {
      return fmt::format("jobs/{}, which it depends on, was deleted", id);
    }
    if (!other.ok()) {
      waits_for =
          fmt::format("jobs/{} cannot be read: {}", id, std::string(other.status().message()));
    } else if (other->state == "FAILED" || other->state == "CANCELLED") {
      return fmt::format("jobs/{}, which it depends on, is {}", id, other->state);
    } else if (other->state != "SUCCEEDED") {
      waits_for = fmt::format("waits for jobs/{}, which is {}", id, other->shown_state());
    }
  }
  return "";
}

std::vector<WaitingJob> Scheduler::Eligible(const std::vector<storage::JobRow>& queue) {
  std::vector<WaitingJob> out;
  std::map<std::string, Place> places;
  std::map<std::string, int> waiting_of;
  const int64_t now = clock_.NowMicros();
  const auto seconds_ago = [&](int64_t at) { return Now() - 1e-6 * static_cast<double>(now - at); };
  for (const storage::JobRow& job : queue) {
    std::string waits_for;
    const std::string fault = DependencyFault(job, waits_for);
    if (!fault.empty()) {
      const auto code = static_cast<int>(absl::StatusCode::kFailedPrecondition);
      if (stores_.jobs.FailQueued(job.id, code, fault, now).ok()) {
        if (!job.checkpoint.empty()) stores_.objects.Remove(job.checkpoint);
        observer_.JobFinished(job.kind, "FAILED");
        bell_.Ring();
      }
      continue;
    }
    ++waiting_of[job.owner];
    if (job.held()) {
      places[job.id] = {"paused; saectl jobs resume lets it go on"};
    } else if (job.awaits_sweep()) {
      places[job.id] = {"paused until its sweep decides about it"};
    } else if (!waits_for.empty()) {
      places[job.id] = {waits_for};
    } else if (job.not_before > now) {
      places[job.id] = {
          fmt::format("attempt {} failed ({}); it is tried again in {} s, "
                      "or now with saectl jobs retry",
                      job.attempt, job.error_message, (job.not_before - now) / 1'000'000)};
    } else {
      out.push_back({job.id, job.owner, job.number, job.priority,
                     std::clamp(job.threads, 1, options_.policy.threads), job.memory,
                     seconds_ago(job.created_at), seconds_ago(job.queued_at)});
    }
  }
  const std::lock_guard lock(mutex_);
  places_ = std::move(places);
  waiting_of_ = std::move(waiting_of);
  return out;
}

absl::Status Scheduler::StartWhatFits() {
  PutBackStrays();
  const auto queue = stores_.jobs.Queue();
  SAED_RETURN_IF_ERROR(queue.status());
  const std::vector<WaitingJob> waiting = Eligible(*queue);
  Decision decision;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return absl::OkStatus();
    std::vector<RunningJob> running;
    for (const auto& [id, r] : running_) {
      running.push_back({id, OwnerOf(*r), r->job.priority, r->job.threads, r->job.memory,
                         r->started, r->why != Stopping::kNo || r->done});
    }
    decision = Decide(waiting, running, usage_, options_.policy, Now());
    for (size_t i = 0; i < decision.waiting.size(); ++i) {
      places_[decision.waiting[i].first] = {decision.waiting[i].second, static_cast<int64_t>(i)};
    }
    for (const std::string& id : decision.pause) {
      Ask(*running_.at(id), Stopping::kPause);
      spdlog::info("making room job={} for={}", id, decision.waiting[0].first);
      observer_.JobPaused();
    }
  }
  for (const std::string& id : decision.start) {
    const auto row = std::find_if(queue->begin(), queue->end(),
                                  [&](const storage::JobRow& job) { return job.id == id; });
    if (row != queue->end()) StartOne(*row);
  }
  return absl::OkStatus();
}

void Scheduler::StartOne(const storage::JobRow& waiting) {
  Running* r = nullptr;
  {
    // It is there before the store says so, for a cancel or a pause to find it.
    const std::lock_guard lock(mutex_);
    // The attempt before has told the store that it ended, and its thread has not: it wakes us.
    if (running_.contains(waiting.id)) return;
    auto running = std::make_unique<Running>();
    running->job = waiting;
    running->started = running->charged = Now();
    r = running.get();
    running_[waiting.id] = std::move(running);
    if (stopping_) Ask(*r, Stopping::kServer);
  }
  auto job = stores_.jobs.Start(waiting.id, clock_.NowMicros());
  const std::lock_guard lock(mutex_);
  // It may have been started all the same, where the disk failed in the middle: PutBackStrays.
  if (!job.ok() || !job->has_value()) {
    running_.erase(waiting.id);
    return;
  }
  r->job = **std::move(job);
  r->job.threads = std::clamp(r->job.threads, 1, options_.policy.threads);
  if (r->job.cancel_requested) Ask(*r, Stopping::kCancel);
  try {
    r->thread = std::thread([this, r] { Run(*r); });
  } catch (const std::system_error& e) {
    spdlog::error("cannot start a thread for job={} error=\"{}\"", waiting.id, e.what());
    running_.erase(waiting.id);
    return;
  }
  if (const auto waits = waiting_of_.find(r->job.owner); waits != waiting_of_.end()) {
    if (--waits->second == 0) waiting_of_.erase(waits);
  }
  places_.erase(waiting.id);
  usage_.Started(OwnerOf(*r), r->started);
  observer_.JobStarted(1e-6 * static_cast<double>(clock_.NowMicros() - r->job.queued_at));
}

void Scheduler::PutBackStrays() {
  const auto attempts = stores_.jobs.Running();
  if (!attempts.ok()) return;  // looked at again soon
  for (const storage::Attempt& attempt : *attempts) {
    {
      // Only this thread starts jobs, so what is not here never will be.
      const std::lock_guard lock(mutex_);
      const auto it = running_.find(attempt.job);
      if (it != running_.end() && it->second->job.attempt == attempt.number) continue;
    }
    const auto end = stores_.jobs.PutBack(attempt, {}, clock_.NowMicros());
    if (!end.ok()) continue;
    spdlog::warn("nothing ran it: job={} attempt={} state={}", attempt.job, attempt.number,
                 end->state);
    Tell(*end);
  }
}

void Scheduler::Run(Running& running) {
  const storage::JobRow& job = running.job;
  bell_.Ring();
  spdlog::info("job started job={} kind={} owner={} threads={} attempt={}", job.id, job.kind,
               job.owner, job.threads, job.attempt);
  const RunContext context{stores_,
                           clock_,
                           observer_,
                           bell_,
                           running.stop,
                           running.seconds_left,
                           options_.checkpoint_seconds,
                           options_.code_version};
  const absl::StatusOr<Outcome> outcome = RunJob(context, job);
  const double seconds = Now() - running.started;
  // Where the end cannot be recorded (a full disk), it is tried until it can. A server that stops
  // leaves the row RUNNING; its next start goes on with the job.
  const auto conclude = [&] { return Conclude(running, outcome, seconds); };
  for (absl::Status done = NoThrow(conclude); !done.ok(); done = NoThrow(conclude)) {
    spdlog::error("cannot record the end of job={} error=\"{}\"", job.id,
                  std::string(done.message()));
    if (storage::IsGivenUp(done)) break;  // nothing to record: it is another attempt's now
    std::unique_lock lock(mutex_);
    if (wake_.wait_for(lock, std::chrono::seconds(2), [&] { return stopping_; })) break;
  }
  {
    const std::lock_guard lock(mutex_);
    running.done = true;
    work_ = true;
  }
  bell_.Ring();
  wake_.notify_all();
}

void Scheduler::Tell(const storage::AttemptEnd& end) {
  if (!end.checkpoint.empty()) stores_.objects.Remove(end.checkpoint);
  if (end.state != "QUEUED") observer_.JobFinished(end.kind, end.state);
}

absl::Status Scheduler::Finish(const storage::JobRow& job, const char* state,
                               const absl::Status& status, double seconds) {
  const std::string message(status.message());
  SAED_ASSIGN_OR_RETURN(const storage::AttemptEnd end,
                        stores_.jobs.Finish(AttemptOf(job), state, static_cast<int>(status.code()),
                                            message, seconds, clock_.NowMicros()));
  spdlog::info("job ended job={} state={} error=\"{}\"", job.id, end.state, message);
  Tell(end);
  return absl::OkStatus();
}

absl::Status Scheduler::PutBack(const storage::JobRow& job, const storage::Requeue& why) {
  SAED_ASSIGN_OR_RETURN(const storage::AttemptEnd end,
                        stores_.jobs.PutBack(AttemptOf(job), why, clock_.NowMicros()));
  Tell(end);
  return absl::OkStatus();
}

absl::Status Scheduler::Conclude(Running& running, const absl::StatusOr<Outcome>& outcome,
                                 double seconds) {
  const absl::Status& status = outcome.status();
  const storage::JobRow& job = running.job;
  Stopping why;
  {
    const std::lock_guard lock(mutex_);
    why = status.ok() ? Stopping::kNo : running.why;
    if (status.ok()) {
      const double took = (job.run_seconds + seconds) * job.threads;
      typical_core_seconds_ =
          typical_core_seconds_ ? 0.95 * *typical_core_seconds_ + 0.05 * took : took;
    }
  }
  // Whatever follows, the store makes CANCELLED of it where that was asked for.
  storage::Requeue back;
  back.run_seconds = seconds;
  if (outcome.ok() && *outcome == Outcome::kPaused) {
    back.awaits_sweep = true;
    return PutBack(job, back);
  }
  if (status.ok()) return Finish(job, "SUCCEEDED", absl::OkStatus(), seconds);
  if (why == Stopping::kCancel) return Finish(job, "CANCELLED", absl::OkStatus(), seconds);
  if (why == Stopping::kTimeLimit) {
    return Finish(
        job, "FAILED",
        absl::DeadlineExceededError(fmt::format(
            "ran for {:.{}f} s, longer than its time limit of {} s", job.run_seconds + seconds,
            job.run_seconds + seconds < kFewSeconds ? 2 : 0, NumberText(job.time_limit))),
        seconds);
  }
  if (why == Stopping::kServer || why == Stopping::kPause) return PutBack(job, back);
  if (!MayPass(status) || job.failures >= kRetries) return Finish(job, "FAILED", status, seconds);
  const double wait = kFirstBackoff * std::pow(4, job.failures);
  back.failed = true;
  back.not_before = clock_.NowMicros() + static_cast<int64_t>(wait * 1e6);
  back.error_message = std::string(status.message());
  SAED_RETURN_IF_ERROR(PutBack(job, back));
  spdlog::warn("job failed job={} error=\"{}\" trying again in seconds={}", job.id,
               back.error_message, wait);
  observer_.JobRetried();
  return absl::OkStatus();
}

std::optional<WaitReport> Scheduler::Waiting(const storage::JobRow& job) const {
  if (job.state != "QUEUED") return std::nullopt;
  const std::lock_guard lock(mutex_);
  const auto it = places_.find(job.id);
  if (it == places_.end()) {
    return WaitReport{"not looked at yet, or far behind in the queue", std::nullopt};
  }
  WaitReport out{it->second.reason, std::nullopt};
  if (it->second.before < 0 || (it->second.before > 0 && !typical_core_seconds_)) return out;
  double core_seconds = static_cast<double>(it->second.before) * typical_core_seconds_.value_or(0);
  for (const auto& [id, r] : running_) {
    const double left = r->seconds_left;
    if (left < 0 && !typical_core_seconds_) return out;
    core_seconds +=
        left >= 0 ? left * r->job.threads
                  : std::max(0.0, *typical_core_seconds_ - (Now() - r->started) * r->job.threads);
  }
  out.estimated_start =
      clock_.NowMicros() + static_cast<int64_t>(1e6 * core_seconds / options_.policy.threads);
  return out;
}

std::vector<UserReport> Scheduler::Users() const {
  const std::lock_guard lock(mutex_);
  std::map<std::string, UserReport> users;
  for (const std::string& user : usage_.Users()) users[user];
  for (const auto& [user, waiting] : waiting_of_) users[user].waiting = waiting;
  for (const auto& [id, r] : running_) {
    if (r->done) continue;
    users[OwnerOf(*r)].threads += r->job.threads;
    ++users[OwnerOf(*r)].running;
  }
  std::vector<UserReport> out;
  for (auto& [user, report] : users) {
    report.user = user;
    report.core_seconds = usage_.Of(user, Now());
    report.share = usage_.Share(user);
    out.push_back(report);
  }
  return out;
}

}  // namespace saed::jobs
