#include "server/jobs/policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <set>

namespace saed::jobs {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

WaitingJob Job(const std::string& id, const std::string& owner, int threads = 1,
               int priority = kNormal, double at = 0) {
  static int64_t number = 0;
  return {id, owner, ++number, priority, threads, 0, at, at};
}

RunningJob Active(const std::string& id, const std::string& owner, int threads, double since = 0) {
  return {id, owner, kNormal, threads, 0, since, false};
}

TEST(Policy, TheUserWhoHadLessComesFirst) {
  Usage usage(86400);
  usage.Charge("ada", 1000, 0);
  const auto d =
      Decide({Job("a", "ada"), Job("b", "bea"), Job("c", "cai")}, {}, usage, {.threads = 2}, 0);
  EXPECT_THAT(d.start, ElementsAre("b", "c"));
  ASSERT_EQ(d.waiting.size(), 1);
  EXPECT_EQ(d.waiting[0].first, "a");
}

TEST(Policy, UseHalvesWithTheHalfLifeAndCountsPerShare) {
  Usage usage(100);
  usage.Charge("ada", 80, 0);
  EXPECT_DOUBLE_EQ(usage.Of("ada", 0), 80);
  EXPECT_DOUBLE_EQ(usage.Of("ada", 200), 20);
  usage.Charge("ada", 5, 200);
  EXPECT_DOUBLE_EQ(usage.Of("ada", 200), 25);
  usage.Charge("bea", 20, 200);
  usage.SetShare("ada", 2);  // 12.5 per share
  EXPECT_THAT(Decide({Job("b", "bea"), Job("a", "ada")}, {}, usage, {.threads = 1}, 200).start,
              ElementsAre("a"));
}

TEST(Policy, SlotsThatAreFreeTogetherGoToDifferentUsers) {
  const Usage usage(86400);
  const auto d = Decide({Job("a1", "ada"), Job("a2", "ada"), Job("b1", "bea"), Job("b2", "bea")},
                        {}, usage, {.threads = 2}, 0);
  EXPECT_THAT(d.start, ElementsAre("a1", "b1"));
}

TEST(Policy, PriorityOrdersOnesOwnJobsAndWaitingAddsToIt) {
  const Usage usage(86400);
  const PolicyOptions o{.threads = 1, .ageing = 100};
  EXPECT_THAT(
      Decide({Job("low", "ada", 1, kLow), Job("high", "ada", 1, kHigh)}, {}, usage, o, 0).start,
      ElementsAre("high"));
  // 250 s are more than two levels.
  EXPECT_THAT(
      Decide({Job("low", "ada", 1, kLow, 0), Job("high", "ada", 1, kHigh, 250)}, {}, usage, o, 250)
          .start,
      ElementsAre("low"));
}

TEST(Policy, AnotherUsersHighPriorityDoesNotComeBefore) {
  Usage usage(86400);
  usage.Charge("ada", 100, 0);
  EXPECT_THAT(
      Decide({Job("a", "ada", 1, kHigh), Job("b", "bea", 1, kLow)}, {}, usage, {.threads = 1}, 0)
          .start,
      ElementsAre("b"));
}

TEST(Policy, AnUrgentJobPausesTheYoungestAndNobodySlipsIn) {
  const Usage usage(86400);
  const auto d = Decide({Job("small", "bea"), Job("now", "ada", 3, kUrgent)},
                        {Active("old", "cai", 2, 0), Active("young", "cai", 2, 50)}, usage,
                        {.threads = 5}, 100);
  EXPECT_THAT(d.start, IsEmpty());
  EXPECT_THAT(d.pause, ElementsAre("young"));
  EXPECT_EQ(d.waiting[0].first, "now");
}

TEST(Policy, RoomThatIsBeingMadeIsNotAskedForTwice) {
  const Usage usage(86400);
  std::vector<RunningJob> running = {Active("a", "cai", 2), Active("b", "cai", 2)};
  running[0].stopping = true;
  const auto d = Decide({Job("now", "ada", 2, kUrgent)}, running, usage, {.threads = 4}, 100);
  EXPECT_THAT(d.pause, IsEmpty());
}

TEST(Policy, SmallJobsPassALargeOneForAWhileOnly) {
  const Usage usage(86400);
  const std::vector<RunningJob> running = {Active("r", "cai", 6)};
  const std::vector<WaitingJob> waiting = {Job("large", "ada", 4), Job("small", "bea", 1)};
  const PolicyOptions o{.threads = 8, .overtaking = 600, .slice = 1e9};
  EXPECT_THAT(Decide(waiting, running, usage, o, 500).start, ElementsAre("small"));
  const auto later = Decide(waiting, running, usage, o, 700);
  EXPECT_THAT(later.start, IsEmpty());
  EXPECT_THAT(later.waiting[0].second, HasSubstr("needs 4 threads and 2 are free"));
  EXPECT_THAT(later.waiting[1].second, HasSubstr("1 before it"));
}

TEST(Policy, MemoryIsAskedForToo) {
  const Usage usage(86400);
  auto heavy = Job("heavy", "ada");
  heavy.memory = int64_t{3} << 30;
  const auto d = Decide({heavy}, {{"r", "cai", kNormal, 1, int64_t{6} << 30, 0, false}}, usage,
                        {.threads = 8, .memory = int64_t{8} << 30}, 0);
  EXPECT_THAT(d.start, IsEmpty());
  EXPECT_THAT(d.waiting[0].second, HasSubstr("3072 MB of memory and 2048 are free"));
}

TEST(Policy, ASliceEndsForAUserWhoIsOwedMore) {
  Usage usage(86400);
  usage.Charge("cai", 20000, 0);
  const std::vector<WaitingJob> waiting = {Job("a", "ada", 2)};
  const std::vector<RunningJob> running = {Active("r", "cai", 4)};
  const PolicyOptions o{.threads = 4, .slice = 600};
  EXPECT_THAT(Decide(waiting, running, usage, o, 500).pause, IsEmpty());
  EXPECT_THAT(Decide(waiting, running, usage, o, 700).pause, ElementsAre("r"));
  usage.Charge("ada", 19000, 700);  // much the same
  EXPECT_THAT(Decide(waiting, running, usage, o, 700).pause, IsEmpty());
}

TEST(Policy, UserLimitsSkipTheUserNotTheOthers) {
  const Usage usage(86400);
  const auto d = Decide({Job("a", "ada"), Job("b", "bea")}, {Active("r", "ada", 1)}, usage,
                        {.threads = 8, .user = {.jobs = 1}}, 0);
  EXPECT_THAT(d.start, ElementsAre("b"));
  EXPECT_THAT(d.waiting[0].second, HasSubstr("its owner runs 1 jobs"));
}

// A lab for a day. Decisions are taken whenever something happens and every 15 s, as the scheduler
// does; a job that is asked to make room does so at its next checkpoint.
class Lab {
 public:
  static constexpr double kCheckpoint = 15;
  struct Job {
    WaitingJob waiting;
    double arrives = 0, left = 0, first_start = -1, end = -1;
  };

