// The page against rows that are written here.
#include "server/report/report.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "server/inference/model_record.h"
#include "server/jobs/library.h"
#include "server/jobs/spec.h"
#include "server/report/feature_json.h"
#include "storage/database.h"
#include "tests/tools/temp_dir.h"

namespace saed::report {
namespace {

using nlohmann::json;

class StoppedClock : public jobs::Clock {
 public:
  int64_t NowMicros() const override { return 7'000'000; }
  double MonotonicSeconds() const override { return 0; }
};

recordings::Recording Session() {
  recordings::Recording r;
  r.duration = 10;
  r.units.resize(3);
  for (int i = 0; i < 3; ++i) {
    r.units[i].id = 10 + i;
    r.units[i].label = i == 2 ? "good" : "mua";
    r.units[i].region = "V1";
  }
  r.units[1].spike_times = {1.79, 1.81, 2.05, 2.39, 2.41, 9};
  r.units[2].spike_times = {2.00001234};
  return r;
}

// Two of the three units in windows of two bins, three latents.
sae::Model TwoUnits() {
  sae::Model m;
  m.spec.levels = {{3, 1}};
  m.S = 2;
  m.units = 2;
  auto& p = m.parameters;
  p.features = 3;
  p.inputs = p.outputs = 4;
  p.encoder.assign(12, 0.5F);
  p.decoder.assign(12, 0.5F);
  p.encoder_bias.assign(3, 0);
  p.decoder_bias.assign(4, 0);
  m.thresholds = {0};
  return m;
}

storage::FeatureRow Feature(int latent, int64_t active, double test_auroc) {
  storage::FeatureRow f;
  f.latent = latent;
  f.density = 0.123456;
  f.mean_activation = 1.5;
  f.max_activation = 4;
  f.active_windows = active;
  f.best_condition = 0;
  f.best_train_auroc = 0.9;
  f.best_test_auroc = test_auroc;
  f.decoder = {1, 2, 3, 4};        // [bins, units]
  f.trace_map = {10, 20, 30, 40};  // the same
  return f;
}

storage::DictionaryRows Rows(const std::string& recording) {
  storage::DictionaryRows out;
  auto& d = out.dictionary;
  d.id = "d1";
  d.model_id = "m1";
  d.recording_id = recording;
  d.created_at = 5'000'000;
  d.features = 3;
  d.train_windows = 70;
  d.test_windows = 30;
  d.warnings = R"(["no </script> here"])";
  d.spectra = R"({"segments":2,"segment_bins":4,"bin_width":0.1,"target":[1.23456,null],
                  "output":[2],"relative_error":[0.5,null]})";
  d.details = R"({"responses":"judged","controls":[
      {"family":"trials","labels":8,"mean_auroc":0.54321,"highest_auroc":0.61,"pairs":24,"called":1},
      {"family":"none","labels":0,"mean_auroc":null}]})";
  storage::ConditionRow c;
  c.name = "left";
  c.spec = R"({"name":"left","expression":"trials.side = left"})";
  c.train_positive = 12;
  c.test_positive = 5;
  c.best_unit = 12;
  c.best_unit_test_auroc = 0.7;
  c.best_feature = 1;
  c.over_unit = 0.1;
  c.over_unit_low = 0.05;
  c.over_unit_high = 0.15;
  c.random_test_auroc = 0.66666;
  c.details =
      R"({"baselines":{"pca":0.71,"ica":0.72,"logistic_latents":0.9,"logistic_counts":null}})";
  out.conditions = {c};
  out.features = {Feature(0, 0, 0.99), Feature(1, 20, 0.8), Feature(2, 10, 0.95)};
  out.features[1].details =
      R"({"top_units":[{"unit_id":12,"share":0.75},{"unit_id":11,"share":0.25}],
      "exemplars":[{"kind":"top","start_time":2,"activation":3.14159}]})";
  storage::AssociationRow a;
  a.latent = 1;
  a.train.auroc = 0.9;
  a.test = {0.5, {}, 0.25, 0.125, 0.1, 0.8};
  a.q_value = 0.012346;
  a.auroc_low = 0.7;
  a.auroc_high = 0.85;
  a.evidence = "rate";
  a.falls = true;
  out.associations = {a};
  storage::VariableRow v;
  v.name = "speed";
  v.details = R"({"edges":[0,1.23456,9],"test_occupancy":[3,4],"circular":true})";
  v.best_unit = 11;
  v.best_unit_test = -0.4;
  out.variables = {v, v};
  out.variables[1].position = 1;
  out.variables[1].name = "depth";
  storage::TuningRow t;
  t.latent = 1;
  t.train_spearman = 0.1;
  t.curves = {1, 2, 3, 4};
  out.tunings = {t, t};
  out.tunings[1].variable = 1;
  out.tunings[1].train_spearman = -0.8;
  out.tunings[1].test_spearman = -0.7;
  out.tunings[1].q_value = 0.5;
  out.tunings[1].details = R"({"code":[0.3,0.25],"evidence":"rate"})";
  storage::ResponseRow r;
  r.latent = 1;
  r.events = 6;
  r.before = 1;
  r.latency = 0.1;
  r.curves = {0.5, 2, 0.1F, std::numeric_limits<float>::quiet_NaN()};
  out.responses = {r};
  return out;
}

