#include "server/jobs/policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

namespace saed::jobs {

void Usage::Charge(const std::string& user, double core_seconds, double now) {
  Sum& sum = used_[user];
  sum = {Of(user, now) + core_seconds, std::max(now, sum.at)};
}

double Usage::Of(const std::string& user, double now) const {
  const auto it = used_.find(user);
  if (it == used_.end()) return 0;
  return it->second.core_seconds * std::exp2(-std::max(0.0, now - it->second.at) / half_life_);
}

double Usage::Share(const std::string& user) const {
  const auto it = share_.find(user);
  return it == share_.end() ? 1 : it->second;
}

double Usage::LastStart(const std::string& user) const {
  const auto it = last_start_.find(user);
  return it == last_start_.end() ? -1e18 : it->second;
}

std::vector<std::string> Usage::Users() const {
  std::vector<std::string> out;
  for (const auto& [user, sum] : used_) out.push_back(user);
  return out;
}

void Usage::Forget(const std::string& user) {
  used_.erase(user);
  share_.erase(user);
  last_start_.erase(user);
}

namespace {

struct User {
  std::string name;
  std::vector<const WaitingJob*> heap;             // the next one at the front
  int threads = 0, jobs = 0;                       // running, those just started included
  double used = 0, share = 1, last_start = -1e18;  // as Usage says
};

struct Room {
  int threads = 0;
  int64_t memory = 0;
  void Add(const RunningJob& r) {
    threads += r.threads;
    memory += r.memory;
  }
  bool Has(const WaitingJob& job) const { return job.threads <= threads && job.memory <= memory; }
};

class Deciding {
 public:
  Deciding(const std::vector<WaitingJob>& waiting, const std::vector<RunningJob>& running,
           const Usage& usage, const PolicyOptions& options, double now)
      : running_(running), o_(options), now_(now) {
    threads_ = o_.threads;
    memory_ = o_.memory > 0 ? o_.memory : std::numeric_limits<int64_t>::max();
    for (const RunningJob& r : running) {
      threads_ -= r.threads;
      memory_ -= r.memory;
      if (r.stopping) coming_.Add(r);
      User& u = Of(r.owner);
      u.threads += r.threads;
      ++u.jobs;
    }
    User* user = nullptr;
    for (const WaitingJob& w : waiting) {
      if (user == nullptr || user->name != w.owner) user = &Of(w.owner);
      user->heap.push_back(&w);
    }
    for (auto& [name, u] : users_) {
      u.last_start = usage.LastStart(name);
      u.used = usage.Of(name, now);
      u.share = usage.Share(name);
      std::make_heap(u.heap.begin(), u.heap.end(), Behind());
    }
  }

  Decision Take() {
    while (User* user = Next()) {
      std::pop_heap(user->heap.begin(), user->heap.end(), Behind());
      const WaitingJob& job = *user->heap.back();
      user->heap.pop_back();
      const std::string limit = UserLimit(*user, job);
      if (!limit.empty()) {
        Wait(job, limit);
      } else if (!closed_ && Fits(job)) {
        threads_ -= job.threads;
        memory_ -= job.memory;
        user->threads += job.threads;
        ++user->jobs;
        user->last_start = now_;
        out_.start.push_back(job.id);
      } else {
        MakeRoom(*user, job);
      }
      if ((closed_ || threads_ <= 0) && blocked_ && out_.waiting.size() >= kExplained) break;
    }
    return std::move(out_);
  }

 private:
  // Whether a comes after b in their user's order: a heap's "less".
  struct BehindIn {
    double ageing;
    bool operator()(const WaitingJob* a, const WaitingJob* b) const {
      // Waiting adds to both alike as time goes by, so the order of two jobs never changes.
      const double x = Level(*a), y = Level(*b);
      return x != y ? x < y : a->number > b->number;
    }
    double Level(const WaitingJob& w) const {
      return w.priority >= kUrgent ? 1e18 - w.created_at : w.priority - w.created_at / ageing;
    }
  };
  BehindIn Behind() const { return {o_.ageing}; }

  User& Of(const std::string& name) {
    User& u = users_[name];
    u.name = name;
    return u;
  }

  // Core-seconds per share; the user with the least is next.
  double Had(const User& u) const { return (u.used + u.threads * o_.look_ahead) / u.share; }

  double PassedOver(const User& u) const {
    return now_ - std::max(u.heap.front()->queued_at, u.last_start);
  }

  User* Next() {
    User* best = nullptr;
    for (auto& [name, u] : users_) {
      if (!u.heap.empty() && (best == nullptr || Before(u, *best))) best = &u;
    }
    return best;
  }