  Lab(PolicyOptions options, std::vector<Job> jobs)
      : options_(options), usage_(options.half_life), jobs_(std::move(jobs)) {
    std::sort(jobs_.begin(), jobs_.end(),
              [](const Job& a, const Job& b) { return a.arrives < b.arrives; });
    for (size_t i = 0; i < jobs_.size(); ++i) {
      jobs_[i].waiting.id = std::to_string(i);
      jobs_[i].waiting.number = static_cast<int64_t>(i);
      jobs_[i].waiting.created_at = jobs_[i].waiting.queued_at = jobs_[i].arrives;
    }
  }
  Usage& usage() { return usage_; }
  const std::vector<Job>& jobs() const { return jobs_; }
  const std::map<std::string, double>& computed() const { return computed_; }
  // The longest that a user with a waiting job had no job started, s.
  double passed_over() const { return passed_over_; }
  int pauses() const { return pauses_; }

  void RunUntil(double end) {
    size_t next = 0;
    while (now_ < end) {
      for (; next < jobs_.size() && jobs_[next].arrives <= now_; ++next) {
        waiting_.push_back(jobs_[next].waiting);
      }
      Step();
      double until = std::min(end, now_ + kCheckpoint);
      if (next < jobs_.size()) until = std::min(until, jobs_[next].arrives);
      for (const auto& [i, r] : running_) until = std::min(until, now_ + jobs_[i].left);
      for (const auto& [i, r] : running_) {
        if (r.stopping) until = std::min(until, std::max(now_, pause_at_[i]));
      }
      Advance(std::max(until, now_ + 1e-3));
      if (next == jobs_.size() && waiting_.empty() && running_.empty()) return;
    }
  }

