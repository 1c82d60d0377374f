// What an attempt may still write, and what outweighs what: a cancel, a pause, the attempt itself.
#include <gtest/gtest.h>

#include "storage/database.h"
#include "storage/jobs_table.h"
#include "storage/models_table.h"
#include "storage/recordings_table.h"
#include "storage/request_keys.h"
#include "storage/sweeps_table.h"
#include "tests/tools/temp_dir.h"

namespace saed::storage {
namespace {

class Attempts : public testing::Test {
 protected:
  Attempts() : db(*Database::Open(dir / "saed.db")), jobs(*db), sweeps(*db) {
    RecordingsTable recordings(*db);
    bool created = false;
    EXPECT_TRUE(
        recordings
            .Insert({"r1", "digest", "name", "nwb", 5, 1.5, 1, 3, 10, "{}", "", false}, {}, created)
            .ok());
    SweepRow sweep;
    sweep.id = "s1";
    sweep.recording_id = "r1";
    sweep.spec = "{}";
    EXPECT_TRUE(sweeps.Insert(sweep).ok());
  }
  void Queue(const std::string& id) { ASSERT_TRUE(jobs.Insert(Job(id)).ok()); }
  static JobRow Job(const std::string& id) {
    JobRow row;
    row.id = id;
    row.request_digest = "d";
    row.kind = "trial";
    row.recording_id = "r1";
    row.sweep_id = "s1";
    row.spec = "{}";
    return row;
  }
  Attempt Begin(const std::string& id) {
    const auto row = jobs.Start(id, 1);
    EXPECT_TRUE(row.ok() && row->has_value());
    return {id, (*row)->attempt};
  }
  std::string State(const std::string& id) { return jobs.Get(id)->shown_state(); }
  Requeue Reached() {
    Requeue back;
    back.awaits_sweep = true;
    return back;
  }

