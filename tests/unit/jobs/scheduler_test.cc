// The scheduler beside many hands at once; ThreadSanitizer looks on in deploy/sanitize.sh.
#include "server/jobs/scheduler.h"

#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <stdexcept>
#include <thread>

#include "server/jobs/submit.h"
#include "tests/tools/temp_stores.h"

namespace saed::jobs {
namespace {

class SchedulerOf : public testing::Test, public test_tools::TempStores {
 protected:
  std::unique_ptr<Scheduler> Begin() { return Begin(observer); }
  std::unique_ptr<Scheduler> Begin(Observer& told) {
    SchedulerOptions options;
    options.policy.threads = 3;
    options.default_threads = 1;
    options.checkpoint_seconds = 0.01;
    auto out = std::make_unique<Scheduler>(stores, clock, told, options);
    EXPECT_TRUE(out->Start().ok());
    return out;
  }

  std::string Queue(Scheduler& scheduler, const std::string& owner, uint64_t seed, int64_t steps) {
    TrainSpec spec;
    spec.recording_id = recording;
    spec.view.bin_width = 0.02;
    spec.fit.model.levels = {{8, 2}};
    spec.fit.batch_size = 64;
    spec.fit.epochs = 100000;
    spec.fit.max_steps = steps;
    spec.fit.seed = seed;
    QueueOptions options;
    options.owner = owner;
    const auto row = Submit(stores, clock, spec, options, scheduler.LimitsFor(owner));
    EXPECT_TRUE(row.ok()) << row.status();
    scheduler.Wake();
    return row.ok() ? row->id : "";
  }

  std::string State(const std::string& id) { return jobs.Get(id)->state; }
  std::string Ends(const std::string& id) {
    static const std::set<std::string> kEnds = {"SUCCEEDED", "FAILED", "CANCELLED"};
    for (int i = 0; i < 6000 && kEnds.count(State(id)) == 0; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return State(id);
  }

  Observer observer;
};

// Each of three people queues jobs, pauses, resumes and cancels them and asks how they stand. What
// was acknowledged holds.
TEST_F(SchedulerOf, KeepsItsWordToManyAtOnce) {
  const auto scheduler = Begin();
  std::vector<std::thread> people;
  for (int p = 0; p < 3; ++p) {
    people.emplace_back([&, p] {
      const std::string name = fmt::format("person{}", p);
      std::vector<std::string> cancelled, others;
      for (uint64_t i = 0; i < 4; ++i) {
        const std::string id = Queue(*scheduler, name, 10 * static_cast<uint64_t>(p) + i, 60);
        const auto paused = scheduler->Pause(id);
        EXPECT_EQ(scheduler->Users().empty(), false);
        if (paused.ok()) {
          const auto resumed = scheduler->Resume(id);
          EXPECT_TRUE(resumed.ok()) << resumed.status();
        }
        if (const auto row = jobs.Get(id); row.ok()) scheduler->Waiting(*row);
        if (i % 2 == 1) {
          const auto cancel = scheduler->Cancel(id);
          if (cancel.ok() && cancel->state != "SUCCEEDED") cancelled.push_back(id);
        } else {
          others.push_back(id);
        }
      }
      for (const auto& id : cancelled) EXPECT_EQ(Ends(id), "CANCELLED") << id;
      for (const auto& id : others) EXPECT_EQ(Ends(id), "SUCCEEDED") << id;
    });
  }
  for (std::thread& person : people) person.join();
  const auto left = [&] {
    int64_t out = 0;
    for (const UserReport& user : scheduler->Users()) out += user.running + user.waiting;
    return out;
  };
  // A job's end is stored before its thread is done with it.
  for (int i = 0; i < 1000 && left() > 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_EQ(left(), 0);
}

// A stop in the middle puts back what runs; the next server ends it.
TEST_F(SchedulerOf, PutsBackWhatRunsWhenItStops) {
  std::string id;
  {
    const auto scheduler = Begin();
    id = Queue(*scheduler, "ada", 1, 3000);
    for (int i = 0; i < 1000 && State(id) != "RUNNING"; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    scheduler->Stop();
    EXPECT_NE(State(id), "RUNNING");
  }
  const auto scheduler = Begin();
  EXPECT_EQ(Ends(id), "SUCCEEDED");
}

// As where the disk failed between a start and the read of what was started.
TEST_F(SchedulerOf, PutsBackWhatNobodyRuns) {
  const auto scheduler = Begin();
  TrainSpec spec;
  spec.recording_id = recording;
  spec.threads = 3;  // all there are
  spec.view.bin_width = 0.02;
  spec.fit.model.levels = {{8, 2}};
  spec.fit.batch_size = 64;
  spec.fit.epochs = 100'000;
  spec.fit.max_steps = 50'000'000;
  const auto long_one = Submit(stores, clock, spec, {}, scheduler->LimitsFor(""));
  ASSERT_TRUE(long_one.ok()) << long_one.status();
  scheduler->Wake();
  for (int i = 0; i < 1000 && State(long_one->id) != "RUNNING"; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  ASSERT_EQ(State(long_one->id), "RUNNING");
  const std::string id = Queue(*scheduler, "ada", 1, 60);
  ASSERT_TRUE(jobs.Start(id, clock.NowMicros())->has_value());
  scheduler->Wake();
  for (int i = 0; i < 2000 && State(id) != "QUEUED"; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_EQ(State(id), "QUEUED");
  ASSERT_TRUE(scheduler->Cancel(long_one->id).ok());
  EXPECT_EQ(Ends(id), "SUCCEEDED");
  EXPECT_EQ(jobs.Get(id)->attempt, 2);
}

TEST_F(SchedulerOf, WhatAJobThrowsEndsTheJobAlone) {
  struct Throws : Observer {
    void Trained(int64_t, int64_t, double) override {
      if (armed) throw std::runtime_error("the observer fell over");
    }
    std::atomic<bool> armed = true;
  } throws;
  const auto scheduler = Begin(throws);
  const std::string id = Queue(*scheduler, "ada", 1, 60);
  EXPECT_EQ(Ends(id), "FAILED");
  const storage::JobRow row = *jobs.Get(id);
  EXPECT_EQ(row.error_code, static_cast<int>(absl::StatusCode::kInternal));
  EXPECT_NE(row.error_message.find("the observer fell over"), std::string::npos)
      << row.error_message;
  throws.armed = false;
  EXPECT_EQ(Ends(Queue(*scheduler, "ada", 2, 60)), "SUCCEEDED") << "the server goes on";
}

}  // namespace
}  // namespace saed::jobs
