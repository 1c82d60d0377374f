#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "server/base/faults.h"
#include "storage/access.h"
#include "storage/annotations_table.h"
#include "storage/chores_table.h"
#include "storage/database.h"
#include "storage/dictionaries_table.h"
#include "storage/jobs_table.h"
#include "storage/models_table.h"
#include "storage/people_table.h"
#include "storage/recordings_table.h"
#include "storage/sweeps_table.h"
#include "tests/tools/temp_dir.h"

namespace saed::storage {
namespace {

class Storage : public testing::Test {
 protected:
  Storage()
      : db(*Database::Open(dir / "saed.db")),
        recordings(*db),
        jobs(*db),
        models(*db),
        dictionaries(*db) {
    bool created = false;
    EXPECT_TRUE(recordings.Insert(Rec("r1"), {{7, "good", "V1", 12.5, 3, "{}"}}, created).ok());
  }
  static RecordingRow Rec(const std::string& id) {
    return {id, "digest-" + id, "name", "nwb", 5, 1.5, 1, 3, 10, "{}", "", false};
  }
  static JobRow Job(const std::string& id, const std::string& request = "") {
    JobRow row;
    row.id = id;
    row.request_id = request;
    row.request_digest = "d";
    row.kind = "train";
    row.recording_id = "r1";
    row.spec = "{}";
    return row;
  }