  saed::test_tools::TempDir dir;
  std::unique_ptr<Database> db;
  JobsTable jobs;
  SweepsTable sweeps;
};

TEST_F(Attempts, OneThatIsOverChangesNothing) {
  Queue("j1");
  const Attempt old = Begin("j1");
  ASSERT_TRUE(jobs.SetCheckpoint(old, "c1", 10).ok());
  ASSERT_TRUE(jobs.PutBack(old, {}, 2).ok());
  const Attempt now = Begin("j1");
  ModelsTable models(*db);
  ModelRow model{"j1", "r1", "", 1, 4, 1, 1, "x", "{}", "{}", "{}"};
  for (const absl::Status& s :
       {jobs.SetCheckpoint(old, "c2", 20).status(), jobs.AppendProgress(old, "{}"),
        jobs.PutBack(old, {}, 3).status(), jobs.Finish(old, "SUCCEEDED", 0, "", 1, 3).status(),
        sweeps.Record({"j1", 0, "{}"}, old), models.Insert(model, {}, old)}) {
    EXPECT_TRUE(IsGivenUp(s)) << s;
    EXPECT_EQ(s.message(), "attempt 1 at jobs/j1 is over");
  }
  EXPECT_EQ(jobs.Get("j1")->checkpoint, "c1");
  EXPECT_EQ(jobs.Get("j1")->state, "RUNNING");
  EXPECT_EQ(*jobs.LastProgress("j1"), 0);
  EXPECT_TRUE(sweeps.Evaluations("s1")->empty());
  EXPECT_TRUE(absl::IsNotFound(models.Get("j1").status()));
  EXPECT_TRUE(models.Insert(model, {}, now).ok());
  EXPECT_TRUE(jobs.Finish(now, "SUCCEEDED", 0, "", 1, 4).ok());
  EXPECT_TRUE(IsGivenUp(jobs.AppendProgress(now, "{}"))) << "nothing follows the end";
}

TEST_F(Attempts, ARetryEndsAWaitAndBeginsAnew) {
  JobRow row = Job("j1");
  row.kind = "train";
  row.sweep_id = "";
  row.time_limit = 60;
  ASSERT_TRUE(jobs.Insert(row).ok());
  const auto refused = [&](const std::string& id, const std::string& why) {
    const auto s = jobs.Retry(id, 100).status();
    EXPECT_TRUE(absl::IsFailedPrecondition(s)) << s;
    EXPECT_NE(s.message().find(why), s.message().npos) << s;
  };
  refused("j1", "waits for its turn");
  Attempt attempt = Begin("j1");
  refused("j1", "is RUNNING");
  Requeue failed;
  failed.failed = true;
  failed.not_before = 640'000'000;
  failed.error_message = "disk full";
  failed.run_seconds = 5;
  ASSERT_TRUE(jobs.SetCheckpoint(attempt, "c1", 10).ok());
  ASSERT_TRUE(jobs.PutBack(attempt, failed, 3).ok());
  ASSERT_TRUE(jobs.Pause("j1", 4).ok());
  refused("j1", "is paused; resume it first");
  ASSERT_TRUE(jobs.Resume("j1", 4).ok());
  auto now = jobs.Retry("j1", 100);
  ASSERT_TRUE(now.ok()) << now.status();
  EXPECT_EQ(std::tuple(now->not_before, now->failures, now->queued_at, now->error_message),
            std::tuple(0, 0, 100, ""));
  EXPECT_EQ(std::tuple(now->checkpoint, now->run_seconds), std::tuple("c1", 5)) << "it goes on";

  attempt = Begin("j1");
  ASSERT_TRUE(jobs.Finish(attempt, "FAILED", 13, "broke", 5, 6).ok());
  row.id = "j2";
  ASSERT_TRUE(jobs.Insert(row).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(jobs.Retry("j1", 100, 1).status()));
  now = jobs.Retry("j1", 100, 2);
  ASSERT_TRUE(now.ok()) << now.status();
  EXPECT_EQ(std::tuple(now->state, now->attempt, now->error_code, now->error_message,
                       now->run_seconds, now->finished_at.has_value()),
            std::tuple("QUEUED", 2, 0, "", 0, false));
  EXPECT_TRUE(IsGivenUp(jobs.AppendProgress(attempt, "{}"))) << "the attempt before is over";
  attempt = Begin("j1");
  EXPECT_EQ(attempt.number, 3);
  ASSERT_TRUE(jobs.RequestCancel("j1", 7).ok());
  refused("j1", "is being cancelled");
  ASSERT_TRUE(jobs.Finish(attempt, "CANCELLED", 0, "", 1, 8).ok());
  ASSERT_TRUE(jobs.Retry("j1", 100).ok());
  EXPECT_FALSE(jobs.Get("j1")->cancel_requested);
  ASSERT_TRUE(jobs.Finish(Begin("j1"), "FAILED", 4, "too long", 61, 9).ok());
  refused("j1", "its time limit is 60 s; submit it again with a longer one");

  row.id = "j3";
  row.dependencies = {"j1"};
  ASSERT_TRUE(jobs.Insert(row).ok());
  ASSERT_TRUE(jobs.FailQueued("j3", 9, "its dependency", 10).ok());
  refused("j3", "depends on a job that is FAILED; retry that first");
  ASSERT_TRUE(jobs.Delete("j1").ok());
  refused("j3", "depends on a job that was deleted");
  ASSERT_TRUE(jobs.Finish(Begin("j2"), "SUCCEEDED", 0, "", 1, 9).ok());
  refused("j2", "SUCCEEDED; submit it again");
  Queue("trial");
  ASSERT_TRUE(jobs.Finish(Begin("trial"), "FAILED", 13, "broke", 1, 9).ok());
  refused("trial", "has decided without it");
}

// 76 of 1,014 acknowledged cancels of running trials were lost: they reached a rung just then.
TEST_F(Attempts, ACancelWinsWhateverTheAttemptComesTo) {
  for (const char* id : {"rung", "retry", "done", "fails"}) {
    Queue(id);
    const Attempt attempt = Begin(id);
    ASSERT_TRUE(jobs.SetCheckpoint(attempt, std::string("c ") + id, 1).ok());
    ASSERT_TRUE(jobs.RequestCancel(id, 2).ok());
    EXPECT_TRUE(absl::IsCancelled(sweeps.Record({id, 0, "{}"}, attempt)));
    Requeue retry;
    retry.failed = true;
    const auto end = id == std::string("rung")    ? jobs.PutBack(attempt, Reached(), 3)
                     : id == std::string("retry") ? jobs.PutBack(attempt, retry, 3)
                     : id == std::string("done")
                         ? jobs.Finish(attempt, "SUCCEEDED", 0, "", 1, 3)
                         : jobs.Finish(attempt, "FAILED", 13, "broke", 1, 3);
    ASSERT_TRUE(end.ok()) << end.status();
    EXPECT_EQ(end->state, "CANCELLED") << id;
    EXPECT_EQ(end->checkpoint, std::string("c ") + id) << "its object is to be removed";
    const auto row = jobs.Get(id);
    EXPECT_EQ(row->state, "CANCELLED") << id;
    EXPECT_EQ(row->checkpoint, "");
    EXPECT_EQ(row->error_message, "");
    EXPECT_EQ(row->finished_at, 3);
    EXPECT_TRUE(absl::IsFailedPrecondition(jobs.Resume(id, 4).status()));
  }
}

TEST_F(Attempts, APersonsPauseStaysBesideTheSweeps) {
  Queue("j1");
  const Attempt attempt = Begin("j1");
  ASSERT_TRUE(jobs.Pause("j1", 2).ok());
  ASSERT_TRUE(jobs.PutBack(attempt, Reached(), 3).ok());
  EXPECT_EQ(jobs.Get("j1")->paused, "user+sweep");
  ASSERT_TRUE(jobs.Promote("j1", 1, 4).ok());
  EXPECT_EQ(State("j1"), "PAUSED") << "the sweep goes on with it, a person does not";
  EXPECT_FALSE(jobs.Start("j1", 5)->has_value());
  ASSERT_TRUE(jobs.Resume("j1", 6).ok());
  EXPECT_EQ(State("j1"), "QUEUED");

  const Attempt second = Begin("j1");
  ASSERT_TRUE(jobs.PutBack(second, Reached(), 7).ok());
  const auto early = jobs.Resume("j1", 8).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(early)) << "nobody paused it";
  EXPECT_NE(early.message().find("sweeps/s1 decides"), std::string::npos) << early;
  ASSERT_TRUE(jobs.Pause("j1", 9).ok()) << "a trial that waits can be held, too";
  ASSERT_TRUE(jobs.Resume("j1", 10).ok());
  EXPECT_EQ(jobs.Get("j1")->paused, "sweep") << "what the sweep wants is as it was";
}

TEST_F(Attempts, AJobThatIsToBeCancelledIsNotPaused) {
  Queue("j1");
  Begin("j1");
  ASSERT_TRUE(jobs.RequestCancel("j1", 2).ok());
  const auto paused = jobs.Pause("j1", 3).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(paused));
  EXPECT_NE(paused.message().find("is being cancelled"), std::string::npos) << paused;
}

