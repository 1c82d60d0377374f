#include "server/sae/trainer.h"

#include <gtest/gtest.h>
#include <tbb/global_control.h>
#include <tbb/task_arena.h>

#include <cstring>
#include <limits>
#include <map>
#include <numeric>

#include "server/base/sha256.h"
#include "server/sae/kernels/dispatch.h"
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
    if (selection != Selection::kTopK && selection != Selection::kBatchTopK) {
      spec.model.levels = {{70, 4}};
    }
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
    return Sha256Hex(trainer.Save()) + std::to_string(thresholds->back());
  });
}

constexpr Selection kAll[] = {Selection::kTopK, Selection::kBatchTopK, Selection::kRelu,
                              Selection::kJumpRelu, Selection::kGated};

TEST(Trainer, SameBitsForAnyNumberOfThreads) {
  for (Selection s : kAll) {
    const Toy toy(s);
    const std::string one = TrainIn(1, toy);
    for (int threads : {2, 3, 4, 7}) EXPECT_EQ(one, TrainIn(threads, toy)) << Name(s);
  }
}

// Every latent at first, k in the end.
TEST(Trainer, KAnnealFallsLinearly) {
  for (Selection s : {Selection::kTopK, Selection::kBatchTopK}) {
    Toy toy(s);
    toy.spec.model.k_anneal_fraction = 0.5;
    tbb::task_arena arena(2);
    arena.execute([&] {
      Trainer<float> trainer(toy.spec, toy.data());
      std::vector<double> l0;
      while (!trainer.done()) l0.push_back(trainer.Next()->l0);
      const size_t half = l0.size() / 2, quarter = half / 2;
      EXPECT_GT(l0[0], 20) << Name(s);  // every positive z of 70
      EXPECT_GT(l0[0], l0[quarter]) << Name(s);
      EXPECT_LE(l0[quarter], 4 + 0.5 * 66 + 1) << Name(s);
      for (size_t i = half; i < l0.size(); ++i) EXPECT_LE(l0[i], 4) << Name(s);
    });
  }
}

// A λ that is adjusted reaches its L0 from thresholds far too low and far too high.
TEST(Trainer, JumpReluReachesItsL0) {
  for (double threshold : {0.02, 1.0}) {
    Toy toy(Selection::kJumpRelu);
    toy.spec.model.penalty.threshold = threshold;
    toy.spec.epochs = 25;
    tbb::task_arena arena(2);
    arena.execute([&] {
      Trainer<float> trainer(toy.spec, toy.data());
      double l0 = 0;
      while (!trainer.done()) l0 = trainer.Next()->l0;
      EXPECT_NEAR(l0, 4, 1) << threshold;
    });
  }
}

// Every option that adds state or another pass over the gradients.
TEST(Trainer, SameBitsForAnyNumberOfThreadsWithEveryOption) {
  for (Revival revival : {Revival::kAuxK, Revival::kNldisco, Revival::kResample}) {
    for (OptimiserKind kind :
         {OptimiserKind::kAdam, OptimiserKind::kAdamW, OptimiserKind::kMomentum}) {
      Toy toy(Selection::kBatchTopK);
      toy.spec.model.revival = revival;
      toy.spec.model.resampling.every_steps = 10;
      toy.spec.model.subtract_bias = true;
      toy.spec.model.bias_start = BiasStart::kGeometricMedian;
      toy.spec.optimiser.kind = kind;
      toy.spec.optimiser.clip_norm = 0.01;
      toy.spec.optimiser.average = 0.99;
      EXPECT_EQ(TrainIn(1, toy), TrainIn(3, toy)) << Name(revival);
    }
  }
}

// The norm is taken of the gradients that are used then: nothing is done to them twice.
TEST(Trainer, ANormThatIsNeverReachedChangesNothing) {
  for (Selection s : kAll) {
    Toy toy(s);
    toy.spec.model.subtract_bias = true;
    toy.spec.hidden_inputs = 0.3;
    toy.spec.optimiser.clip_norm = 1e9;
    TrainingData data = toy.data();
    data.normaliser = {std::vector<float>(20, 0.25f), std::vector<float>(20, 0.5f)};
    const auto train = [&] {
      Trainer<float> trainer(toy.spec, data);
      for (int i = 0; i < 30; ++i) EXPECT_TRUE(trainer.Next().ok());
      return Sha256Hex(trainer.Save());
    };
    const std::string clipped = train();
    toy.spec.optimiser.clip_norm = 0;
    EXPECT_EQ(clipped, train()) << Name(s);
  }
}