 private:
  void Step() {
    std::vector<RunningJob> running;
    int threads = 0;
    for (const auto& [i, r] : running_) {
      running.push_back(r);
      threads += r.threads;
    }
    ASSERT_LE(threads, options_.threads);
    const Decision d = Decide(waiting_, running, usage_, options_, now_);
    for (const std::string& id : d.start) {
      const size_t i = std::stoul(id);
      const auto at = std::find_if(waiting_.begin(), waiting_.end(),
                                   [&](const WaitingJob& w) { return w.id == id; });
      ASSERT_NE(at, waiting_.end());
      std::swap(*at, waiting_.back());
      waiting_.pop_back();
      Job& job = jobs_[i];
      if (job.first_start < 0) job.first_start = now_;
      passed_over_ = std::max(passed_over_, now_ - std::max(job.waiting.queued_at,
                                                            usage_.LastStart(job.waiting.owner)));
      usage_.Started(job.waiting.owner, now_);
      running_[i] = {id,
                     job.waiting.owner,
                     job.waiting.priority,
                     job.waiting.threads,
                     job.waiting.memory,
                     now_,
                     false};
      threads += job.waiting.threads;
      ASSERT_LE(threads, options_.threads);
    }
    for (const std::string& id : d.pause) {
      const size_t i = std::stoul(id);
      ASSERT_TRUE(running_.contains(i));
      running_[i].stopping = true;
      pause_at_[i] = now_ + kCheckpoint * 0.99;
      ++pauses_;
    }
  }

  void Advance(double to) {
    for (auto& [i, r] : running_) {
      const double ran = to - now_;
      jobs_[i].left -= ran;
      usage_.Charge(r.owner, ran * r.threads, to);
      computed_[r.owner] += ran * r.threads;
    }
    now_ = to;
    for (auto it = running_.begin(); it != running_.end();) {
      Job& job = jobs_[it->first];
      if (job.left <= 1e-6) {
        job.end = now_;
        it = running_.erase(it);
      } else if (it->second.stopping && now_ >= pause_at_[it->first]) {
        job.waiting.queued_at = now_;
        waiting_.push_back(job.waiting);
        it = running_.erase(it);
      } else {
        ++it;
      }
    }
  }