class Page : public testing::Test {
 protected:
  Page()
      : db(*storage::Database::Open(dir / "saed.db")),
        objects(*storage::ObjectStore::Open(dir / "objects")),
        recordings(*db),
        jobs(*db),
        models(*db),
        dictionaries(*db),
        annotations(*db),
        sweeps(*db),
        stores{recordings, jobs, models, dictionaries, annotations, sweeps, objects},
        engine(models, 1) {
    bool created = false;
    jobs::Library library(stores, clock);
    jobs::Keeping keeping;
    keeping.display_name = "monkey";
    const auto row = library.Add({Session(), {}}, keeping, created);
    EXPECT_TRUE(row.ok()) << row.status();
    recording = row->id;
    jobs::TrainSpec spec;
    spec.recording_id = recording;
    spec.view.bin_width = 0.1;
    spec.fit.model = TwoUnits().spec;
    storage::ModelRow m;
    m.id = "m1";
    m.recording_id = recording;
    m.name = "best";
    m.features = 3;
    m.window = m.units = 2;
    m.spec = jobs::ToJson(spec).dump();
    m.evaluation = R"({"r2":0.5,"density":[0.1],"unit_r2":[0.123456,null]})";
    m.provenance = R"({"unit_ids":[12,11]})";
    EXPECT_TRUE(models.Insert(m, inference::ToTensors(TwoUnits())).ok());
    const auto stored = dictionaries.Insert(Rows(recording));
    EXPECT_TRUE(stored.ok()) << stored;
  }

  std::string Text(int most = 2) {
    const auto page = Render(stores, engine, "d1", most);
    EXPECT_TRUE(page.ok()) << page.status();
    return page.value_or("");
  }
  json Data(int most = 2) {
    const std::string page = Text(most), begin = R"(id="data">)";
    const size_t at = page.find(begin) + begin.size();
    return json::parse(page.substr(at, page.find("</script>", at) - at), nullptr, false);
  }

  test_tools::TempDir dir;
  StoppedClock clock;
  std::unique_ptr<storage::Database> db;
  storage::ObjectStore objects;
  storage::RecordingsTable recordings;
  storage::JobsTable jobs;
  storage::ModelsTable models;
  storage::DictionariesTable dictionaries;
  storage::AnnotationsTable annotations;
  storage::SweepsTable sweeps;
  jobs::Stores stores;
  inference::Engine engine;
  std::string recording;
};

TEST(Short, KeepsFourDigitsAndNothingThatIsNoNumber) {
  EXPECT_EQ(Short(1.23456), json(1.235));
  EXPECT_EQ(Short(-123456.0), json(-123500.0));
  EXPECT_NEAR(Short(-0.00098765).get<double>(), -0.0009877, 1e-12);
  EXPECT_EQ(Short(0.0), json(0));
  EXPECT_EQ(Short(5e-324), json(5e-324));
  EXPECT_EQ(Short(std::numeric_limits<double>::quiet_NaN()), json(nullptr));
  EXPECT_EQ(Short(-std::numeric_limits<double>::infinity()), json(nullptr));
  EXPECT_EQ(Short(std::optional<double>()), json(nullptr));
  EXPECT_EQ(Short(std::optional(0.5)), json(0.5));
  const float values[] = {2, std::numeric_limits<float>::infinity(), 0.25F, 9};
  EXPECT_EQ(Short(values, 3), json::parse("[2.0, null, 0.25]"));
}

TEST_F(Page, SaysWhatItIsOf) {
  const json d = Data();
  EXPECT_EQ(d["dictionary"], (json{{"name", "dictionaries/d1"},
                                   {"model", "models/m1"},
                                   {"model_name", "best"},
                                   {"recording", "recordings/" + recording},
                                   {"recording_name", "monkey"},
                                   {"created", 5},
                                   {"train_windows", 70},
                                   {"test_windows", 30},
                                   {"warnings", {"no </script> here"}}}));
  EXPECT_EQ(d["bin_width"], 0.1);
  EXPECT_EQ(d["window"], 2);
  EXPECT_EQ(d["evaluation"], json::parse(R"({"r2":0.5,"unit_r2":[0.1235,null]})"));
  EXPECT_EQ(d["spec"]["view"]["bin_width"], 0.1);
  EXPECT_EQ(d["spec"]["fit"]["model"]["levels"][0]["features"], 3);
  // In the order of the model's inputs.
  EXPECT_EQ(d["units"], json::parse(R"([[12,"good","V1",null],[11,"mua","V1",null]])"));
  EXPECT_EQ(d["training"], json::array());
  EXPECT_TRUE(absl::IsNotFound(Render(stores, engine, "other", 2).status()));
}

