// The scheduler beside many hands at once; ThreadSanitizer looks on in deploy/sanitize.sh.
#include "server/jobs/scheduler.h"

#include <gtest/gtest.h>

#include <set>

#include "server/jobs/library.h"
#include "server/recordings/simulate.h"
#include "storage/database.h"
#include "tests/tools/temp_dir.h"

namespace saed::jobs {
namespace {

class RealClock : public Clock {
 public:
  int64_t NowMicros() const override {
    return std::chrono::duration_cast<std::chrono::microseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
  double MonotonicSeconds() const override {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }
};

class SchedulerOf : public testing::Test {
 protected:
  SchedulerOf()
      : db(*storage::Database::Open(dir / "saed.db")),
        objects(*storage::ObjectStore::Open(dir / "objects")),
        recordings(*db),
        jobs(*db),
        models(*db),
        dictionaries(*db),
        annotations(*db),
        sweeps(*db),
        stores{recordings, jobs, models, dictionaries, annotations, sweeps, objects} {
    recordings::PlantedSpec planted;
    planted.units = 12;
    planted.features = 4;
    planted.bins = 1500;
    bool created = false;
    Library library(stores, clock);
    const auto row = library.Add({recordings::SimulatePlanted(planted), {}}, {}, created);
    EXPECT_TRUE(row.ok()) << row.status();
    recording = row->id;
  }

  std::unique_ptr<Scheduler> Begin() {
    SchedulerOptions options;
    options.policy.threads = 3;
    options.default_threads = 1;
    options.checkpoint_seconds = 0.01;
    auto out = std::make_unique<Scheduler>(stores, clock, observer, options);
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

  test_tools::TempDir dir;
  std::unique_ptr<storage::Database> db;
  storage::ObjectStore objects;
  storage::RecordingsTable recordings;
  storage::JobsTable jobs;
  storage::ModelsTable models;
  storage::DictionariesTable dictionaries;
  storage::AnnotationsTable annotations;
  storage::SweepsTable sweeps;
  Stores stores;
  RealClock clock;
  Observer observer;
  std::string recording;
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

}  // namespace
}  // namespace saed::jobs
