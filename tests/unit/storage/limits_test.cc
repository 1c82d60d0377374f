// No read costs more than its call: reads end with it, and none holds up what others need.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "server/base/on_behalf.h"
#include "server/base/shared_steps.h"
#include "storage/database.h"
#include "storage/feature_query.h"
#include "storage/jobs_table.h"
#include "storage/people_table.h"
#include "tests/tools/temp_dir.h"

namespace saed::storage {
namespace {

using ::testing::HasSubstr;
using Clock = std::chrono::steady_clock;

double Since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Never ends by itself.
absl::Status Endless(SQLite::Database& db) {
  SQLite::Statement s(
      db, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n");
  s.executeStep();
  return absl::OkStatus();
}

absl::Status Short(SQLite::Database& db) {
  SQLite::Statement s(db, "SELECT 1");
  s.executeStep();
  return absl::OkStatus();
}

class ReadLimits : public testing::Test {
 protected:
  absl::Status Ends() const {
    return stop ? absl::DeadlineExceededError("the deadline passed") : absl::OkStatus();
  }
  // Runs `read` for a call of `who` until `stop`.
  template <class Read>
  void Start(const std::string& who, Read read) {
    threads.emplace_back([this, who, read] {
      const OnBehalf call(who, [this] { return Ends(); });
      const absl::Status status = read();
      EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
    });
  }
  // Until what was started has every connection for searches: several in a row get none.
  void UntilSearchesWait() {
    for (int tries = 0, refused = 0; refused < 3; ++tries) {
      ASSERT_LT(tries, 100);
      const auto start = Clock::now();
      const OnBehalf call("ada", [&] {
        return Since(start) < 0.1 ? absl::OkStatus() : absl::DeadlineExceededError("too late");
      });
      refused = db->Search("filter", Short).ok() ? 0 : refused + 1;
    }
  }
  void Stop() {
    stop = true;
    for (auto& t : threads) t.join();
    threads.clear();
  }

  test_tools::TempDir dir;
  std::unique_ptr<Database> db = *Database::Open(dir / "saed.db");
  std::atomic<bool> stop = false;
  std::vector<std::thread> threads;
};

TEST_F(ReadLimits, AReadEndsWithItsCall) {
  const auto start = Clock::now();
  const OnBehalf call("ivy", [&] {
    return Since(start) < 0.2 ? absl::OkStatus() : absl::DeadlineExceededError("too late");
  });
  EXPECT_EQ(db->Read(Endless).code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_LT(Since(start), 1);
  EXPECT_TRUE(db->Read(Short).ok()) << "the connection goes on";
}

TEST_F(ReadLimits, WhoWaitsForAConnectionEndsWithTheCallToo) {
  for (int i = 0; i < 12; ++i) {
    Start("", [&] { return db->Read(Endless); });
  }
  const auto start = Clock::now();
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  Stop();
  EXPECT_LT(Since(start), 2);
}

TEST_F(ReadLimits, TheServersOwnReadsNeverWaitForCalls) {
  for (int i = 0; i < 8; ++i) {
    Start("ivy", [&] { return db->Read(Endless); });
    Start("ivy", [&] { return db->Search("filter", Endless); });
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  const auto start = Clock::now();
  EXPECT_TRUE(db->Read(Short).ok());
  EXPECT_LT(Since(start), 1);
  Stop();
}

TEST_F(ReadLimits, NobodysSearchesHoldUpAnothersReadsAndSearches) {
  for (int i = 0; i < 16; ++i) {
    Start("ivy", [&] { return db->Search("filter", Endless); });
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  {
    const OnBehalf call("ada", [] { return absl::OkStatus(); });
    const auto start = Clock::now();
    EXPECT_TRUE(db->Read(Short).ok());
    EXPECT_TRUE(db->Search("filter", Short).ok());
    EXPECT_LT(Since(start), 1);
  }
  Stop();
}

TEST_F(ReadLimits, WhoCallsIsKnownWithoutAConnection) {
  PeopleTable people(*db);
  ASSERT_TRUE(people.InsertUser({"ana", "admin", 1, false, 1, {}}).ok());
  for (const char* who : {"", "ivy", "ada", "bob"}) {
    for (int i = 0; i < 6; ++i) {
      Start(who, [&] { return db->Read(Endless); });
    }
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  const auto start = Clock::now();
  {
    const OnBehalf call("eve", [&] {
      return Since(start) < 2 ? absl::OkStatus() : absl::DeadlineExceededError("too late");
    });
    const auto known = people.Known();
    ASSERT_TRUE(known.ok()) << known.status();
    EXPECT_EQ((*known)->users.count("ana"), 1U);
  }
  // Exact after a change, whose read is the server's own.
  ASSERT_TRUE(people.InsertUser({"ben", "member", 1, false, 1, {}}).ok());
  EXPECT_EQ((*people.Known())->users.count("ben"), 1U);
  Stop();
}

TEST_F(ReadLimits, ASearchThatCostsTooMuchNamesItsField) {
  const auto small = Database::Open(dir / "small.db", {}, 1'000'000);
  const OnBehalf call("ivy", [] { return absl::OkStatus(); });
  const absl::Status status = (*small)->Search("filter", Endless);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("filter: makes the server look at more"));
  EXPECT_EQ((*small)->Read(Endless).code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(ReadLimits, SearchesThatShareTheirStepsHaveThoseOfOne) {
  const auto small = Database::Open(dir / "small.db", {}, 1'000'000);
  const OnBehalf call("ivy", [] { return absl::OkStatus(); });
  const auto counts = [](SQLite::Database& db) -> absl::Status {  // some 0.4 M steps
    SQLite::Statement s(db,
                        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT "
                        "30000) SELECT count(*) FROM n");
    s.executeStep();
    return absl::OkStatus();
  };
  const auto search = [&] { return (*small)->Search("name", counts); };
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(search().ok()) << "each has its own";
  {
    const SharedSteps all;
    EXPECT_TRUE(search().ok());
    int more = 0;
    while (more < 10 && search().ok()) ++more;
    EXPECT_LT(more, 9);
    EXPECT_TRUE(absl::IsInvalidArgument(search())) << "what is spent is spent";
  }
  EXPECT_TRUE(search().ok());
}

TEST_F(ReadLimits, FilteredListsOfJobsAreSearches) {
  for (int i = 0; i < 4; ++i) {
    Start("", [&] { return db->Search("filter", Endless); });
  }
  UntilSearchesWait();
  JobsTable jobs(*db);
  JobQuery filtered, plain, all;
  filtered.filter =
      *ParseJobFilter("state = FAILED", [](const std::string&, const std::string& t) { return t; });
  plain.trials = false;
  // Each with a call of its own: what waits ends with it.
  const auto waits = [&](const auto& read) {
    const auto start = Clock::now();
    const OnBehalf call("ada", [&] {
      return Since(start) < 0.3 ? absl::OkStatus() : absl::DeadlineExceededError("too late");
    });
    return absl::IsDeadlineExceeded(read()) && Since(start) >= 0.3;
  };
  EXPECT_TRUE(waits([&] { return jobs.List(filtered, 10, 100).status(); }));
  EXPECT_TRUE(waits([&] { return jobs.List(plain, 10, 100).status(); })) << "it walks past trials";
  EXPECT_TRUE(waits([&] { return jobs.TrialsLeftOut(plain).status(); }));
  EXPECT_TRUE(waits([&] { return jobs.Live(filtered, 10, 0).status(); }));
  const OnBehalf call("ada", [] { return absl::OkStatus(); });
  EXPECT_TRUE(jobs.List(all, 10, 100).ok());
  EXPECT_TRUE(jobs.Live(plain, 10, 0).ok());
  Stop();
  EXPECT_TRUE(jobs.List(filtered, 10, 100).ok());
}

class AnyName : public NameLookup {
 public:
  explicit AnyName(int position) : position_(position) {}
  Found Find(Kind, const std::string&) override { return {true, position_, ""}; }

 private:
  int position_;
};

TEST(FeatureQueryLimits, SoManyConditionsAndNoMore) {
  for (const auto& [position, most] : {std::pair(3, 24), std::pair(-1, 12)}) {
    AnyName names(position);
    std::string filter;
    for (int i = 0; i < most; ++i) {
      filter += fmt::format("{}auroc(\"c{}\") > 0.5", i == 0 ? "" : " AND ", i);
    }
    EXPECT_TRUE(FeatureQueryToSql(filter, "", names).ok()) << most;
    const auto more = FeatureQueryToSql(filter + " AND auroc(\"x\") > 0.5", "", names);
    EXPECT_EQ(more.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(more.status().message()),
                HasSubstr(fmt::format("filter: names more than {0} conditions and variables; must "
                                      "name at most {0} of",
                                      most)));
  }
}

}  // namespace
}  // namespace saed::storage
