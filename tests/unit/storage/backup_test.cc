#include "storage/backup.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>

#include "tests/tools/temp_dir.h"

namespace saed::storage {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kDay = int64_t{24} * 3600 * 1'000'000;  // µs

class Backups : public testing::Test {
 protected:
  Backups() {
    fs::create_directories(dir_ / "data");
    db_ = *Database::Open(dir_ / "data/saed.db");
  }

  test_tools::TempDir dir_;
  std::unique_ptr<Database> db_;
  ObjectStore objects_ = *ObjectStore::Open(dir_ / "data/objects");
};

TEST_F(Backups, TouchNothingThatExists) {
  fs::create_directories(dir_ / "monday.partial");
  std::ofstream(dir_ / "monday.partial/thesis.txt") << "years of work";
  const auto done = Backup(*db_, objects_, dir_ / "monday");
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_EQ(std::filesystem::status(dir_ / "monday").permissions(),
            std::filesystem::perms::owner_all);
  EXPECT_TRUE(fs::exists(dir_ / "monday.partial/thesis.txt"));
  EXPECT_TRUE(absl::IsFailedPrecondition(Backup(*db_, objects_, dir_ / "monday").status()));
  fs::create_directory(dir_ / "empty");
  EXPECT_TRUE(absl::IsFailedPrecondition(Backup(*db_, objects_, dir_ / "empty/").status()));
  fs::create_symlink(dir_ / "nowhere", dir_ / "link");
  EXPECT_TRUE(absl::IsFailedPrecondition(Backup(*db_, objects_, dir_ / "link").status()));
  int entries = 0;  // data, monday, monday.partial, empty, link: nothing is left over
  for (const auto& entry : fs::directory_iterator(dir_ / "")) ++entries, (void)entry;
  EXPECT_EQ(entries, 5);
}

TEST_F(Backups, StayOutOfTheDataDirectory) {
  fs::create_symlink(dir_ / "data", dir_ / "other");
  for (const char* to :
       {"data", "data/", "data/new", "data/objects/new", "x/../data/new", "other/new"}) {
    const auto done = Backup(*db_, objects_, dir_ / to);
    EXPECT_TRUE(absl::IsFailedPrecondition(done.status())) << to;
    EXPECT_NE(done.status().message().find("lies in the data directory"), std::string::npos) << to;
  }
  EXPECT_TRUE(Backup(*db_, objects_, dir_ / "data-2026").ok()) << "a name that begins alike";
}

TEST_F(Backups, ComeBackOnlyIntoAnEmptyFolderOutsideOfThem) {
  ASSERT_TRUE(Backup(*db_, objects_, dir_ / "monday").ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(Restore(dir_ / "monday", dir_ / "monday/new")));
  EXPECT_FALSE(fs::exists(dir_ / "monday/new"));
  EXPECT_TRUE(absl::IsFailedPrecondition(Restore(dir_ / "monday", dir_ / "data")));
  ASSERT_TRUE(Restore(dir_ / "monday", dir_ / "new/").ok());
  EXPECT_TRUE(fs::exists(dir_ / "new/saed.db"));
  EXPECT_FALSE(fs::exists(dir_ / "new/saed.db.partial"));
}

TEST_F(Backups, AnOlderDatabaseLosesNoNewerObject) {
  const std::string digest = *objects_.Put("a recording of today");
  auto swept = objects_.Sweep({}, 100 * kDay);  // yesterday's database does not name it
  ASSERT_TRUE(swept.ok()) << swept.status();
  EXPECT_EQ(swept->set_aside, 1);
  EXPECT_TRUE(absl::IsDataLoss(objects_.Get(digest).status()));
  swept = objects_.Sweep({digest}, 101 * kDay);  // today's is back
  ASSERT_TRUE(swept.ok()) << swept.status();
  EXPECT_EQ(swept->brought_back, 1);
  EXPECT_EQ(*objects_.Get(digest), "a recording of today");
}

TEST_F(Backups, WhatIsSetAsideGoesAfterDays) {
  const std::string digest = *objects_.Put("an orphan");
  ASSERT_TRUE(objects_.Sweep({}, 100 * kDay).ok());
  const int64_t last = (100 + ObjectStore::kAsideDays) * kDay;
  EXPECT_EQ(objects_.Sweep({}, last - 1'000'000)->emptied, 0);
  EXPECT_EQ(objects_.Sweep({}, last)->emptied, 1);
  EXPECT_EQ(objects_.Sweep({digest}, last)->brought_back, 0);
}

}  // namespace
}  // namespace saed::storage