// A clock that counts how often it is asked, on one thread.
TEST(Trainer, ClippingSortsAndSumsOnce) {
  for (Selection s : kAll) {
    Toy toy(s);
    toy.spec.optimiser.clip_norm = 0.01;
    int64_t asked = 0;
    StageClock clock{[&] { return ++asked; }, {}};
    tbb::task_arena(1).execute([&] {
      Trainer<float> trainer(toy.spec, toy.data());
      trainer.set_clock(&clock);
      EXPECT_TRUE(trainer.Next().ok());
    });
    EXPECT_EQ(clock.spent[kSortStage], 1) << Name(s);
  }
}

// Saved in the middle, and gone on with by another trainer.
void ExpectTheSameBitsAfterAnInterruption(const Toy& toy) {
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
  EXPECT_EQ(Sha256Hex(whole.Save()), Sha256Hex(resumed.Save())) << Name(toy.spec.model.selection);
}

TEST(Trainer, GoesOnFromASavedStateToTheSameBits) {
  for (Selection s : kAll) {
    Toy toy(s);
    toy.spec.optimiser.average = 0.99;
    ExpectTheSameBitsAfterAnInterruption(toy);
  }
}

// The mask is a function of seed, step and row alone.
TEST(Trainer, HiddenInputsNeitherDependOnThreadsNorOnInterruptions) {
  for (Selection s : kAll) {
    Toy toy(s);
    const std::string plain = TrainIn(1, toy);
    toy.spec.hidden_inputs = 0.5;
    const std::string one = TrainIn(1, toy);
    EXPECT_NE(one, plain) << Name(s);
    for (int threads : {2, 5}) EXPECT_EQ(one, TrainIn(threads, toy)) << Name(s);
    ExpectTheSameBitsAfterAnInterruption(toy);
  }
}

// The codes of full windows have the asked sparsity, those of a half have another one.
TEST(Trainer, HiddenInputsKeepTheL0OfFullWindows) {
  Toy toy(Selection::kRelu);
  toy.spec.epochs = 30;
  toy.spec.hidden_inputs = 0.5;
  Trainer<float> trainer(toy.spec, toy.data());
  while (!trainer.done()) ASSERT_TRUE(trainer.Next().ok());
  Step<float> step(toy.spec.model, toy.data());
  step.PackAll(trainer.parameters());
  step.Select(toy.starts, trainer.parameters(), {});
  EXPECT_NEAR(step.l0(), 4, 0.6);
}

TEST(HiddenUnits, HidesTheFractionOfEachUnit) {
  constexpr int kUnits = 7, kRows = 4000;
  std::vector<int> count(kUnits, 0);
  std::vector<uint8_t> hidden(kUnits);
  for (int64_t row = 0; row < kRows; ++row) {
    DrawHidden({0.3, 1, 2}, row, kUnits, hidden.data());
    for (int n = 0; n < kUnits; ++n) count[n] += hidden[n];
  }
  for (int n = 0; n < kUnits; ++n) EXPECT_NEAR(count[n], 0.3 * kRows, 120) << n;  // 4 σ
}

TEST(Trainer, PenaltyFindsTheAskedSparsity) {
  for (Selection s : {Selection::kRelu, Selection::kGated}) {
    Toy toy(s);
    toy.spec.epochs = 30;
    Trainer<float> trainer(toy.spec, toy.data());
    double l0 = 0;
    while (!trainer.done()) l0 = trainer.Next()->l0;
    EXPECT_NEAR(l0, 4, 0.5) << Name(s);
  }
}

// Long before a thousand steps a λ that overshoots would silence latents for good.
TEST(Trainer, AShortTrainingDoesNotCollapse) {
  for (Selection s : {Selection::kRelu, Selection::kGated}) {
    for (const int steps : {50, 80, 150, 400}) {
      Toy toy(s);
      toy.spec.model.aux.dead_after_steps = 0;
      toy.spec.optimiser.learning_rate = 4e-3;
      toy.spec.model.loss = Loss::kPoisson;
      toy.spec.model.output = Output::kSoftplus;
      toy.spec.epochs = 1000;
      toy.spec.max_steps = steps;
      Trainer<float> trainer(toy.spec, toy.data());
      double l0 = 0;
      while (!trainer.done()) l0 = trainer.Next()->l0;
      EXPECT_GT(l0, 4 / 1.5) << Name(s) << " after " << steps;
      EXPECT_LT(l0, 4 * 1.5) << Name(s) << " after " << steps;
    }
  }
}

