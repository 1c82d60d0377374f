// Models held ready take so many bytes and no more, and each is read once.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <thread>

#include "server/inference/engine.h"
#include "server/inference/spec_json.h"
#include "tests/tools/temp_stores.h"

namespace saed::inference {
namespace {

class HeldModels : public testing::Test, public test_tools::TempStores {
 protected:
  // A model of 12 units with so many features.
  void Store(const std::string& id, int features) {
    const auto f = static_cast<size_t>(features);
    const int64_t n = features;
    sae::FitSpec fit;
    fit.model.levels = {{features, 1}};
    const std::string spec = nlohmann::json{{"fit", fit}}.dump();
    const std::string of = R"({"unit_ids": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]})";
    const storage::ModelRow row{id, recording, id, 1, features, 1, 12, "d", spec, "{}", of};
    const auto s = models.Insert(row, {{"encoder", {n, 12}, std::vector<float>(12 * f)},
                                       {"encoder_bias", {n}, std::vector<float>(f)},
                                       {"decoder", {n, 12}, std::vector<float>(12 * f)},
                                       {"decoder_bias", {12}, std::vector<float>(12)},
                                       {"thresholds", {1}, std::vector<float>(1)}});
    ASSERT_TRUE(s.ok()) << s;
  }
};

TEST_F(HeldModels, TakeSoManyBytesAndAreNotCounted) {
  for (int i = 0; i < 20; ++i) Store(fmt::format("small{}", i), 8);
  Store("large", 800);
  Store("larger", 900);
  Engine probe(models, 1);
  ASSERT_TRUE(probe.Get("small0").ok());
  const int64_t small = probe.Holds().second;
  ASSERT_TRUE(probe.Get("large").ok());
  const int64_t large = probe.Holds().second - small;
  EXPECT_GE(small, 4 * (2 * 12 + 1) * 8) << "its parameters at least, float32";
  EXPECT_NEAR(static_cast<double>(large) / static_cast<double>(small), 100, 10);

  Engine engine(models, 1, 30 * small);
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(engine.Get(fmt::format("small{}", i)).ok());
  EXPECT_EQ(engine.Holds(), std::pair(size_t{20}, 20 * small));
  const auto used = engine.Get("large");
  ASSERT_TRUE(used.ok());
  EXPECT_EQ(engine.Holds(), std::pair(size_t{1}, large)) << "the last one used stays";
  ASSERT_TRUE(engine.Get("larger").ok());
  EXPECT_EQ(engine.Holds().first, 1U);
  EXPECT_EQ((*used)->row.id, "large") << "who encodes with one keeps it";
  ASSERT_TRUE(engine.Get("small3").ok());
  EXPECT_EQ(engine.Holds(), std::pair(size_t{1}, small));
  engine.Forget("small3");
  EXPECT_EQ(engine.Holds(), std::pair(size_t{0}, int64_t{0}));
}

TEST_F(HeldModels, AreReadOnceForManyWhoAskAtOnce) {
  Store("large", 4000);
  Engine engine(models, 2);
  std::vector<std::shared_ptr<const LoadedModel>> got(8);
  std::vector<std::thread> threads;
  for (auto& g : got) threads.emplace_back([&] { g = *engine.Get("large"); });
  for (auto& t : threads) t.join();
  for (const auto& g : got) EXPECT_EQ(g, got[0]) << "read twice";
  EXPECT_EQ(engine.Holds().first, 1U);
}

}  // namespace
}  // namespace saed::inference
