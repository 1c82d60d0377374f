// Long writes in pieces: others write in between, and nothing half-written is seen.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>

#include "storage/access.h"
#include "storage/database.h"
#include "storage/dictionaries_table.h"
#include "storage/jobs_table.h"
#include "storage/models_table.h"
#include "storage/people_table.h"
#include "storage/recordings_table.h"
#include "tests/tools/temp_dir.h"

namespace saed::storage {
namespace {

using Clock = std::chrono::steady_clock;

class Pieces : public testing::Test {
 protected:
  Pieces() : db(*Database::Open(dir / "saed.db")), jobs(*db), models(*db), dictionaries(*db) {
    RecordingsTable recordings(*db);
    bool created = false;
    EXPECT_TRUE(
        recordings
            .Insert({"r1", "digest", "name", "nwb", 5, 1.5, 1, 3, 10, "{}", "", false}, {}, created)
            .ok());
    EXPECT_TRUE(models.Insert({"m1", "r1", "", 1, 4, 1, 1, "x", "{}", "{}", "{}"}, {}).ok());
  }
  // A dictionary of the model, of so many features and 20 conditions.
  static DictionaryRows Rows(const std::string& id, int features) {
    DictionaryRows out;
    out.dictionary = {id, "m1", "r1", 2, features, 10, 5, "[]", "{}", "{}"};
    for (int c = 0; c < 20; ++c) {
      ConditionRow& row = out.conditions.emplace_back();
      row.position = c;
      row.name = "c" + std::to_string(c);
      row.spec = "{}";
      row.details = "{}";
    }
    for (int j = 0; j < features; ++j) {
      FeatureRow& row = out.features.emplace_back();
      row.latent = j;
      row.details = "{}";
      row.decoder = row.trace_map = std::vector<float>(200, 1);
      for (int c = 0; c < 20; ++c) {
        AssociationRow& pair = out.associations.emplace_back();
        pair.condition = c;
        pair.latent = j;
      }
    }
    return out;
  }
  // How many rows there are of a dictionary, seen or not.
  int Count(const std::string& table) {
    return *db->Read([&](SQLite::Database& d) -> absl::StatusOr<int> {
      SQLite::Statement s(d, "SELECT count(*) FROM " + table);
      s.executeStep();
      return s.getColumn(0).getInt();
    });
  }
  bool Seen(const std::string& id) {
    FeatureQuery all;
    const bool seen = dictionaries.Get(id).ok();
    EXPECT_EQ(!dictionaries.ListFeatures(all)->empty(), seen);
    EXPECT_EQ(!dictionaries.List("", 10, 0, "")->empty(), seen);
    EXPECT_EQ(AccessTable(*db).OwnerOf("dictionaries", id, {}).ok(), seen);
    return seen;
  }