// While the learning rate is so low that L0 cannot answer, λ goes no further than it comes back
// from.
TEST(Trainer, LambdaDoesNotRunAwayInASlowWarmUp) {
  Toy toy(Selection::kRelu);
  toy.spec.optimiser.learning_rate = 1e-12;
  toy.spec.epochs = 50;
  Trainer<float> trainer(toy.spec, toy.data());
  double lambda = 0;
  while (!trainer.done()) {
    const auto report = trainer.Next();
    ASSERT_TRUE(report.ok());
    lambda = report->lambda;
  }
  const double start = 0.1 / toy.data().outputs();
  EXPECT_NEAR(lambda, 1e3 * start, 1e-6 * lambda);
}

TEST(Trainer, ResamplingBringsDeadLatentsBack) {
  // Twenty latents start with a bias that no input overcomes; how many of them end so?
  const auto buried = [](Revival revival) {
    Toy toy(Selection::kTopK);
    toy.spec.model.levels = {{70, 4}};
    toy.spec.model.revival = revival;
    toy.spec.model.aux.dead_after_steps = 15;
    toy.spec.model.resampling = {20, 1};
    Trainer<float> trainer(toy.spec, toy.data());
    for (int j = 0; j < 20; ++j) trainer.mutable_parameters().encoder_bias[j] = -100;
    EXPECT_TRUE(trainer.Restore(trainer.Save()).ok());
    while (!trainer.done()) EXPECT_TRUE(trainer.Next().ok());
    int count = 0;
    for (int j = 0; j < 20; ++j) count += trainer.parameters().encoder_bias[j] < -50;
    return count;
  };
  EXPECT_EQ(buried(Revival::kNone), 20);
  EXPECT_EQ(buried(Revival::kResample), 0);
}

// Far from the mean, which the outlier moves to 67.
TEST(Windows, GeometricMedianIgnoresAnOutlier) {
  const std::vector<uint8_t> counts = {0, 1, 2, 1, 200, 1};
  const CountView view{counts.data(), DType::kU8, 3, 2};
  const std::vector<int64_t> starts = {0, 1, 2};
  const auto median = GeometricMedian(view, {}, starts, 1);
  EXPECT_LT(median[0], 3);
  EXPECT_NEAR(median[1], 1, 1e-6);
}

// The last bins, where groups fire together twice as often, are what is scored: their L0 meets the
// target, and that of all windows lies below.
TEST(Trainer, ScoredWindowsMeetTheTarget) {
  for (Selection s : {Selection::kRelu, Selection::kGated, Selection::kBatchTopK}) {
    for (double hidden : {0.0, 0.5}) {
      Toy toy(s);
      toy.spec.model.levels = {{30, 4}};
      toy.spec.epochs = 40;
      toy.spec.hidden_inputs = hidden;
      for (size_t i = 0; i < size_t{2500} * 20; ++i) {
        if (CounterRandom(8, 2).Uniform(i / 20) < 0.7) toy.counts[i] = 0;
      }
      const std::vector<int64_t> scored(toy.starts.begin() + 2500, toy.starts.end());
      TrainingData data = toy.data();
      data.scored = scored;
      Trainer<float> trainer(toy.spec, data);
      double l0 = 0, last = 0;
      while (!trainer.done()) {
        const auto report = trainer.Next();
        ASSERT_TRUE(report.ok()) << report.status();
        last = report->l0;
        l0 = trainer.step() == 1 ? last : 0.95 * l0 + 0.05 * last;
      }
      if (s == Selection::kBatchTopK) {
        const double by_all =
            Trainer<float>(toy.spec, toy.data()).CalibrateThresholds([] { return true; })->back();
        const double by_scored =
            Trainer<float>(toy.spec, data).CalibrateThresholds([] { return true; })->back();
        EXPECT_GT(by_scored, 1.1 * by_all);
      } else {
        EXPECT_NEAR(l0, 4, 0.6) << Name(s) << " " << hidden;
      }
    }
  }
}