TEST_F(Attempts, WhatTheServerDiedWithIsGivenUpInTheEnd) {
  for (const char* id : {"stuck", "cancelled", "moves"}) Queue(id);
  for (int death = 1; death <= kMostDeaths; ++death) {
    const Attempt stuck = Begin("stuck"), moves = Begin("moves");
    if (death == 1) {
      ASSERT_TRUE(jobs.SetCheckpoint(Begin("cancelled"), "c", 1).ok());
      ASSERT_TRUE(jobs.RequestCancel("cancelled", 2).ok());
      ASSERT_TRUE(jobs.SetCheckpoint(stuck, "s", 1).ok());
    }
    ASSERT_TRUE(jobs.SetCheckpoint(moves, "m" + std::to_string(death), death).ok());
    const auto ends = jobs.Recover(3);
    ASSERT_TRUE(ends.ok()) << ends.status();
    EXPECT_EQ(ends->size(), death == 1 ? 3U : 2U);
    EXPECT_EQ((*ends)[0].state, death < kMostDeaths ? "QUEUED" : "FAILED");
    EXPECT_EQ((*ends)[0].checkpoint, death < kMostDeaths ? "" : "s");
    EXPECT_EQ(State("moves"), "QUEUED") << "it got further each time";
    EXPECT_EQ(State("cancelled"), "CANCELLED");
  }
  const auto row = jobs.Get("stuck");
  EXPECT_EQ(row->state, "FAILED");
  EXPECT_EQ(row->attempt, kMostDeaths);
  EXPECT_NE(row->error_message.find("the server died 20 times in a row while it ran"),
            std::string::npos)
      << row->error_message;
  EXPECT_TRUE(jobs.Running()->empty());
}

