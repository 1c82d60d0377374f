// Users who leave, and tokens that tokens made.
#include <SQLiteCpp/SQLiteCpp.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/base/on_behalf.h"
#include "storage/access.h"
#include "storage/annotations_table.h"
#include "storage/database.h"
#include "storage/jobs_table.h"
#include "storage/people_table.h"
#include "storage/recordings_table.h"
#include "tests/tools/temp_dir.h"

namespace saed::storage {
namespace {

using ::testing::HasSubstr;

class Leaving : public testing::Test {
 protected:
  Leaving() : db_(*Database::Open(dir_ / "x.db")), people_(*db_) {
    for (const auto& [name, role] :
         {std::pair("root", "admin"), {"ana", "member"}, {"ben", "member"}, {"zoe", "reader"}}) {
      EXPECT_TRUE(people_.InsertUser({name, role, 1, false, 0, {}}).ok());
      EXPECT_TRUE(people_.InsertToken(Made(name, name)).ok());
    }
  }

  static TokenRow Made(const std::string& id, const std::string& user,
                       const std::string& with = "") {
    TokenRow t;
    t.id = id;
    t.user = user;
    t.created_at = 10;
    t.expires_at = 1000;
    t.made_with = with;
    return t;
  }

  absl::Status Record(const std::string& id, const std::string& digest, const std::string& owner) {
    return db_->Write([&](SQLite::Database& db) -> absl::Status {
      SQLite::Statement s(db,
                          "INSERT INTO recordings (id, digest, name, source, created_at, duration, "
                          "unit_count, spike_count, bytes, summary, owner, private) VALUES (?, ?, "
                          "'', '', 1, 1, 1, 1, 1, '{}', ?, 1)");
      SQLite::bind(s, id, digest, owner);
      s.exec();
      return absl::OkStatus();
    });
  }

  std::string Message(const absl::Status& status) { return std::string(status.message()); }

  test_tools::TempDir dir_;
  std::unique_ptr<Database> db_;
  PeopleTable people_;
};

TEST_F(Leaving, NeedsAnHeirForWhatIsTheirsAndNobodyGetsTheNameAgain) {
  ASSERT_TRUE(Record("r1", "d1", "ana").ok());
  const auto refused = people_.DeleteUser("ana", "", 20);
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status()));
  EXPECT_THAT(Message(refused.status()), HasSubstr("'ana' has 1 recording; name in reassign_to"));
  for (const auto& [heir, why] : {std::pair("ana", "who is to be deleted"),
                                  {"zoe", "a reader"},
                                  {"nix", "whom there is not"}}) {
    const auto wrong = people_.DeleteUser("ana", heir, 20);
    EXPECT_TRUE(absl::IsInvalidArgument(wrong.status())) << heir;
    EXPECT_THAT(Message(wrong.status()), HasSubstr(why));
  }
  EXPECT_EQ(people_.HeldBy("ana")->recordings, 1);
  const auto left = people_.DeleteUser("ana", "ben", 20);
  ASSERT_TRUE(left.ok()) << left.status();
  EXPECT_EQ(left->recordings, 1);
  EXPECT_EQ(*AccessTable(*db_).OwnerOf("recordings", "r1", {false, "ben"}), "ben");
  EXPECT_EQ(people_.HeldBy("ana")->recordings, 0);

  EXPECT_TRUE(absl::IsNotFound(people_.User("ana").status()));
  EXPECT_EQ((*people_.Known())->users.count("ana"), 0U);
  EXPECT_FALSE((*people_.Known())->tokens.at("ana").row.InForce(21));
  EXPECT_EQ(people_.Users()->size(), 3U);
  EXPECT_TRUE(absl::IsNotFound(people_.DeleteUser("ana", "ben", 21).status()));
  EXPECT_TRUE(absl::IsNotFound(people_.InsertToken(Made("new", "ana"))));
  EXPECT_TRUE(absl::IsNotFound(
      people_.UpdateUser("ana", [](UserRow&) { return absl::OkStatus(); }).status()));
  const auto again = people_.InsertUser({"ana", "member", 1, false, 30, {}});
  EXPECT_TRUE(absl::IsAlreadyExists(again));
  EXPECT_THAT(Message(again), HasSubstr("nobody gets the name again"));
}

