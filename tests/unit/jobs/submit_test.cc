// What a job is thought to need before it is queued.
#include "server/jobs/submit.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/features/dictionary.h"
#include "tests/tools/temp_stores.h"

namespace saed::jobs {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class Submitted : public testing::Test, public test_tools::TempStores {
 protected:
  TrainSpec Spec(int threads) const {
    TrainSpec spec;
    spec.recording_id = recording;
    spec.threads = threads;
    spec.view.bin_width = 0.02;
    spec.fit.model.levels = {{8, 2}};
    spec.fit.batch_size = 64;
    return spec;
  }
  static SubmitLimits Limits(int64_t memory = 0) {
    SubmitLimits limits;
    limits.threads = 16;
    limits.default_threads = 3;
    limits.memory = memory;
    return limits;
  }
  int64_t Needs(int threads) {
    TrainSpec spec = Spec(threads);
    const auto needed = Check(stores, spec, Limits());
    EXPECT_TRUE(needed.ok()) << needed.status();
    return needed.value_or(0);
  }
  int64_t BytesPerThread() {
    TrainSpec spec = Spec(1);
    EXPECT_TRUE(Check(stores, spec, Limits()).ok());
    return features::BytesPerThread(*InputOf(stores, spec, *LoadRecording(stores, recording)));
  }
};

TEST_F(Submitted, EveryThreadCountsInTheMemoryAskedFor) {
  const int64_t each = BytesPerThread();
  EXPECT_GT(each, 1000);
  EXPECT_EQ(Needs(16) - Needs(1), 15 * each);
  EXPECT_EQ(Needs(0), Needs(3)) << "as many as the server chooses";
  const auto row = Submit(stores, clock, Spec(16), {}, Limits());
  ASSERT_TRUE(row.ok()) << row.status();
  EXPECT_EQ(row->memory, Needs(16));
  // An analysis, too.
  AnalyseSpec analysis;
  storage::ModelRow model;
  model.id = "m1";
  model.recording_id = analysis.recording_id = recording;
  model.spec = ToJson(Spec(1)).dump();
  model.evaluation = "{}";
  std::string ids;
  const auto loaded = LoadRecording(stores, recording);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  for (const auto& unit : loaded->units) {
    ids += fmt::format("{}{}", ids.empty() ? "" : ",", unit.id);
  }
  model.provenance = fmt::format("{{\"unit_ids\": [{}]}}", ids);
  ASSERT_TRUE(models.Insert(model, {}).ok());
  analysis.model_id = model.id;
  analysis.threads = 1;
  const auto one = Check(stores, analysis, Limits());
  ASSERT_TRUE(one.ok()) << one.status();
  analysis.threads = 16;
  EXPECT_GT(*Check(stores, analysis, Limits()), *one);
}

// 16,384 windows of 8,192 latents were said to need 1.2 GB and took 2.9.
TEST_F(Submitted, WideBatchesOfManyLatentsNeedWhatWasMeasured) {
  bool created = false;
  recordings::PlantedSpec planted;
  planted.units = 12;
  planted.features = 4;
  planted.bins = 25'000;
  Library library(stores, clock);
  const auto row = library.Add({recordings::SimulatePlanted(planted), {}}, {}, created);
  ASSERT_TRUE(row.ok()) << row.status();
  // Bytes for each window and latent that were measured of a step.
  for (const auto& [selection, measured] : {std::pair(sae::Selection::kTopK, 5),
                                            {sae::Selection::kBatchTopK, 16},
                                            {sae::Selection::kRelu, 24},
                                            {sae::Selection::kJumpRelu, 27},
                                            {sae::Selection::kGated, 43}}) {
    TrainSpec spec = Spec(1);
    spec.recording_id = row->id;
    spec.fit.batch_size = 16'384;
    spec.fit.model.selection = selection;
    spec.fit.model.levels = {{8192, 16}};
    const auto needed = Check(stores, spec, Limits());
    ASSERT_TRUE(needed.ok()) << needed.status();
    EXPECT_GE(*needed, int64_t{16'384} * 8192 * measured);
    EXPECT_LE(*needed, int64_t{16'384} * 8192 * measured * 2 + (int64_t{1} << 30))
        << "or few jobs would run side by side";
  }
}

TEST_F(Submitted, FewerThreadsAreAdvisedWhereTheyHelp) {
  const int64_t one = Needs(1), each = BytesPerThread();
  const auto refusal = [&](int threads, int64_t memory) {
    TrainSpec spec = Spec(threads);
    const absl::Status s = Check(stores, spec, Limits(memory)).status();
    EXPECT_TRUE(absl::IsInvalidArgument(s)) << s;
    return std::string(s.message());
  };
  EXPECT_THAT(refusal(16, one + 5 * each), HasSubstr("use at most 6 threads, fewer features"));
  EXPECT_THAT(refusal(16, one), HasSubstr("use 1 thread, fewer features"));
  EXPECT_THAT(refusal(0, one + each), HasSubstr("use at most 2 threads")) << "of 3 by default";
  for (const int threads : {1, 16}) {
    EXPECT_THAT(refusal(threads, one - 1), HasSubstr("use fewer features, a smaller batch_size"));
  }
  TrainSpec spec = Spec(6);
  EXPECT_TRUE(Check(stores, spec, Limits(one + 5 * each)).ok()) << "as advised";
}

}  // namespace
}  // namespace saed::jobs
