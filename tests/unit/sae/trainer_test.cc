#include "server/sae/trainer.h"

#include <gtest/gtest.h>
#include <tbb/global_control.h>
#include <tbb/task_arena.h>

#include <numeric>

#include "server/base/sha256.h"
#include "server/sae/random.h"

namespace saed::sae {
namespace {

// 3000 bins of 20 units in 4 groups that fire together.
struct Toy {
  std::vector<uint8_t> counts;
  std::vector<int64_t> starts;
  FitSpec spec;

  explicit Toy(Selection selection) : counts(3000 * 20), starts(2999) {
    const CounterRandom random(5, 1);
    for (int64_t t = 0; t < 3000; ++t) {
      const uint64_t group = random.Below(t, 5);
      for (int n = 0; n < 20; ++n) {
        const double rate = group == static_cast<uint64_t>(n / 5) ? 0.8 : 0.05;
        counts[t * 20 + n] = random.Uniform(10000 + t * 20 + n) < rate ? 1 : 0;
      }
    }
    std::iota(starts.begin(), starts.end(), 0);
    spec.model.selection = selection;
    spec.model.levels = {{8, 2}, {70, 4}};
    spec.model.aux.dead_after_steps = 5;
    spec.batch_size = 128;
    spec.epochs = 4;
    spec.seed = 3;
  }
  TrainingData data() const { return {{counts.data(), DType::kU8, 3000, 20}, {}, starts, 2}; }
};

std::string TrainIn(int threads, const Toy& toy) {
  tbb::global_control control(tbb::global_control::max_allowed_parallelism, 8);
  tbb::task_arena arena(threads);
  return arena.execute([&] {
    Trainer<float> trainer(toy.spec, toy.data());
    while (!trainer.done()) {
      const auto report = trainer.Next();
      if (!report.ok()) return std::string(report.status().message());
    }
    const auto thresholds = trainer.CalibrateThresholds([] { return true; });
    return Sha256Hex(trainer.Save()) + std::to_string((*thresholds)[1]);
  });
}

TEST(Trainer, SameBitsForAnyNumberOfThreads) {
  for (Selection s : {Selection::kTopK, Selection::kBatchTopK}) {
    const Toy toy(s);
    const std::string one = TrainIn(1, toy);
    EXPECT_EQ(one, TrainIn(2, toy));
    EXPECT_EQ(one, TrainIn(7, toy));
  }
}

TEST(Trainer, GoesOnFromASavedStateToTheSameBits) {
  const Toy toy(Selection::kBatchTopK);
  Trainer<float> whole(toy.spec, toy.data());
  std::string middle;
  while (!whole.done()) {
    if (whole.step() == 37) middle = whole.Save();
    ASSERT_TRUE(whole.Next().ok());
  }
  Trainer<float> resumed(toy.spec, toy.data());
  ASSERT_TRUE(resumed.Restore(middle).ok());
  EXPECT_EQ(resumed.step(), 37);
  while (!resumed.done()) ASSERT_TRUE(resumed.Next().ok());
  EXPECT_EQ(Sha256Hex(whole.Save()), Sha256Hex(resumed.Save()));
}

TEST(Trainer, RefusesADamagedState) {
  const Toy toy(Selection::kTopK);
  Trainer<float> trainer(toy.spec, toy.data());
  std::string state = trainer.Save();
  state.pop_back();
  EXPECT_EQ(trainer.Restore(state).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(trainer.Restore("").code(), absl::StatusCode::kDataLoss);
}

TEST(Trainer, LossFallsAndDecoderKeepsUnitNorm) {
  const Toy toy(Selection::kBatchTopK);
  Trainer<float> trainer(toy.spec, toy.data());
  const double first = trainer.Next()->reconstruction_loss;
  double last = first;
  while (!trainer.done()) last = trainer.Next()->reconstruction_loss;
  EXPECT_LT(last, 0.6 * first);
  for (int j = 0; j < 70; ++j) {
    double norm = 0;
    for (int i = 0; i < 40; ++i) {
      norm += std::pow(trainer.parameters().decoder_row(j)[i], 2);
    }
    EXPECT_NEAR(norm, 1, 1e-5);
  }
}

TEST(Trainer, SaysWhichRateDiverged) {
  Toy toy(Selection::kTopK);
  std::vector<float> huge(3000 * 20, 1e30f);
  TrainingData data = toy.data();
  data.counts = {huge.data(), DType::kF32, 3000, 20};
  Trainer<float> trainer(toy.spec, data);
  const auto report = trainer.Next();
  EXPECT_EQ(report.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(report.status().message().find("learning_rate"), std::string::npos);
}

}  // namespace
}  // namespace saed::sae