TEST(Trainer, PairedTargetLearnsTheOtherPopulation) {
  Toy toy(Selection::kTopK);
  std::vector<uint8_t> target(3000 * 2);
  for (int64_t t = 0; t < 3000; ++t) {
    // One unit follows the first group, the other is its opposite.
    int sum = 0;
    for (int n = 0; n < 5; ++n) sum += toy.counts[t * 20 + n];
    target[2 * t] = sum >= 3;
    target[2 * t + 1] = sum < 3;
  }
  TrainingData data = toy.data();
  data.target = {target.data(), DType::kU8, 3000, 2};
  toy.spec.epochs = 20;
  Trainer<float> trainer(toy.spec, data);
  const double first = trainer.Next()->reconstruction_loss;
  double last = first;
  while (!trainer.done()) last = trainer.Next()->reconstruction_loss;
  EXPECT_EQ(trainer.parameters().decoder.size(), 70u * 4);
  EXPECT_LT(last, 0.35 * first);
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

// A latent with such a weight is never selected, so the loss does not show it. One that is dead is
// among those of which the largest are taken, by sign or not.
TEST(Trainer, SaysSoonThatAWeightIsNotFinite) {
  for (const auto& [s, signed_code] :
       {std::pair(Selection::kTopK, false), std::pair(Selection::kBatchTopK, false),
        std::pair(Selection::kRelu, false), std::pair(Selection::kJumpRelu, false),
        std::pair(Selection::kGated, false), std::pair(Selection::kTopK, true)}) {
    Toy toy(s);
    toy.spec.model.aux.pre_activation = signed_code;
    toy.spec.model.aux.k = signed_code ? 3 : toy.spec.model.aux.k;
    Trainer<float> trainer(toy.spec, toy.data());
    for (int i = 0; i < 7; ++i) ASSERT_TRUE(trainer.Next().ok());
    std::string state = trainer.Save();
    // The state begins with a mark, the step and the encoder's length; 3 is a row and no tail.
    const float nan = std::numeric_limits<float>::quiet_NaN();
    constexpr size_t kEncoder = 4 + 8 + 8, kRow = 3 * 40;
    ASSERT_EQ(std::memcmp(state.data() + kEncoder, trainer.parameters().encoder.data(), 64), 0);
    std::memcpy(state.data() + kEncoder + kRow * sizeof nan, &nan, sizeof nan);
    ASSERT_TRUE(trainer.Restore(state).ok());
    absl::Status said;
    int steps = 0;
    for (; said.ok() && steps < 20; ++steps) said = trainer.Next().status();
    EXPECT_EQ(said.code(), absl::StatusCode::kFailedPrecondition) << Name(s);
    EXPECT_LE(steps, 10) << Name(s);
  }
}

std::string DigestOn(const std::string& path, const Toy& toy) {
  EXPECT_TRUE(SelectKernels(path).ok());
  Trainer<float> trainer(toy.spec, toy.data());
  while (!trainer.done()) EXPECT_TRUE(trainer.Next().ok());
  return Sha256Hex(trainer.Save()).substr(0, 16);
}

// The same bits from every build and every kernel path: what is stored here came from one of them.
TEST(Trainer, TrainsToTheStoredBits) {
  const std::map<Selection, std::string> stored = {
      {Selection::kTopK, "f2902d155634617e"},  {Selection::kBatchTopK, "e7a946006ae348cd"},
      {Selection::kRelu, "61fd89a55255e8a0"},  {Selection::kJumpRelu, "0e9b16c91ffe50db"},
      {Selection::kGated, "7d0b1233b093fbf7"},
  };
  const std::string before(KernelPathName());
  for (const KernelPath& path : KernelPaths()) {
    if (!path.available) continue;
    for (Selection s : kAll) {
      EXPECT_EQ(DigestOn(path.name, Toy(s)), stored.at(s)) << Name(s) << " on " << path.name;
    }
  }
  ASSERT_TRUE(SelectKernels(before).ok());
}

// Salmon et al. 2011, the known answers of their Random123 library.
TEST(Random, GivesThePublishedPhiloxWords) {
  using Words = std::array<uint32_t, 4>;
  EXPECT_EQ(Philox(0, 0, 0), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr uint64_t kOnes = ~uint64_t{0};
  EXPECT_EQ(Philox(kOnes, kOnes, kOnes), (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(Philox(0x299f31d0a4093822, 0x0370734413198a2e, 0x85a308d3243f6a88),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

}  // namespace
}  // namespace saed::sae