TEST_F(Page, HasTheScoresOfItsRows) {
  const json d = Data();
  EXPECT_EQ(d["spectra"]["target"], json::parse("[1.235, null]"));
  EXPECT_EQ(d["spectra"]["relative_error"], json::parse("[0.5, null]"));
  EXPECT_EQ(d["controls"], json::parse(R"([["trials", 8, 0.5432, 0.61, 1, 24]])"));
  EXPECT_EQ(d["variables"][0],
            json::parse(R"(["speed", [0, 1.235, 9.0], [3, 4], 11, -0.4, true])"));
  const json& c = d["conditions"][0];
  EXPECT_EQ(c[0], "left");
  EXPECT_EQ(c[1], "trials.side = left");
  EXPECT_EQ(c[2], 12);
  EXPECT_EQ(c[3], 5);
  EXPECT_EQ(c[4], 12);
  EXPECT_EQ(c[5], 0.7);
  EXPECT_EQ(c[6], 1);
  EXPECT_EQ(c[10], 0.8) << "of its feature, held out";
  EXPECT_EQ(c[11], "above units");
  EXPECT_EQ(c[12], nullptr);
  EXPECT_EQ(c[13], 0.6667);
  EXPECT_EQ(c[14], json::parse("[0.71, 0.72, 0.9, null]"));
  ASSERT_EQ(d["features"].size(), 3U);
  EXPECT_EQ(d["features"][1], json::parse(R"([1, 0.1235, 1.5, 4.0, 20, 0, 0.9, 0.8, null, "", [],
                                             null])"));
}

// Those with words first, then by the held-out AUROC; what is never active is not there.
TEST_F(Page, ShowsInFullWhatIsNamedThenWhatScores) {
  EXPECT_EQ(Data()["order"], json::parse("[2, 1]"));
  EXPECT_EQ(Data(1)["order"], json::parse("[2]"));
  storage::AnnotationRow label;
  label.model_id = "m1";
  label.latent = 1;
  label.kind = "label";
  label.text = "left </script>";
  label.author = "ada";
  label.created_at = 3'000'000;
  ASSERT_TRUE(annotations.Add(label).ok());
  label.kind = "note";
  label.text = "seen twice";
  ASSERT_TRUE(annotations.Add(label).ok());
  const json d = Data(1);
  EXPECT_EQ(d["order"], json::parse("[1]"));
  EXPECT_EQ(d["features"][1][9], "left </script>");
  EXPECT_EQ(d["full"]["1"]["notes"], json::parse(R"([["ada", 3, "seen twice"]])"));
  // What people wrote ends no element of the page.
  EXPECT_EQ(Text().find("here</script>"), std::string::npos);
  EXPECT_EQ(Text().find("left </script>"), std::string::npos);
}

TEST_F(Page, HasAllOfOneFeature) {
  const json f = Data()["full"]["1"];
  EXPECT_EQ(f["conditions"], json::parse("[[0, 0.9, 0.8, 0.7, 0.85, 0.01235, 0.5, 0.125, 0.25]]"));
  // The one that it follows most first, the half of each side, what judges it and its code.
  EXPECT_EQ(f["variables"],
            json::parse(R"([[1, -0.8, -0.7, null, 0.5, [1.0, 2.0], [3.0, 4.0], "rate", 0.25],
                            [0, 0.1, null, null, null, [1.0, 2.0], [3.0, 4.0], "", null]])"));
  EXPECT_EQ(f["responses"],
            json::parse(R"([[0, 6, 1, 0.1, [0.5, 2.0], [0.1, null], "rate", true]])"));
  EXPECT_EQ(f["units"], json::parse("[12, 11]"));
  EXPECT_EQ(f["shares"], json::parse("[0.75, 0.25]"));
  // [unit][bin]
  EXPECT_EQ(f["trace"], json::parse("[[10.0, 30.0], [20.0, 40.0]]"));
  EXPECT_EQ(f["decoder"], json::parse("[[1.0, 3.0], [2.0, 4.0]]"));
  // Spikes from 0.2 s before the window of 0.2 s to 0.2 s after it, relative to its begin.
  EXPECT_EQ(f["exemplars"], json::parse(R"([[2.0, 3.142, "top", [[0.0], [-0.19, 0.05, 0.39]]]])"));
  EXPECT_EQ(f["notes"], json::array());
  EXPECT_EQ(Data()["full"]["2"]["exemplars"], json::array());
}

TEST_F(Page, ReadsNoFeatureThatIsNotThere) {
  const auto model = engine.Get("m1");
  ASSERT_TRUE(model.ok()) << model.status();
  const recordings::Recording session = Session();
  const FeatureContext context{stores, **model, session, "d1", "m1", 0.1, {}};
  EXPECT_TRUE(absl::IsNotFound(FeatureJson(context, 3).status()));
  EXPECT_TRUE(FeatureJson(context, 2).ok());
}

}  // namespace
}  // namespace saed::report