TEST_F(Attempts, ARequestIsItsUsersAlone) {
  JobRow mine = Job("j1");
  mine.sweep_id = "";
  mine.owner = "ana";
  mine.request_id = UserRequest("ana", "once");
  ASSERT_TRUE(jobs.Insert(mine).ok());
  JobRow other = mine;
  other.id = "j2";
  other.owner = "ben";
  other.request_id = UserRequest("ben", "once");
  EXPECT_EQ(jobs.Insert(other)->id, "j2") << "nothing is told of ana's";
  // What the server begins for a sweep has a name that no request can take.
  JobRow trial = Job("j3");
  trial.request_id = ServerRequest("sweep s1 trial 0 seed 0");
  JobRow thief = mine;
  thief.id = "j4";
  thief.request_id = UserRequest("ana", trial.request_id);
  EXPECT_EQ(jobs.Insert(thief)->id, "j4");
  EXPECT_EQ(jobs.Insert(trial)->id, "j3");
  trial.id = "j5";
  trial.request_digest = "of a newer server";
  EXPECT_EQ(jobs.Insert(trial)->id, "j3");
}

TEST_F(Attempts, AnotherRequestOfTheSameIdNamesWhatDiffers) {
  JobRow first = Job("j1");
  first.sweep_id = "";
  first.request_id = UserRequest("", "once");
  first.dependencies = {"a", "b"};
  ASSERT_TRUE(jobs.Insert(first).ok());
  const auto asked = [&](auto change) {
    JobRow again = first;
    again.id = "j2";
    change(again);
    return jobs.Insert(again);
  };
  EXPECT_EQ(asked([](JobRow& r) { r.dependencies = {"b", "a"}; })->id, "j1");
  const auto refused = [&](auto change, const std::string& why) {
    const absl::Status s = asked(change).status();
    EXPECT_TRUE(absl::IsAlreadyExists(s)) << s;
    EXPECT_EQ(s.message(), "request_id 'once' was used for jobs/j1, " + why +
                               "; give each new job a new request_id");
  };
  refused([](JobRow& r) { r.priority = 1; }, "whose priority is normal and not high");
  refused([](JobRow& r) { r.time_limit = 2.5; }, "whose time_limit_seconds is none and not 2.5 s");
  refused([](JobRow& r) { r.dependencies = {"a"}; },
          "whose dependencies is jobs/a, jobs/b and not jobs/a");
  refused([](JobRow& r) { r.name = "x"; }, "whose display_name is '' and not 'x'");
  refused([](JobRow& r) { r.request_digest = "e"; }, "which asks for something else");
  // What counts is the name that was asked for, not those that it was given since.
  ASSERT_TRUE(jobs.SetName("j1", "x").ok());
  ASSERT_TRUE(jobs.SetName("j1", "y").ok());
  EXPECT_EQ(asked([](JobRow&) {})->id, "j1");
  EXPECT_EQ(asked([](JobRow&) {})->name, "y");
  refused([](JobRow& r) { r.name = "y"; }, "whose display_name is '' and not 'y'");
  refused([](JobRow& r) { r.request_digest = "e"; }, "which asks for something else");
}

}  // namespace
}  // namespace saed::storage