TEST_F(Leaving, WhatComesLaterUnderTheNameIsTheLastHeirs) {
  ASSERT_TRUE(people_.DeleteUser("ana", "ben", 20).ok());
  ASSERT_TRUE(Record("r1", "d1", "ana").ok());  // an upload that had begun before
  EXPECT_EQ(*AccessTable(*db_).OwnerOf("recordings", "r1", {}), "ben");
  ASSERT_TRUE(people_.DeleteUser("ben", "root", 30).ok());
  EXPECT_EQ(*AccessTable(*db_).OwnerOf("recordings", "r1", {}), "root");
  ASSERT_TRUE(Record("r2", "d2", "ana").ok());
  EXPECT_EQ(*AccessTable(*db_).OwnerOf("recordings", "r2", {}), "root");
  for (const char* table : {"jobs", "sweeps", "models"}) {
    ASSERT_TRUE(db_->Read([&](SQLite::Database& db) -> absl::Status {
                     SQLite::Statement s(db,
                                         "SELECT 1 FROM sqlite_schema WHERE type = 'trigger' AND "
                                         "tbl_name = ? AND name LIKE '%inherited'");
                     s.bind(1, table);
                     return s.executeStep() ? absl::OkStatus() : absl::NotFoundError(table);
                   })
                    .ok())
        << table;
  }
}

TEST_F(Leaving, AnImportThatWasRunningIsTheHeirsWhoMayHaveItAlready) {
  RecordingsTable recordings(*db_);
  RecordingRow row;
  row.id = "r2";
  row.digest = "d";
  row.owner = "ana";
  row.summary = "{}";
  bool created = false;
  ASSERT_TRUE(Record("r1", "d", "ben").ok());
  ASSERT_TRUE(people_.DeleteUser("ana", "ben", 20).ok());
  for (const bool is_private : {false, true}) {
    row.is_private = is_private;
    const auto refused = recordings.Insert(row, {}, created);
    EXPECT_TRUE(absl::IsUnauthenticated(refused.status())) << refused.status();
    EXPECT_EQ(Message(refused.status()),
              "the user 'ana' was deleted while this came; nothing of it was kept");
  }
  ASSERT_TRUE(AccessTable(*db_).SetPrivate("r1", false).ok());
  EXPECT_TRUE(absl::IsUnauthenticated(recordings.Insert(row, {}, created).status()));
  row.is_private = false;
  const auto known = recordings.Insert(row, {}, created);
  ASSERT_TRUE(known.ok()) << known.status();
  EXPECT_EQ(known->id, "r1");
  EXPECT_FALSE(created);
  row.digest = "e";
  const auto kept = recordings.Insert(row, {}, created);
  ASSERT_TRUE(kept.ok()) << kept.status();
  EXPECT_TRUE(created);
  EXPECT_EQ(kept->owner, "ben");
  EXPECT_EQ(recordings.Get("r2")->owner, "ben");
}

