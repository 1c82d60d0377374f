#include "server/inference/engine.h"

#include <gtest/gtest.h>

#include <numeric>

#include "server/inference/model_record.h"
#include "server/inference/spec_json.h"
#include "storage/recordings_table.h"
#include "tests/tools/temp_dir.h"

namespace saed::inference {
namespace {

constexpr int kUnits = 3, kFeatures = 5;
constexpr int64_t kValues = 2 * kUnits * kFeatures + kFeatures + 3 * kUnits + 1;
constexpr int64_t kBytes = 4 * int64_t{sizeof(float)} * kValues;  // that a held model counts for

class Engines : public testing::Test {
 protected:
  Engines() : db(*storage::Database::Open(dir / "saed.db")), recordings(*db), models(*db) {
    bool created = false;
    storage::RecordingRow r;
    r.id = r.digest = "r";
    r.summary = "{}";
    EXPECT_TRUE(recordings.Insert(r, {}, created).ok());
    for (const char* id : {"a", "b", "c"}) EXPECT_TRUE(Store(id).ok());
  }

  absl::Status Store(const std::string& id) {
    sae::Model m;
    m.spec.levels = {{kFeatures, 2}};
    m.units = kUnits;
    auto& p = m.parameters;
    p.features = kFeatures;
    p.inputs = p.outputs = kUnits;
    p.encoder.resize(kFeatures * kUnits);
    std::iota(p.encoder.begin(), p.encoder.end(), -7.0F);
    p.decoder = p.encoder;
    p.encoder_bias.assign(kFeatures, 0);
    p.decoder_bias.assign(kUnits, 0);
    m.thresholds = {0.5F};
    m.training.mean.assign(kUnits, 0.5F);
    m.training.count_sd.assign(kUnits, 1);
    storage::ModelRow row;
    row.id = row.name = id;
    row.recording_id = "r";
    row.features = kFeatures;
    row.window = 1;
    row.units = kUnits;
    sae::FitSpec fit;
    fit.model = m.spec;
    row.spec = nlohmann::json{{"fit", fit}}.dump();
    row.evaluation = "{}";
    row.provenance = R"({"unit_ids":[4,5,6]})";
    return models.Insert(row, ToTensors(m));
  }

  test_tools::TempDir dir;
  std::unique_ptr<storage::Database> db;
  storage::RecordingsTable recordings;
  storage::ModelsTable models;
};

TEST_F(Engines, ReadAModelOnceAndHoldIt) {
  Engine engine(models, 1);
  EXPECT_TRUE(absl::IsNotFound(engine.Get("none").status()));
  EXPECT_EQ(engine.Holds(), (std::pair<size_t, int64_t>{0, 0}));
  const auto first = engine.Get("a");
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ((*first)->unit_ids, (std::vector<int64_t>{4, 5, 6}));
  EXPECT_EQ(engine.Holds(), (std::pair<size_t, int64_t>{1, kBytes}));
  // It is not read again: its row may be gone.
  ASSERT_TRUE(models.Delete("a").ok());
  EXPECT_EQ(engine.Get("a")->get(), first->get());
}

TEST_F(Engines, LetGoOfWhatWasNotUsedForLongest) {
  Engine engine(models, 1, 2 * kBytes);
  const auto a = *engine.Get("a"), b = *engine.Get("b");
  EXPECT_EQ(engine.Holds(), (std::pair<size_t, int64_t>{2, 2 * kBytes}));
  EXPECT_EQ(engine.Get("a")->get(), a.get());
  const auto c = *engine.Get("c");
  EXPECT_EQ(engine.Holds(), (std::pair<size_t, int64_t>{2, 2 * kBytes}));
  EXPECT_EQ(engine.Get("a")->get(), a.get());
  EXPECT_EQ(engine.Get("c")->get(), c.get());
  EXPECT_NE(engine.Get("b")->get(), b.get()) << "was let go of, and is read anew";
}

// The last one used stays, however large it is.
TEST_F(Engines, HoldOneThatIsLargerThanAllTheyMay) {
  Engine engine(models, 1, kBytes - 1);
  const auto a = *engine.Get("a");
  EXPECT_EQ(engine.Get("a")->get(), a.get());
  ASSERT_TRUE(engine.Get("b").ok());
  EXPECT_EQ(engine.Holds(), (std::pair<size_t, int64_t>{1, kBytes}));
}

TEST_F(Engines, Forget) {
  Engine engine(models, 1);
  const auto a = *engine.Get("a"), b = *engine.Get("b");
  ASSERT_TRUE(models.SetName("a", "renamed").ok());
  EXPECT_EQ((*engine.Get("a"))->row.name, "a");
  engine.Forget("a");
  engine.Forget("none");
  EXPECT_EQ(engine.Holds(), (std::pair<size_t, int64_t>{1, kBytes}));
  EXPECT_EQ((*engine.Get("a"))->row.name, "renamed");
  EXPECT_EQ(engine.Get("b")->get(), b.get());
  EXPECT_EQ(a->row.name, "a") << "who has it keeps it";
}

// Scorers of all latents are kept, those of some are made for their call.
TEST_F(Engines, KeepScorersOfAllLatents) {
  Engine engine(models, 1);
  const auto a = *engine.Get("a");
  const auto kind = sae::EvidenceKind::kRate;
  EXPECT_EQ(a->scorers->Get(a->model, kind, {}), a->scorers->Get(a->model, kind, {}));
  EXPECT_EQ(a->scorers->Get(a->model, kind, {})->latents(), kFeatures);
  const auto some = a->scorers->Get(a->model, kind, {3, 1});
  EXPECT_EQ(some->latents(), 2);
  EXPECT_NE(some, a->scorers->Get(a->model, kind, {3, 1}));
}

// Many windows go to the arena, few do not; a code hangs on neither.
TEST_F(Engines, EncodeFewAndManyAlike) {
  Engine engine(models, 2);
  const auto a = *engine.Get("a");
  std::vector<uint8_t> counts(100 * kUnits);
  for (size_t i = 0; i < counts.size(); ++i) counts[i] = static_cast<uint8_t>(i * i % 7);
  EncodeRequest request;
  request.counts = {counts.data(), DType::kU8, 100, kUnits};
  request.reconstruct = true;
  const EncodeResult many = engine.Encode(*a, request);
  ASSERT_EQ(many.reconstruction.size(), counts.size());
  request.counts = {counts.data() + 40 * kUnits, DType::kU8, 1, kUnits};
  const EncodeResult one = engine.Encode(*a, request);
  ASSERT_EQ(one.reconstruction.size(), size_t{kUnits});
  for (int u = 0; u < kUnits; ++u) {
    EXPECT_EQ(one.reconstruction[u], many.reconstruction[40 * kUnits + u]) << u;
  }
  EXPECT_TRUE(one.evidence.empty());
  EXPECT_TRUE(one.set_scores.empty());
}

}  // namespace
}  // namespace saed::inference