  bool Before(const User& a, const User& b) const {
    const WaitingJob &x = *a.heap.front(), &y = *b.heap.front();
    const bool urgent_a = x.priority >= kUrgent, urgent_b = y.priority >= kUrgent;
    if (urgent_a != urgent_b) return urgent_a;
    if (urgent_a)
      return x.created_at != y.created_at ? x.created_at < y.created_at : x.number < y.number;
    const double wait_a = PassedOver(a), wait_b = PassedOver(b);
    const bool late_a = wait_a > o_.patience, late_b = wait_b > o_.patience;
    if (late_a != late_b) return late_a;
    if (late_a && wait_a != wait_b) return wait_a > wait_b;
    const double had_a = Had(a), had_b = Had(b);
    return had_a != had_b ? had_a < had_b : x.number < y.number;
  }

  bool Fits(const WaitingJob& job) const {
    return job.threads <= threads_ && job.memory <= memory_;
  }

  std::string UserLimit(const User& user, const WaitingJob& job) const {
    if (job.priority >= kUrgent) return "";
    const auto own = o_.users.find(user.name);
    const UserLimits& most = own == o_.users.end() ? o_.user : own->second;
    if (most.jobs > 0 && user.jobs >= most.jobs) {
      return fmt::format("its owner runs {} jobs, as many as they may at once", user.jobs);
    }
    if (most.threads > 0 && user.threads + job.threads > most.threads && user.threads > 0) {
      return fmt::format("its owner's jobs use {} of the {} threads that they may use at once",
                         user.threads, most.threads);
    }
    return "";
  }

  void Wait(const WaitingJob& job, std::string why) {
    out_.waiting.emplace_back(job.id, std::move(why));
  }

  // The job does not fit. Says why, closes the door behind it where it has waited long enough, and
  // asks running jobs to make room where it may.
  void MakeRoom(const User& user, const WaitingJob& job) {
    const bool urgent = job.priority >= kUrgent;
    if (blocked_ && !urgent) {
      Wait(job, fmt::format("{} before it in the queue", out_.waiting.size()));
      return;
    }
    blocked_ = true;
    Wait(job, job.threads > threads_
                  ? fmt::format("next in line; it needs {} threads and {} are free", job.threads,
                                std::max(0, threads_))
                  : fmt::format("next in line; it needs {} MB of memory and {} are free",
                                job.memory >> 20, std::max<int64_t>(0, memory_) >> 20));
    if (urgent || now_ - std::max(job.queued_at, user.last_start) > o_.overtaking) closed_ = true;
    Room room = coming_;
    room.threads += threads_;
    room.memory += memory_;
    std::vector<const RunningJob*> victims;
    if (!room.Has(job)) victims = Victims(user, urgent);
    std::vector<const RunningJob*> asked;
    for (const RunningJob* v : victims) {
      if (room.Has(job)) break;
      room.Add(*v);
      asked.push_back(v);
    }
    if (!room.Has(job)) return;  // not even all of them would do
    closed_ = true;              // the room that is made is for this job
    for (const RunningJob* v : asked) {
      coming_.Add(*v);
      asked_.insert(v->id);
      out_.pause.push_back(v->id);
    }
    coming_.threads -= job.threads;
    coming_.memory -= job.memory;
  }

  // Those that may be asked to make room, the first to be asked first.
  std::vector<const RunningJob*> Victims(const User& user, bool urgent) {
    std::vector<const RunningJob*> out;
    for (const RunningJob& r : running_) {
      if (r.stopping || asked_.contains(r.id)) continue;
      if (urgent ? r.priority < kUrgent : Owes(r, user)) out.push_back(&r);
    }
    std::sort(out.begin(), out.end(), [&](const RunningJob* a, const RunningJob* b) {
      const double x = urgent ? a->started_at : Had(Of(a->owner));
      const double y = urgent ? b->started_at : Had(Of(b->owner));
      return x != y ? x > y : a->id < b->id;
    });
    return out;
  }

  // Whether the running job had its slice and its owner had much more than the waiting user.
  bool Owes(const RunningJob& r, const User& user) {
    if (r.owner == user.name || r.priority >= kUrgent || now_ - r.started_at < o_.slice) {
      return false;
    }
    const double had = Had(Of(r.owner)), mine = Had(user);
    return had > o_.owed * mine && had - mine > o_.least_owed;
  }

  const std::vector<RunningJob>& running_;
  const PolicyOptions& o_;
  double now_;
  std::map<std::string, User> users_;
  int threads_ = 0;
  int64_t memory_ = 0;
  Room coming_;                  // of jobs that were asked to make room, less what it is for
  std::set<std::string> asked_;  // in this decision
  bool blocked_ = false;         // a job that should be next does not fit
  bool closed_ = false;          // nobody may pass it
  Decision out_;
};

}  // namespace

Decision Decide(const std::vector<WaitingJob>& waiting, const std::vector<RunningJob>& running,
                const Usage& usage, const PolicyOptions& options, double now) {
  return Deciding(waiting, running, usage, options, now).Take();
}

}  // namespace saed::jobs