  saed::test_tools::TempDir dir;
  std::unique_ptr<Database> db;
  RecordingsTable recordings;
  JobsTable jobs;
  ModelsTable models;
  DictionariesTable dictionaries;
};

TEST_F(Storage, TheSameDigestIsOneRecording) {
  bool created = true;
  RecordingRow again = Rec("r1");
  again.name = "other name";
  EXPECT_EQ(recordings.Insert(again, {}, created)->name, "name");
  EXPECT_FALSE(created);
  EXPECT_EQ((*recordings.Units("r1", 10, -1))[0].depth, 12.5);
  EXPECT_TRUE(absl::IsNotFound(recordings.Get("nothing").status()));
}

TEST_F(Storage, ARecordingInUseStays) {
  ASSERT_TRUE(jobs.Insert(Job("j1")).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(recordings.Delete("r1").status()));
  ASSERT_TRUE(jobs.RequestCancel("j1", 9).ok());
  ASSERT_TRUE(jobs.Delete("j1").ok());
  EXPECT_EQ(*recordings.Delete("r1"), "digest-r1");
  EXPECT_TRUE(absl::IsNotFound(recordings.Delete("r1").status()));
}

TEST_F(Storage, SubmissionIsIdempotentByRequestId) {
  EXPECT_EQ(jobs.Insert(Job("j1", "user::req"))->id, "j1");
  EXPECT_EQ(jobs.Insert(Job("j2", "user::req"))->id, "j1");
  JobRow other = Job("j3", "user::req");
  other.request_digest = "something else";
  EXPECT_TRUE(absl::IsAlreadyExists(jobs.Insert(other).status()));
  JobRow lost = Job("j4");
  lost.recording_id = "nothing";
  EXPECT_TRUE(absl::IsNotFound(jobs.Insert(lost).status()));
}

TEST_F(Storage, StatesChangeOnlyFromTheStateTheyLeave) {
  ASSERT_TRUE(jobs.Insert(Job("j1")).ok());
  EXPECT_EQ((*jobs.Start("j1", 1))->attempt, 1);
  EXPECT_FALSE(jobs.Start("j1", 2)->has_value());
  EXPECT_EQ(*jobs.SetCheckpoint({"j1", 1}, "c1", 10), "");
  EXPECT_EQ(*jobs.SetCheckpoint({"j1", 1}, "c2", 20), "c1");
  EXPECT_EQ(*jobs.Checkpoints(), std::vector<std::string>{"c2"});
  ASSERT_EQ(jobs.Recover(2)->size(), 1U);
  EXPECT_TRUE(jobs.Start("j1", 3)->has_value());
  EXPECT_EQ(jobs.Get("j1")->attempt, 2);
  EXPECT_EQ(jobs.Get("j1")->started_at, 1);
  EXPECT_EQ(jobs.Finish({"j1", 2}, "SUCCEEDED", 0, "", 2.5, 4)->checkpoint, "c2");
  EXPECT_TRUE(jobs.Checkpoints()->empty());
  EXPECT_TRUE(absl::IsFailedPrecondition(jobs.Finish({"j1", 2}, "FAILED", 13, "", 1, 5).status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(jobs.RequestCancel("j1", 6).status()));
}

TEST_F(Storage, ProgressIsKeptInOrder) {
  ASSERT_TRUE(jobs.Insert(Job("j1")).ok());
  ASSERT_TRUE(jobs.Start("j1", 1)->has_value());
  for (const char* body : {"a", "b", "c"}) {
    ASSERT_TRUE(jobs.AppendProgress({"j1", 1}, body).ok());
  }
  const auto rows = jobs.ReadProgress("j1", 1, 10);
  ASSERT_EQ(rows->size(), 2u);
  EXPECT_EQ((*rows)[0].sequence, 2);
  EXPECT_EQ((*rows)[1].body, "c");
}

TEST_F(Storage, OldProgressIsThinnedEvenly) {
  for (const char* id : {"old", "new", "runs"}) {
    ASSERT_TRUE(jobs.Insert(Job(id)).ok());
    ASSERT_TRUE(jobs.Start(id, 1)->has_value());
    for (int i = 1; i <= 103; ++i) {
      ASSERT_TRUE(jobs.AppendProgress({id, 1}, std::to_string(i)).ok());
    }
  }
  ASSERT_TRUE(jobs.Finish({"old", 1}, "SUCCEEDED", 0, "", 1, 10).ok());
  ASSERT_TRUE(jobs.Finish({"new", 1}, "SUCCEEDED", 0, "", 1, 20).ok());
  EXPECT_EQ(*jobs.ThinProgress(20, 10), 103 - 11);
  const auto kept = jobs.ReadProgress("old", 0, 1000);
  std::vector<int64_t> sequences;
  for (const auto& p : *kept) sequences.push_back(p.sequence);
  EXPECT_EQ(sequences, (std::vector<int64_t>{1, 12, 23, 34, 45, 56, 67, 78, 89, 100, 103}));
  EXPECT_EQ(kept->back().body, "103");
  EXPECT_EQ(jobs.ReadProgress("new", 0, 1000)->size(), 103U);
  EXPECT_EQ(jobs.ReadProgress("runs", 0, 1000)->size(), 103U);
  EXPECT_EQ(*jobs.ThinProgress(20, 10), 0) << "nothing is thinned twice";
}

TEST_F(Storage, AUserHasOnlySoManyUnfinishedJobs) {
  ASSERT_TRUE(jobs.Insert(Job("j1", "user::req"), 1).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(jobs.Insert(Job("j2", "other"), 1).status()));
  EXPECT_EQ(jobs.Insert(Job("j3", "user::req"), 1)->id, "j1") << "asked again, not a new job";
  EXPECT_TRUE(jobs.Insert(Job("j4"), 2).ok());
  ASSERT_TRUE(jobs.RequestCancel("j1", 1).ok());
  EXPECT_TRUE(jobs.Insert(Job("j5"), 2).ok());
}

TEST_F(Storage, ASweepThatEndedBeginsNoTrials) {
  SweepsTable sweeps(*db);
  SweepRow sweep;
  sweep.id = "s1";
  sweep.recording_id = "r1";
  sweep.spec = "{}";
  ASSERT_TRUE(sweeps.Insert(sweep).ok());
  JobRow trial = Job("j1");
  trial.sweep_id = "s1";
  ASSERT_TRUE(jobs.Insert(trial).ok());
  ASSERT_TRUE(sweeps.Finish("s1", {"CANCELLED", "", {}, ""}, 5).ok());
  trial.id = "j2";
  EXPECT_TRUE(absl::IsFailedPrecondition(jobs.Insert(trial).status()));
}

TEST_F(Storage, AFailedTransactionLeavesNothing) {
  const auto status = db->Write([](SQLite::Database& d) -> absl::Status {
    d.exec("DELETE FROM units");
    return absl::AbortedError("no");
  });
  EXPECT_TRUE(absl::IsAborted(status));
  EXPECT_EQ(recordings.Units("r1", 10, -1)->size(), 1u);
}

class Features : public Storage {
 protected:
  Features() {
    EXPECT_TRUE(models
                    .Insert({"m1", "r1", "", 1, 4, 1, 1, "x", "{}", "{}", "{}"},
                            {{"encoder", {4, 1}, {1, 2, 3, 4}}})
                    .ok());
    std::vector<FeatureRow> features(4);
    std::vector<AssociationRow> associations;
    for (int j = 0; j < 4; ++j) {
      features[j].latent = j;
      features[j].density = 0.1 * j;
      features[j].decoder = features[j].trace_map = {1};
      AssociationRow a;
      a.condition = 0;
      a.latent = j;
      a.test.auroc = j == 3 ? std::nullopt : std::optional<double>(0.9 - 0.1 * j);
      a.train.auroc = 0.5 + 0.1 * j;
      a.q_value = 0.01 * (j + 1);
      a.auroc_low = 0.25;
      associations.push_back(a);
    }
    features[2].best_condition = 0;
    EXPECT_TRUE(dictionaries
                    .Insert({{"d1", "m1", "r1", 2, 4, 10, 5, "[]", "{}", R"({"a":1})"},
                             {{0,
                               "t.kind=a",
                               "{}",
                               3,
                               2,
                               17,
                               true,
                               0.8,
                               0.7,
                               0.6,
                               0.55,
                               1,
                               0.75,
                               0.9,
                               0.8,
                               -0.02,
                               -0.05,
                               0.01,
                               "{\"members\":[]}",
                               R"({"scored":3})",
                               {},
                               {}}},
                             features,
                             associations,
                             {{0, "speed", "{}", 17, 0.3, 0.2}},
                             {{0, 1, 0.5, 0.4, 0.1, 0.05, 0.01, 0.02, {1, 2}, R"({"kind":"rate"})"},
                              {0, 2, -0.5, -0.4, 0.2, 0.15, 0.01, 0.02, {3, 4}, "{}"}},
                             {{1, 0, 7, 5, 0.1, {1, 2, 3, 4}}}})
                    .ok());
  }
  std::string List(const std::string& filter, const std::string& order, int limit = 10,
                   const ListedFeature* after = nullptr) {
    FeatureQuery q;
    q.dictionary_id = dictionary;
    q.filter = filter;
    q.order_by = order;
    q.limit = limit;
    q.has_after = after != nullptr;
    if (after != nullptr) {
      q.after_key = after->key;
      q.after_latent = after->feature.latent;
      q.after_dictionary = after->dictionary_id;
    }
    const auto rows = dictionaries.ListFeatures(q);
    if (!rows.ok()) return std::string(rows.status().message());
    last = rows->empty() ? ListedFeature{} : rows->back();
    std::string out;
    for (const auto& r : *rows) out += std::to_string(r.feature.latent);
    return out;
  }
  ListedFeature last;
  std::string dictionary = "d1";
};

TEST_F(Features, FilterAndOrderInSql) {
  EXPECT_EQ(List("", ""), "0123");
  EXPECT_EQ(List("density > 0.05 AND density < 0.25", "density desc"), "21");
  EXPECT_EQ(List("auroc(\"t.kind=a\") > 0.75", ""), "01");
  EXPECT_EQ(List("NOT auroc(\"t.kind=a\") > 0.75", ""), "23");
  EXPECT_EQ(List("", "auroc(\"t.kind=a\") desc"), "012");  // 3 has none
  EXPECT_EQ(List("", "auroc(\"t.kind=a\", \"train\") desc"), "3210");
  EXPECT_EQ(List("best_condition = \"t.kind=a\"", ""), "2");
  EXPECT_EQ(List("q_value(\"t.kind=a\") < 0.025", "q_value(\"t.kind=a\") desc"), "10");
  EXPECT_EQ(List("p_value(\"t.kind=a\") < 2", ""), "");  // none was computed
}

TEST_F(Features, AllDictionariesInOneQuery) {
  dictionary = "";
  EXPECT_EQ(List("", ""), "0123");
  EXPECT_EQ(List("auroc(\"t.kind=a\") > 0.75", "auroc(\"t.kind=a\") asc"), "10");
  EXPECT_EQ(List("auroc(\"t.kind=a\") > 0.75 OR density > 0.25", "density desc"), "310");
  EXPECT_EQ(List("best_condition = \"t.kind=a\"", ""), "2");
  EXPECT_EQ(List("best_condition != \"t.kind=a\"", ""), "013");
  EXPECT_EQ(List("recording = \"recordings/r1\" AND model = m1", ""), "0123");
  EXPECT_EQ(List("recording = \"recordings/r2\"", ""), "");
  EXPECT_EQ(List("spearman(speed) > 0.1", ""), "1");
  EXPECT_EQ(List("information(speed) > 0", "information(speed) desc"), "21");
  EXPECT_EQ(List("", "density desc", 2), "32");
  const ListedFeature first = last;
  EXPECT_EQ(List("", "density desc", 2, &first), "10");
}

TEST_F(Features, VariablesAndResponsesComeBack) {
  const auto tunings = dictionaries.Tunings("d1", 2);
  ASSERT_TRUE(tunings.ok());
  EXPECT_EQ((*tunings)[0].test_spearman, -0.4);
  EXPECT_EQ((*tunings)[0].curves, (std::vector<float>{3, 4}));
  const auto responses = dictionaries.Responses("d1", 1);
  ASSERT_TRUE(responses.ok());
  EXPECT_EQ((*responses)[0].events, 7);
  const auto variables = dictionaries.Variables("d1");
  ASSERT_TRUE(variables.ok());
  EXPECT_EQ((*variables)[0].best_unit_test, 0.2);
  const auto conditions = dictionaries.Conditions("d1");
  EXPECT_EQ((*conditions)[0].best_feature, 1);
  EXPECT_EQ((*conditions)[0].probe_counts, 0.8);
  EXPECT_EQ((*conditions)[0].best_feature_test_auroc, 0.8);
}

TEST_F(Features, AnnotationsOutliveDictionariesAndAreNeverOverwritten) {
  AnnotationsTable annotations(*db);
  const auto add = [&](const char* kind, const char* text, int latent) {
    AnnotationRow row;
    row.model_id = "m1";
    row.latent = latent;
    row.kind = kind;
    row.text = text;
    row.author = "ada";
    row.created_at = 5;
    return annotations.Add(row);
  };
  ASSERT_TRUE(add("label", "flash", 1).ok());
  ASSERT_TRUE(add("label", "full-field flash", 1).ok());
  ASSERT_TRUE(add("tag", "checked", 1).ok());
  EXPECT_EQ(add("tag", "checked", 1)->id, 3);
  ASSERT_TRUE(add("note", "see session 4", 1).ok());
  EXPECT_TRUE(absl::IsNotFound(add("tag", "x", 4).status()));
  EXPECT_EQ(List("label = \"full-field flash\"", ""), "1");
  EXPECT_EQ(last.label, "full-field flash");
  EXPECT_EQ(last.tags, (std::vector<std::string>{"checked"}));
  EXPECT_EQ(List("label:flash AND tag = checked", ""), "1");
  EXPECT_EQ(List("label = flash", ""), "");
  EXPECT_EQ(List("tag != checked", ""), "023");
  EXPECT_EQ(List("tag = checked OR latent = 0", ""), "01");
  EXPECT_EQ(List("NOT label:flash", ""), "023");
  // The values of a label that is looked up first come before those of the joins.
  FeatureQuery everywhere;
  everywhere.filter = "latent < 3 AND label:flash AND auroc(\"t.kind=a\") >= 0 AND tag = checked";
  everywhere.order_by = "auroc(\"t.kind=a\") desc";
  const auto labelled = dictionaries.ListFeatures(everywhere);
  ASSERT_TRUE(labelled.ok()) << labelled.status();
  ASSERT_EQ(labelled->size(), 1U);
  EXPECT_EQ((*labelled)[0].feature.latent, 1);
  const auto history = annotations.List("m1", 1, true);
  ASSERT_EQ(history->size(), 4u);
  EXPECT_EQ((*history)[0].deleted_by, "ada");
  EXPECT_EQ(annotations.List("m1", 1, false)->size(), 3u);
  ASSERT_TRUE(annotations.Delete("m1", 1, 3, "bo", 9).ok());
  EXPECT_TRUE(absl::IsNotFound(annotations.Delete("m1", 1, 3, "bo", 9)));
  EXPECT_EQ(List("tag = checked", ""), "");
}

// Every kind of query that must be, and its plan: no scan of a whole table, and a sort only where
// few rows remain.
TEST_F(Features, IndexesServeQueries) {
  const auto plan = [&](const std::string& in, const std::string& filter,
                        const std::string& order) {
    FeatureQuery q;
    q.dictionary_id = in;
    q.filter = filter;
    q.order_by = order;
    const auto steps = dictionaries.Explain(q);
    EXPECT_TRUE(steps.ok()) << steps.status();
    std::string out;
    for (const auto& step : *steps) out += step + "\n";
    return out;
  };
  const std::string score = "auroc(\"t.kind=a\")";
  for (const std::string in : {"d1", ""}) {
    for (const std::string order :
         {"", "density desc", "mean_activation desc", "max_activation asc", "active_windows desc",
          "best_auroc desc", "importance desc"}) {
      if (in.empty() && order.empty()) continue;
      const std::string p = plan(in, "", order);
      EXPECT_EQ(p.find("USE TEMP B-TREE"), std::string::npos) << in << order << "\n" << p;
      EXPECT_EQ(p.find("SCAN d"), std::string::npos) << in << order << "\n" << p;
    }
    for (const std::string& filter :
         {score + " > 0.8", score + " > 0.8 AND density < 0.1",
          std::string("auroc(\"t.kind=a\", \"train\") > 0.8"),
          std::string("q_value(\"t.kind=a\") < 0.01"), std::string("spearman(speed) > 0.3"),
          std::string("label = flash")}) {
      const std::string p = plan(in, filter, "");
      EXPECT_EQ(p.find("SCAN f\n"), std::string::npos) << in << filter << "\n" << p;
    }
  }
  EXPECT_NE(plan("", "label = flash", "density desc").find("SEARCH f USING"), std::string::npos)
      << plan("", "label = flash", "density desc");
  EXPECT_NE(plan("", score + " > 0.8", score + " desc").find("associations_by_test_auroc"),
            std::string::npos)
      << plan("", score + " > 0.8", score + " desc");
}

TEST_F(Features, CertaintyAndBestUnitComeBack) {
  const auto pairs = dictionaries.Associations("d1", 2);
  ASSERT_TRUE(pairs.ok());
  EXPECT_EQ((*pairs)[0].q_value, 0.03);
  EXPECT_EQ((*pairs)[0].auroc_low, 0.25);
  EXPECT_FALSE((*pairs)[0].p_value || (*pairs)[0].auroc_high);
  const auto conditions = dictionaries.Conditions("d1");
  ASSERT_TRUE(conditions.ok());
  EXPECT_EQ((*conditions)[0].best_unit, 17);
  EXPECT_EQ((*conditions)[0].best_unit_test_auroc, 0.7);
  EXPECT_TRUE((*conditions)[0].best_unit_falls);
  EXPECT_EQ((*conditions)[0].random_test_auroc, 0.55);
  EXPECT_EQ((*conditions)[0].over_unit, -0.02);
  EXPECT_EQ((*conditions)[0].over_unit_low, -0.05);
  EXPECT_EQ((*conditions)[0].over_unit_high, 0.01);
  EXPECT_EQ((*conditions)[0].feature_set, "{\"members\":[]}");
  EXPECT_EQ((*conditions)[0].details, R"({"scored":3})");
  EXPECT_EQ(dictionaries.Get("d1")->details, R"({"a":1})");
  EXPECT_EQ(dictionaries.Tunings("d1", 1)->at(0).details, R"({"kind":"rate"})");
}

TEST_F(Features, PagesByKeysetWithoutGapsOrRepeats) {
  const std::string order = "auroc(\"t.kind=a\") asc";
  EXPECT_EQ(List("", order, 2), "21");
  const ListedFeature first = last;
  EXPECT_EQ(List("", order, 2, &first), "0");
}

TEST_F(Features, BadQueriesSayWhatIsKnown) {
  EXPECT_NE(List("colour = 3", "").find("known are latent, density"), std::string::npos);
  EXPECT_NE(List("auroc(\"x\") > 1", "").find("for instance, 't.kind=a'"), std::string::npos);
  EXPECT_NE(List("q_value(\"t.kind=a\", \"train\") < 1", "").find("a condition alone"),
            std::string::npos);
  EXPECT_NE(List("density > a", "").find("give a number"), std::string::npos);
  EXPECT_NE(List("", "density desc; DROP TABLE features").find("order_by"), std::string::npos);
  EXPECT_NE(List("density > ", "").find("expected a value"), std::string::npos);
}

TEST_F(Features, DeletingAModelTakesItsDictionaries) {
  ASSERT_TRUE(models.Delete("m1").ok());
  EXPECT_TRUE(absl::IsNotFound(dictionaries.Get("d1").status()));
}

TEST_F(Features, AModelWithoutAJobBelongsToWhoBroughtItFromTheFirstMoment) {
  ASSERT_TRUE(
      models.Insert({"m9", "r1", "", 1, 4, 1, 1, "x", "{}", "{}", "{}"}, {}, std::nullopt, "ben")
          .ok());
  EXPECT_EQ(*AccessTable(*db).OwnerOf("models", "m9", {}), "ben");
}

TEST_F(Features, TensorsComeBackExactly) {
  const auto tensors = models.Tensors("m1");
  ASSERT_TRUE(tensors.ok());
  EXPECT_EQ((*tensors)[0].shape, (std::vector<int64_t>{4, 1}));
  EXPECT_EQ((*tensors)[0].data, (std::vector<float>{1, 2, 3, 4}));
}

// What schema 1 stored is there, and what it did not know is empty.
class OlderSchema : public ::testing::TestWithParam<int> {};

TEST(PeopleTable, KeepsQuotasAndDropsOldRecords) {
  saed::test_tools::TempDir dir;
  auto db = Database::Open(dir / "x.db");
  ASSERT_TRUE(db.ok());
  PeopleTable people(**db);
  UserRow ana{"ana", "admin", 1, false, 1, {}};
  ASSERT_TRUE(people.InsertUser(ana).ok());
  ana.quota = {2, 0, std::nullopt, int64_t{1} << 40, 2.5};
  ASSERT_TRUE(people
                  .UpdateUser("ana",
                              [&](UserRow& row) {
                                row = ana;
                                return absl::OkStatus();
                              })
                  .ok());
  const auto now = people.User("ana");
  ASSERT_TRUE(now.ok());
  EXPECT_EQ(now->quota.threads, 2);
  EXPECT_EQ(now->quota.running_jobs, 0);
  EXPECT_FALSE(now->quota.unfinished_jobs.has_value());
  EXPECT_EQ(now->quota.bytes, int64_t{1} << 40);
  EXPECT_EQ(now->quota.requests_per_second, 2.5);
  for (int64_t at : {10, 20, 30}) {
    ASSERT_TRUE(people.Audit({0, at, "ana", "m", "", "allowed", ""}).ok());
  }
  EXPECT_EQ(*people.DropAudit(20), 1);
  EXPECT_EQ(people.AuditLog("", 10, 100)->size(), 2U);
}

TEST(ChoresTable, KeepsTheLastTime) {
  saed::test_tools::TempDir dir;
  auto db = Database::Open(dir / "x.db");
  ASSERT_TRUE(db.ok());
  EXPECT_EQ((*db)->migrations(), 0);
  ChoresTable chores(**db);
  ASSERT_TRUE(chores.Done("backup", 5).ok());
  ASSERT_TRUE(chores.Done("backup", 7).ok());
  EXPECT_EQ(*chores.LastDone(), (std::map<std::string, int64_t>{{"backup", 7}}));
}

TEST_P(OlderSchema, IsBroughtUpToDate) {
  saed::test_tools::TempDir dir;
  {
    std::ifstream file(SAED_SOURCE_DIR "/tests/fixtures/schema_" + std::to_string(GetParam()) +
                       ".sql");
    const std::string sql{std::istreambuf_iterator<char>(file), {}};
    ASSERT_FALSE(sql.empty());
    SQLite::Database raw(dir / "x.db", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    raw.exec(sql);
  }
  auto db = Database::Open(dir / "x.db");
  ASSERT_TRUE(db.ok()) << db.status();
  DictionariesTable dictionaries(**db);
  const auto list = dictionaries.List("", 10, 0, "");
  ASSERT_TRUE(list.ok());
  ASSERT_EQ(list->size(), 1u);
  const std::string id = (*list)[0].id;
  const auto pairs = dictionaries.Associations(id, 0);
  ASSERT_TRUE(pairs.ok());
  ASSERT_EQ(pairs->size(), 3u);
  EXPECT_TRUE((*pairs)[0].test.auroc.has_value());
  EXPECT_EQ((*pairs)[0].evidence, "");
  EXPECT_FALSE((*pairs)[0].code_test_auroc.has_value());
  for (const AssociationRow& pair : *pairs) EXPECT_EQ(pair.p_value.has_value(), GetParam() >= 2);
  const auto conditions = dictionaries.Conditions(id);
  ASSERT_TRUE(conditions.ok());
  EXPECT_FALSE((*conditions)[0].best_unit.has_value());
  EXPECT_FALSE((*conditions)[0].over_unit.has_value());
  EXPECT_EQ((*conditions)[0].feature_set, "");
  EXPECT_EQ((*conditions)[0].details, "{}");
  FeatureQuery query;
  query.dictionary_id = id;
  query.filter = "q_value(\"" + (*conditions)[0].name + "\") < 0.05";
  const auto none = dictionaries.ListFeatures(query);
  ASSERT_TRUE(none.ok()) << none.status();
  EXPECT_EQ(none->size(), GetParam() >= 2 ? 1U : 0U);
  ModelsTable models(**db);
  EXPECT_TRUE(models.Tensors(id).ok());
  JobsTable jobs(**db);
  const auto queue = jobs.Queue();
  ASSERT_TRUE(queue.ok()) << queue.status();
  // What users asked for before is theirs alone now.
  const auto first = jobs.Get(id);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(first->request_id, "user::44d823bc-8da4-4391-84df-59b379551873");
  if (GetParam() < 3) return;
  ASSERT_EQ(queue->size(), 1U);
  EXPECT_EQ((*queue)[0].shown_state(), "QUEUED");
  EXPECT_EQ((*queue)[0].queued_at, (*queue)[0].created_at);
  if (GetParam() < 4) return;
  EXPECT_EQ((*queue)[0].owner, "ana");
  const auto usage = jobs.Usage();
  ASSERT_TRUE(usage.ok());
  ASSERT_EQ(usage->size(), 1U);
  EXPECT_EQ((*usage)[0].core_seconds, 3600.5);
  if (GetParam() < 5) return;
  const auto trials = jobs.OfSweep("aaaaaaaaaaaaaaaa");
  ASSERT_TRUE(trials.ok());
  EXPECT_EQ(trials->size(), 1U);
  if (GetParam() < 6) return;
  PeopleTable people(**db);
  const auto ana = people.User("ana");
  ASSERT_TRUE(ana.ok()) << ana.status();
  EXPECT_EQ(ana->role, "admin");
  EXPECT_EQ(ana->share, 2);
  EXPECT_EQ(ana->quota.threads.has_value(), GetParam() >= 7);
  EXPECT_TRUE(people.Token("0123456789ab").ok());
  AccessTable access(**db);
  EXPECT_TRUE(access.OwnerOf("dictionaries", id, {}).ok());
  EXPECT_TRUE(absl::IsNotFound(access.OwnerOf("dictionaries", id, {false, "zoe"}).status()));
  if (GetParam() < 8) return;
  EXPECT_EQ((*conditions)[1].random_test_auroc, 0.55);
  const auto judged = dictionaries.Associations(id, 1);
  ASSERT_TRUE(judged.ok());
  const auto pair = std::find_if(judged->begin(), judged->end(),
                                 [](const AssociationRow& a) { return a.condition == 0; });
  ASSERT_NE(pair, judged->end());
  EXPECT_EQ(pair->evidence, "rate");
  EXPECT_TRUE(pair->falls);
  EXPECT_EQ(pair->code_test_auroc, 0.45);
  if (GetParam() < 9) return;
  EXPECT_EQ((*conditions)[1].over_unit, 0.05);
  EXPECT_NE((*conditions)[1].feature_set, "");
  if (GetParam() < 10) return;
  EXPECT_EQ((*conditions)[1].details, R"({"note":"shown"})");
  EXPECT_EQ((*queue)[0].request_id, "server:sweep aaaaaaaaaaaaaaaa trial 0 seed 0");
  for (const char* collection : {"models", "jobs"}) {
    EXPECT_EQ(*access.OwnerOf(collection, "bbbbbbbbbbbbbbbb", {false, "ben"}), "ben");
    EXPECT_TRUE(
        absl::IsNotFound(access.OwnerOf(collection, "bbbbbbbbbbbbbbbb", {false, "ana"}).status()));
  }
  EXPECT_EQ(jobs.Get("bbbbbbbbbbbbbbbb")->request_id, "user:ben:ben-once");
  EXPECT_TRUE(access.OwnerOf("recordings", "1111111111111111", {false, "ana"}).ok());
  // Nobody has left, and no token has made another.
  ASSERT_EQ(people.Users()->size(), 1U);
  EXPECT_EQ(people.Token("0123456789ab")->made_with, "");
}

INSTANTIATE_TEST_SUITE_P(Versions, OlderSchema, ::testing::Range(1, kSchemaVersion));

// Else what may not be seen could be told from what is not there.
TEST(Access, NothingIsMissingInWordsOfItsOwn) {
  saed::test_tools::TempDir dir;
  auto db = Database::Open(dir / "x.db");
  ASSERT_TRUE(db.ok());
  EXPECT_EQ(RecordingsTable(**db).Get("x").status(), NoSuch("recordings", "x"));
  EXPECT_EQ(JobsTable(**db).Get("x").status(), NoSuch("jobs", "x"));
  EXPECT_EQ(SweepsTable(**db).Get("x").status(), NoSuch("sweeps", "x"));
  EXPECT_EQ(ModelsTable(**db).Get("x").status(), NoSuch("models", "x"));
  EXPECT_EQ(DictionariesTable(**db).Get("x").status(), NoSuch("dictionaries", "x"));
  EXPECT_EQ(AccessTable(**db).OwnerOf("jobs", "x", {}).status(), NoSuch("jobs", "x"));
}

TEST(Schema, RefusesADatabaseFromTheFuture) {
  saed::test_tools::TempDir dir;
  { ASSERT_TRUE(Database::Open(dir / "x.db").ok()); }
  {
    SQLite::Database raw(dir / "x.db", SQLite::OPEN_READWRITE);
    raw.exec("PRAGMA user_version = 99");
  }
  EXPECT_TRUE(absl::IsFailedPrecondition(Database::Open(dir / "x.db").status()));
}

}  // namespace
}  // namespace saed::storage