  saed::test_tools::TempDir dir;
  std::unique_ptr<Database> db;
  JobsTable jobs;
  ModelsTable models;
  DictionariesTable dictionaries;
};

TEST_F(Pieces, OthersWriteBetweenThoseOfADictionary) {
  const DictionaryRows rows = Rows("d1", 4000);
  std::atomic<bool> done = false;
  absl::Status inserted;
  std::thread writer([&] {
    inserted = dictionaries.Insert(rows);
    done = true;
  });
  int between = 0, half = 0;
  PeopleTable people(*db);
  while (!done) {
    ASSERT_TRUE(people.Audit({0, 1, "ana", "m", "", "allowed", ""}).ok());
    if (Count("features") > 0 && !done) {
      ++between;
      // Between the two it may have ended.
      const bool seen = dictionaries.Get("d1").ok();
      half += seen && Count("associations") < 80'000;
    }
  }
  writer.join();
  ASSERT_TRUE(inserted.ok()) << inserted;
  EXPECT_GE(between, 10) << "writes while it was written";
  EXPECT_EQ(half, 0);
  EXPECT_TRUE(Seen("d1"));
  EXPECT_EQ(Count("associations"), 80'000);
  EXPECT_TRUE(dictionaries.Insert(rows).ok()) << "it is there and stays";
}

TEST_F(Pieces, AModelThatIsUsedStays) {
  ASSERT_TRUE(dictionaries.Insert(Rows("d1", 3)).ok());
  ASSERT_TRUE(db->Write([](SQLite::Database& d) -> absl::Status {
                  d.exec("UPDATE dictionaries SET owner = 'bea'");
                  return absl::OkStatus();
                }).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(models.Delete("m1", {false, "ana"})));
  EXPECT_TRUE(Seen("d1"));
  JobRow job;
  job.id = "j1";
  job.request_digest = "d";
  job.kind = "analyse";
  job.recording_id = "r1";
  job.spec = R"({"model_id": "m1"})";
  ASSERT_TRUE(jobs.Insert(job).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(models.Delete("m1", {false, "bea"})));
  ASSERT_TRUE(jobs.RequestCancel("j1", 2).ok());
  EXPECT_TRUE(models.Delete("m1", {false, "bea"}).ok());
  EXPECT_FALSE(Seen("d1"));
}

TEST_F(Pieces, WhatWasNotFinishedIsNeverSeen) {
  JobRow job;
  job.id = "d1";
  job.request_digest = "d";
  job.kind = "train";
  job.recording_id = "r1";
  job.spec = "{}";
  ASSERT_TRUE(jobs.Insert(job).ok());
  ASSERT_TRUE(jobs.Start("d1", 1)->has_value());
  const Attempt first{"d1", 1}, second{"d1", 2};
  // Two conditions of one name break it off in the middle.
  DictionaryRows broken = Rows("d1", 50);
  broken.associations.push_back(broken.associations.back());
  EXPECT_FALSE(dictionaries.Insert(broken, first).ok());
  EXPECT_EQ(Count("features"), 50);
  EXPECT_FALSE(Seen("d1"));
  ASSERT_TRUE(jobs.PutBack(first, {}, 2).ok());
  EXPECT_TRUE(IsGivenUp(dictionaries.Discard(first)));
  EXPECT_TRUE(IsGivenUp(dictionaries.Insert(Rows("d1", 50), first)));
  EXPECT_EQ(Count("features"), 50) << "an attempt that is over removes nothing either";
  ASSERT_TRUE(jobs.Start("d1", 3)->has_value());
  std::atomic<bool> stop = true;
  EXPECT_TRUE(absl::IsCancelled(dictionaries.Insert(Rows("d1", 40), second, &stop)));
  ASSERT_TRUE(dictionaries.Insert(Rows("d1", 40), second).ok()) << "anew, whatever was left";
  EXPECT_TRUE(Seen("d1"));
  EXPECT_EQ(Count("features"), 40);
  EXPECT_EQ(*dictionaries.DiscardUnfinished(), 0);

  broken = Rows("d2", 50);
  broken.associations.push_back(broken.associations.back());
  EXPECT_FALSE(dictionaries.Insert(broken).ok());
  EXPECT_EQ(*dictionaries.DiscardUnfinished(), 1);
  EXPECT_EQ(Count("features"), 40);
  EXPECT_EQ(Count("dictionaries"), 1);
  ASSERT_TRUE(models.Delete("m1").ok());
  EXPECT_EQ(Count("features") + Count("associations") + Count("conditions"), 0);
}

TEST_F(Pieces, WhatCouldNotBeRemovedIsRemovedByTheNextTry) {
  const auto sql = [&](const char* text) {
    ASSERT_TRUE(db->Write([&](SQLite::Database& d) -> absl::Status {
                    d.exec(text);
                    return absl::OkStatus();
                  }).ok());
  };
  ASSERT_TRUE(dictionaries.Insert(Rows("d1", 50)).ok());
  sql("UPDATE dictionaries SET owner = 'ana'");
  sql("CREATE TRIGGER full BEFORE DELETE ON features BEGIN SELECT RAISE(ABORT, 'full'); END");
  EXPECT_FALSE(dictionaries.Delete("d1").ok());
  EXPECT_FALSE(Seen("d1"));
  EXPECT_EQ(Count("features"), 50);
  AccessTable access(*db);
  EXPECT_TRUE(*access.Owns("dictionaries", "d1", "ana"));
  EXPECT_FALSE(*access.Owns("dictionaries", "d1", "bea"));
  EXPECT_FALSE(*access.Owns("dictionaries", "d2", "ana"));
  EXPECT_FALSE(dictionaries.Delete("d1").ok()) << "it is full still";
  sql("DROP TRIGGER full");
  EXPECT_TRUE(dictionaries.Delete("d1").ok());
  EXPECT_EQ(Count("features") + Count("conditions") + Count("dictionaries"), 0);
  EXPECT_TRUE(absl::IsNotFound(dictionaries.Delete("d1")));

  // What a job still writes is nobody's to remove.
  JobRow job;
  job.id = "d2";
  job.request_digest = "d";
  job.kind = "train";
  job.recording_id = "r1";
  job.spec = "{}";
  ASSERT_TRUE(jobs.Insert(job).ok());
  ASSERT_TRUE(jobs.Start("d2", 1)->has_value());
  DictionaryRows broken = Rows("d2", 50);
  broken.associations.push_back(broken.associations.back());
  EXPECT_FALSE(dictionaries.Insert(broken, Attempt{"d2", 1}).ok());
  EXPECT_TRUE(absl::IsNotFound(dictionaries.Delete("d2")));
  EXPECT_EQ(Count("features"), 50);
}

// Calls with tokens stood behind whoever wrote.
TEST_F(Pieces, NotingThatATokenWasUsedWaitsForNobody) {
  PeopleTable people(*db);
  ASSERT_TRUE(people.InsertUser({"ana", "admin", 1, false, 1, {}}).ok());
  TokenRow token;
  token.id = "t1";
  token.user = "ana";
  ASSERT_TRUE(people.InsertToken(token).ok());
  std::mutex held;
  held.lock();
  std::atomic<bool> writes = false;
  std::thread writer([&] {
    EXPECT_TRUE(db->Write([&](SQLite::Database&) -> absl::Status {
                    writes = true;
                    const std::lock_guard wait(held);
                    return absl::OkStatus();
                  }).ok());
  });
  while (!writes) std::this_thread::yield();
  const auto start = Clock::now();
  people.Used("t1", 77);
  EXPECT_EQ(people.Token("t1")->last_used_at, 77);
  EXPECT_EQ(people.Tokens("ana")->at(0).last_used_at, 77);
  EXPECT_LT(Clock::now() - start, std::chrono::seconds(1));
  held.unlock();
  writer.join();
  EXPECT_FALSE(PeopleTable(*db).Token("t1")->last_used_at.has_value());
  ASSERT_TRUE(people.SaveUsed().ok());
  EXPECT_EQ(PeopleTable(*db).Token("t1")->last_used_at, 77);
}

}  // namespace
}  // namespace saed::storage