TEST_F(Leaving, NamesOfAFeatureAreThereHoweverMuchWasSaid) {
  ASSERT_TRUE(Record("r", "d", "ana").ok());
  ASSERT_TRUE(db_->Write([&](SQLite::Database& db) -> absl::Status {
                   db.exec(
                       "INSERT INTO models (id, recording_id, name, created_at, features, window, "
                       "units, digest, spec, evaluation, provenance) VALUES ('m', 'r', '', 1, 4, "
                       "1, 1, '', '{}', '{}', '{}')");
                   db.exec(
                       "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < "
                       "1500) INSERT INTO annotations (model_id, latent, kind, text, author, "
                       "created_at) SELECT 'm', 1, CASE WHEN i > 1490 THEN 'label' WHEN i > 1480 "
                       "THEN 'tag' ELSE 'note' END, 'text ' || (i / 5), 'ana', i FROM n");
                   return absl::OkStatus();
                 })
                  .ok());
  AnnotationsTable annotations(*db_);
  const auto names = annotations.Names("m", 1);
  ASSERT_TRUE(names.ok()) << names.status();
  EXPECT_EQ(names->label, "text 300") << "the last one";
  EXPECT_EQ(names->tags, (std::vector<std::string>{"text 296", "text 297", "text 298"}));
  EXPECT_TRUE(annotations.Names("m", 2)->tags.empty());
}

TEST_F(Leaving, NobodyHasTheSameContentTwiceAndOneAdministratorStays) {
  ASSERT_TRUE(Record("r1", "d", "ana").ok());
  ASSERT_TRUE(Record("r2", "d", "ben").ok());
  const auto both = people_.DeleteUser("ana", "ben", 20);
  EXPECT_TRUE(absl::IsFailedPrecondition(both.status()));
  EXPECT_THAT(Message(both.status()), HasSubstr("recordings/r1 of 'ana' has the same content as "
                                                "recordings/r2 of 'ben'"));
  EXPECT_EQ(*AccessTable(*db_).OwnerOf("recordings", "r1", {}), "ana") << "half of it was done";
  const auto last = people_.DeleteUser("root", "", 20);
  EXPECT_TRUE(absl::IsFailedPrecondition(last.status()));
  EXPECT_THAT(Message(last.status()), HasSubstr("'root' is the last administrator"));
  EXPECT_TRUE(people_.User("root").ok());
  EXPECT_TRUE((*people_.Known())->tokens.at("root").row.InForce(21));
}

// As when each was let in as an administrator before the other was deleted.
TEST_F(Leaving, OfAdministratorsWhoDeleteEachOtherOneStays) {
  for (const char* name : {"kim", "lou"}) {
    ASSERT_TRUE(people_.InsertUser({name, "admin", 1, false, 0, {}}).ok());
  }
  ASSERT_TRUE(people_.DeleteUser("kim", "", 20, "lou").ok());
  const auto back = people_.DeleteUser("lou", "", 20, "kim").status();
  EXPECT_TRUE(absl::IsPermissionDenied(back)) << back;
  EXPECT_THAT(Message(back), HasSubstr("'kim' is no administrator any more"));
  const auto disable = [](UserRow& user) {
    user.disabled = true;
    return absl::OkStatus();
  };
  EXPECT_TRUE(absl::IsPermissionDenied(people_.UpdateUser("lou", disable, "kim").status()));
  EXPECT_TRUE(people_.User("lou").ok());
  ASSERT_TRUE(people_.UpdateUser("lou", disable, "root").ok());
  EXPECT_TRUE(absl::IsPermissionDenied(people_.UpdateUser("root", disable, "lou").status()));
}