  PolicyOptions options_;
  Usage usage_;
  std::vector<Job> jobs_;
  std::vector<WaitingJob> waiting_;
  std::map<size_t, RunningJob> running_;
  std::map<size_t, double> pause_at_;
  std::map<std::string, double> computed_;
  double now_ = 0, passed_over_ = 0;
  int pauses_ = 0;
};

constexpr int kThreads = 64, kUsers = 30;
constexpr double kDay = 86400;

std::string User(int u) { return "user" + std::to_string(u); }

// Jobs of 1 to 16 threads, of minutes to hours.
std::vector<Lab::Job> Jobs(int count, double mean_core_seconds, double span, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::lognormal_distribution<double> size(0, 1);
  std::vector<Lab::Job> out(count);
  for (int i = 0; i < count; ++i) {
    Lab::Job& job = out[i];
    job.waiting.owner = User(i % kUsers);
    job.waiting.threads = 1 << (random() % 5);
    job.waiting.priority = static_cast<int>(random() % 3) - 1;
    job.left = mean_core_seconds * size(random) / std::exp(0.5) / job.waiting.threads;
    job.arrives = span * static_cast<double>(random() % 1000000) / 1e6;
  }
  return out;
}

TEST(PolicyDay, SharesOfUsersWhoAlwaysWantMoreAreTheirEntitlement) {
  // 10,000 jobs of 1,500 core-seconds: nearly three days of work, all there from the start.
  Lab lab({.threads = kThreads}, Jobs(10000, 1500, 0, 1));
  double shares = 0;
  for (int u = 0; u < kUsers; ++u) {
    const double share = 1 + u % 3;
    lab.usage().SetShare(User(u), share);
    shares += share;
  }
  lab.RunUntil(kDay);
  double total = 0, worst = 0;
  for (const auto& [user, core_seconds] : lab.computed()) total += core_seconds;
  for (int u = 0; u < kUsers; ++u) {
    const double entitled = total * (1 + u % 3) / shares;
    worst = std::max(worst, std::abs(lab.computed().at(User(u)) / entitled - 1));
  }
  std::printf(
      "largest distance from the entitlement: %.2f %%; %.1f %% of the machine used; %d "
      "pauses\n",
      100 * worst, 100 * total / (kThreads * kDay), lab.pauses());
  EXPECT_LT(worst, 0.05);
  // What is missing waits empty for jobs of 16 threads.
  EXPECT_GT(total, 0.9 * kThreads * kDay);
}

TEST(PolicyDay, NoJobWaitsLongAtNinetyPercentLoad) {
  // 10,000 jobs over a day that need 90 % of it; a user's jobs come in their own bursts.
  auto jobs = Jobs(10000, 0.9 * kThreads * kDay / 10000, kDay, 2);
  std::mt19937_64 random(3);
  std::vector<double> burst(kUsers);
  for (auto& b : burst) b = kDay * 0.8 * static_cast<double>(random() % 1000) / 1000;
  for (size_t i = 0; i < jobs.size(); ++i) {
    if (random() % 2 == 0) jobs[i].arrives = burst[i % kUsers];
  }
  for (int i = 0; i < 40; ++i) {  // pairs at the same moment
    jobs[i * 201].waiting.priority = kUrgent;
    jobs[i * 201].waiting.threads = 16;
    jobs[i * 201].left = 300;
    jobs[i * 201].arrives = kDay * (1 + i / 2) / 21;
  }
  const PolicyOptions options{.threads = kThreads};
  Lab lab(options, std::move(jobs));
  lab.RunUntil(5 * kDay);
  double longest = 0, urgent = 0;
  for (const auto& job : lab.jobs()) {
    ASSERT_GE(job.end, 0) << "a job never ended";
    const double wait = job.first_start - job.arrives;
    (job.waiting.priority == kUrgent ? urgent : longest) =
        std::max(job.waiting.priority == kUrgent ? urgent : longest, wait);
  }
  std::printf(
      "longest wait %.1f h, of an urgent job %.1f s; a user was passed over for %.2f h at "
      "most; %d pauses\n",
      longest / 3600, urgent, lab.passed_over() / 3600, lab.pauses());
  EXPECT_LT(longest, kDay);
  EXPECT_LT(lab.passed_over(), options.patience + options.slice + Lab::kCheckpoint);
  EXPECT_LE(urgent, Lab::kCheckpoint + 1e-2);
}

TEST(PolicyDay, ALowPriorityJobIsNotStarvedByItsOwnersHighOnes) {
  // One user, a machine of one thread, high-priority jobs that fill it for ever.
  std::vector<Lab::Job> jobs(3000);
  for (size_t i = 0; i < jobs.size(); ++i) {
    jobs[i].waiting.owner = "ada";
    jobs[i].waiting.priority = i == 0 ? kLow : kHigh;
    jobs[i].arrives = i == 0 ? 1 : 100.0 * static_cast<double>(i - 1);
    jobs[i].left = 110;
  }
  const PolicyOptions options{.threads = 1};
  Lab lab(options, jobs);
  lab.RunUntil(3e5);
  for (const auto& job : lab.jobs()) {
    if (job.waiting.priority == kLow) {
      EXPECT_GE(job.first_start, 0);
      // Two levels of waiting, and the jobs that were before it by then.
      EXPECT_LT(job.first_start, 2 * options.ageing * 1.15);
    }
  }
}

TEST(PolicyProperties, OverRandomQueues) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    std::mt19937_64 random(seed);
    const auto below = [&](int n) { return static_cast<int>(random() % n); };
    PolicyOptions o{
        .threads = 1 + below(32),
        .memory = below(2) ? 1000 : 0,
        .user = {.threads = below(3) ? 0 : 1 + below(8), .jobs = below(3) ? 0 : 1 + below(4)}};
    Usage usage(1000);
    for (int u = 0; u < 5; ++u) {
      usage.Charge(User(u), below(10000), 0);
      if (below(2)) usage.SetShare(User(u), 1 + below(5));
    }
    std::vector<RunningJob> running;
    int free = o.threads;
    int64_t memory = o.memory;
    while (free > 0 && below(4)) {
      const int t = 1 + below(free);
      const int64_t m = o.memory > 0 ? below(static_cast<int>(memory) + 1) : 0;
      running.push_back({"r" + std::to_string(running.size()), User(below(5)), below(4) - 1, t, m,
                         static_cast<double>(-below(2000)), below(4) == 0});
      free -= t;
      memory -= m;
    }
    std::vector<WaitingJob> waiting;
    for (int i = below(60); i > 0; --i) {
      auto job = Job("w" + std::to_string(i), User(below(5)), 1 + below(o.threads), below(4) - 1,
                     -below(5000));
      job.memory = o.memory > 0 ? below(1000) : 0;
      waiting.push_back(job);
    }
    const Decision d = Decide(waiting, running, usage, o, 0);
    std::map<std::string, const WaitingJob*> known;
    for (const auto& w : waiting) known[w.id] = &w;
    std::set<std::string> seen;
    int64_t used = 0;
    int threads = 0;
    for (const auto& id : d.start) {
      ASSERT_TRUE(known.contains(id) && seen.insert(id).second);
      threads += known[id]->threads;
      used += known[id]->memory;
    }
    for (const auto& [id, why] : d.waiting) {
      ASSERT_TRUE(known.contains(id) && seen.insert(id).second);
      ASSERT_FALSE(why.empty());
    }
    ASSERT_EQ(seen.size(), waiting.size());  // everyone is started or told why not
    ASSERT_LE(threads, free);
    EXPECT_TRUE(o.memory == 0 || used <= memory);
    for (const auto& id : d.pause) {
      const auto it = std::find_if(running.begin(), running.end(),
                                   [&](const RunningJob& r) { return r.id == id; });
      ASSERT_NE(it, running.end());
      ASSERT_FALSE(it->stopping);
      ASSERT_LT(it->priority, kUrgent);
    }
    // Where nothing runs and someone waits who may run, someone is started.
    EXPECT_FALSE(running.empty() && !waiting.empty() && d.start.empty()) << "seed " << seed;
    // The same question has the same answer.
    ASSERT_EQ(Decide(waiting, running, usage, o, 0).start, d.start);
  }
}

}  // namespace
}  // namespace saed::jobs