// As when they were let in as administrators a moment before.
TEST_F(Leaving, WhoIsNoAdministratorAnyMoreMakesNobodyAndNoTokenOfAnother) {
  for (const char* name : {"kim", "lou"}) {
    ASSERT_TRUE(people_.InsertUser({name, "admin", 1, false, 0, {}}).ok());
    ASSERT_TRUE(people_.InsertToken(Made(name, name)).ok());
  }
  ASSERT_TRUE(people_.DeleteUser("kim", "", 20, "root").ok());
  const auto demote = [](UserRow& user) {
    user.role = "member";
    return absl::OkStatus();
  };
  ASSERT_TRUE(people_.UpdateUser("lou", demote, "root").ok());
  for (const std::string who : {"kim", "lou", "root"}) {
    const OnBehalf call(who, [] { return absl::OkStatus(); });
    const auto made = people_.InsertUser({"of-" + who, "admin", 1, false, 30, {}});
    // lou's token goes on; kim's went with her, so the one without it stands for what is seen late.
    TokenRow token = Made("t-" + who, "root", who == "lou" ? "lou" : "");
    token.maker = who;
    const auto given = people_.InsertToken(token);
    EXPECT_EQ(people_.User("of-" + who).ok(), who == "root");
    EXPECT_EQ(people_.Token("t-" + who).ok(), who == "root");
    if (who == "root") continue;
    for (const absl::Status& refused : {made, given}) {
      EXPECT_TRUE(absl::IsPermissionDenied(refused)) << refused;
      EXPECT_THAT(Message(refused), HasSubstr("is no administrator any more"));
    }
  }
  TokenRow own = Made("own", "lou", "lou");
  own.maker = "lou";
  EXPECT_TRUE(people_.InsertToken(own).ok());
}

TEST_F(Leaving, RevokesWhatATokenMadeWhereAsked) {
  ASSERT_TRUE(people_.InsertToken(Made("a1", "ana", "ana")).ok());
  ASSERT_TRUE(people_.InsertToken(Made("a2", "ana", "a1")).ok());
  ASSERT_TRUE(people_.InsertToken(Made("a3", "ana")).ok());
  EXPECT_EQ(people_.Token("a2")->made_with, "a1");
  EXPECT_EQ(*people_.Revoke("a1", 20), 1);
  EXPECT_FALSE(people_.Token("a2")->revoked_at.has_value());
  EXPECT_EQ(*people_.Revoke("ana", 20, true), 2) << "a1 was revoked before";
  EXPECT_TRUE(people_.Token("a2")->revoked_at.has_value());
  EXPECT_FALSE(people_.Token("a3")->revoked_at.has_value());
  EXPECT_TRUE(absl::IsNotFound(people_.Revoke("nix", 20).status()));
}

// A call may have waited behind the one that revoked its token.
TEST_F(Leaving, MakeNoTokenWithOneThatIsNoLongerInForce) {
  ASSERT_TRUE(people_.InsertToken(Made("a1", "ana", "ana")).ok());
  ASSERT_TRUE(people_.Revoke("ana", 20, true).ok());
  ASSERT_TRUE(people_.InsertToken(Made("z", "zoe")).ok());
  ASSERT_TRUE(people_
                  .UpdateUser("zoe",
                              [](UserRow& user) {
                                user.disabled = true;
                                return absl::OkStatus();
                              })
                  .ok());
  TokenRow late = Made("late", "ben", "ben");
  late.created_at = 1000;
  for (const auto& [token, why] : {std::pair(Made("a2", "ana", "ana"), "the token was revoked"),
                                   {Made("a2", "ben", "a1"), "the token was revoked"},
                                   {Made("a2", "ben", "nix"), "the token is not known"},
                                   {Made("a2", "ben", "z"), "the user is disabled"},
                                   {late, "the token has expired"}}) {
    const auto refused = people_.InsertToken(token);
    EXPECT_TRUE(absl::IsUnauthenticated(refused)) << refused;
    EXPECT_EQ(Message(refused), why);
    EXPECT_TRUE(absl::IsNotFound(people_.Token(token.id).status()));
  }
}

TEST_F(Leaving, RevokesWhatATokenMadeForOthers) {
  ASSERT_TRUE(people_.InsertToken(Made("a1", "ana", "root")).ok());
  ASSERT_TRUE(people_.InsertToken(Made("a2", "ana", "a1")).ok());
  ASSERT_TRUE(people_.InsertToken(Made("r1", "root", "root")).ok());
  EXPECT_EQ(people_.Token("a1")->maker, "root");
  EXPECT_EQ((*people_.Known())->tokens.at("a2").row.maker, "ana");
  EXPECT_EQ(people_.Token("root")->maker, "");
  EXPECT_EQ(*people_.Revoke("root", 20, true, "root"), 2) << "root's own";
  EXPECT_TRUE(people_.Token("a1")->InForce(21));
  EXPECT_EQ(*people_.Revoke("root", 20, true), 2);
  EXPECT_FALSE(people_.Token("a1")->InForce(21));
  EXPECT_FALSE(people_.Token("a2")->InForce(21));
}

TEST_F(Leaving, NoChainBreaksWhereOldTokensAreDropped) {
  ASSERT_TRUE(people_.InsertToken(Made("first", "ben", "ana")).ok());
  // Each made with the one before, which is then revoked; and b by one of them for another.
  std::string last = "ana";
  for (int i = 0; i < 120; ++i) {
    TokenRow next = Made(fmt::format("x{:03}", i), "ana", last);
    next.created_at = 11 + i;
    ASSERT_TRUE(people_.InsertToken(next).ok());
    if (i == 1) {
      ASSERT_TRUE(people_.InsertToken(Made("b", "ben", "x001")).ok());
    }
    if (last != "ana") {
      ASSERT_TRUE(people_.Revoke(last, 200).ok());
    }
    last = next.id;
  }
  EXPECT_TRUE(absl::IsNotFound(people_.Token("x000").status())) << "dropped";
  EXPECT_EQ(people_.Token("x001")->made_with, "ana") << "which made x000";
  EXPECT_EQ(people_.Token("b")->made_with, "x001") << "which stays, as b is in force";
  EXPECT_TRUE(absl::IsNotFound(people_.Token("x002").status())) << "dropped";
  EXPECT_LE(people_.Tokens("ana")->size(), 105U);
  EXPECT_EQ(*people_.Revoke("ana", 300, true), 4) << "ana, first, b and the last";
  for (const auto& id : {std::string("first"), std::string("b"), last}) {
    EXPECT_FALSE(people_.Token(id)->InForce(301)) << id;
  }
}

TEST_F(Leaving, TokensInForceAreLimitedAndDeadOnesDoNotPileUp) {
  for (int i = 1; i < kMostTokens; ++i) {
    ASSERT_TRUE(people_.InsertToken(Made(fmt::format("a{:03}", i), "ana")).ok());
  }
  const auto more = people_.InsertToken(Made("more", "ana"));
  EXPECT_TRUE(absl::IsResourceExhausted(more));
  EXPECT_THAT(Message(more), HasSubstr("'ana' has 50 tokens in force"));
  EXPECT_TRUE(people_.InsertToken(Made("b", "ben")).ok());
  ASSERT_TRUE(people_.Revoke("a001", 20).ok());
  EXPECT_TRUE(people_.InsertToken(Made("more", "ana")).ok());
  for (int i = 0; i < 120; ++i) {
    const std::string id = fmt::format("x{:03}", i);
    ASSERT_TRUE(people_.Revoke("more", 20).ok() && people_.InsertToken(Made(id, "ana")).ok());
    ASSERT_TRUE(people_.Revoke(id, 20).ok());
  }
  EXPECT_LE(people_.Tokens("ana")->size(), 150U + 2);
  // Page by page it is the same list.
  const auto all = *people_.Tokens("");
  std::vector<std::string> ids;
  int64_t before = std::numeric_limits<int64_t>::max();
  for (std::string after;;) {
    const auto page = *people_.Tokens("", 7, before, after);
    for (const TokenRow& t : page) ids.push_back(t.id);
    if (page.size() < 7) break;
    before = page.back().created_at;
    after = page.back().id;
  }
  ASSERT_EQ(ids.size(), all.size());
  for (size_t i = 0; i < ids.size(); ++i) EXPECT_EQ(ids[i], all[i].id);
  EXPECT_THAT(people_.Users(2, "ana")->front().name, "ben");
}

}  // namespace
}  // namespace saed::storage
