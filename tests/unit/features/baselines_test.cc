#include "server/features/baselines.h"

#include <gtest/gtest.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "server/features/components.h"
#include "server/sae/random.h"

namespace saed::features {
namespace {

using nlohmann::json;

const json& Fixture() {
  static const json all =
      json::parse(std::ifstream(SAED_SOURCE_DIR "/tests/fixtures/statistics.json"));
  return all["components"];
}

CountRows FixtureCounts() {
  CountRows out;
  out.rows = static_cast<int64_t>(Fixture()["counts"].size());
  out.columns = static_cast<int>(Fixture()["counts"][0].size());
  for (const json& row : Fixture()["counts"]) {
    for (const json& count : row) out.values.push_back(count.get<float>());
  }
  return out;
}

std::vector<double> Scores(const CountRows& counts, const std::vector<double>& weights) {
  std::vector<double> out(counts.rows, 0);
  for (int64_t r = 0; r < counts.rows; ++r) {
    for (int j = 0; j < counts.columns; ++j) {
      out[r] += weights[j] * static_cast<double>(counts.values[r * counts.columns + j]);
    }
  }
  return out;
}

// |correlation|.
double Likeness(const std::vector<double>& a, const std::vector<double>& b) {
  const auto n = static_cast<double>(a.size());
  const double am = std::accumulate(a.begin(), a.end(), 0.0) / n,
               bm = std::accumulate(b.begin(), b.end(), 0.0) / n;
  double ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    ab += (a[i] - am) * (b[i] - bm);
    aa += (a[i] - am) * (a[i] - am);
    bb += (b[i] - bm) * (b[i] - bm);
  }
  return std::abs(ab) / std::sqrt(aa * bb);
}

TEST(Baselines, PrincipalComponentsAreThoseOfScikitLearn) {
  const CountRows counts = FixtureCounts();
  const int components = Fixture()["components"].get<int>();
  const ComponentWeights found = PrincipalComponents(counts, components);
  ASSERT_EQ(std::ssize(found), components);
  for (int k = 0; k < components; ++k) {
    const auto scores = Scores(counts, found[k]);
    const auto theirs = Fixture()["pca"][k].get<std::vector<double>>();
    EXPECT_GT(Likeness(scores, theirs), 1 - 1e-5) << k;
    const auto [low, high] = std::minmax_element(scores.begin(), scores.end());
    const auto [their_low, their_high] = std::minmax_element(theirs.begin(), theirs.end());
    EXPECT_NEAR(*high - *low, *their_high - *their_low, 1e-3) << "the same scale";
    EXPECT_EQ(found[k].back(), 0) << "a silent unit";
  }
}

TEST(Baselines, IndependentComponentsAreThoseOfScikitLearn) {
  const CountRows counts = FixtureCounts();
  const int components = Fixture()["components"].get<int>();
  const ComponentWeights found = IndependentComponents(counts, components);
  ASSERT_EQ(std::ssize(found), components);
  for (const json& theirs : Fixture()["ica"]) {
    double best = 0;
    for (const auto& weights : found) {
      best = std::max(best, Likeness(Scores(counts, weights), theirs.get<std::vector<double>>()));
    }
    EXPECT_GT(best, 0.999);
  }
}

TEST(Baselines, NoMoreComponentsThanDirections) {
  CountRows counts{{}, 50, 3};
  for (int r = 0; r < 50; ++r) {
    const auto value = static_cast<float>(r % 7);
    counts.values.insert(counts.values.end(), {value, 2 * value, 1});
  }
  EXPECT_EQ(PrincipalComponents(counts, 3).size(), 1U) << "one column twice, one constant";
  EXPECT_EQ(IndependentComponents(counts, 3).size(), 1U);
  EXPECT_TRUE(PrincipalComponents({{}, 0, 3}, 3).empty());
  const CountRows silent{std::vector<float>(20, 0), 10, 2};
  EXPECT_TRUE(PrincipalComponents(silent, 2).empty());
  EXPECT_TRUE(IndependentComponents(silent, 2).empty());
}

// Of twelve blocks three hold the condition: one in each fold.
TEST(Baselines, ARareConditionIsInEveryFold) {
  std::vector<int64_t> blocks, rows;
  for (int64_t b = 0; b <= 12; ++b) blocks.push_back(10 * b);
  std::vector<uint8_t> label;
  for (int64_t r = 0; r < 120; r += 2) {
    rows.push_back(r);
    label.push_back(r / 10 == 2 || r / 10 == 3 || r / 10 == 11);
  }
  const auto fold = StratifiedFolds(blocks, rows, label);
  ASSERT_EQ(fold.size(), rows.size());
  std::vector<int> positive(kBaselineFolds), all(kBaselineFolds);
  for (size_t i = 0; i < rows.size(); ++i) {
    ++all[fold[i]];
    positive[fold[i]] += label[i];
    EXPECT_EQ(fold[i], fold[i / 5 * 5]) << "a block stays together";
  }
  for (int f = 0; f < kBaselineFolds; ++f) {
    EXPECT_EQ(positive[f], 5) << f;
    EXPECT_EQ(all[f], 20) << f;
  }
}

// 200 trials of 5 windows of two bins. In half of them, those with the condition, of either of two
// ways in which units fire, chosen at random: no single unit tells more than half of it.
struct Simulation {
  static constexpr int kUnits = 12, kTrials = 200, kPerTrial = 5, kWindow = 2;
  recordings::ViewData view;
  sae::Model model;
  std::vector<int64_t> train, test, train_blocks, test_blocks;
  std::vector<std::vector<uint8_t>> labels{{}, {}}, test_labels{{}, {}};

  Simulation() {
    view.bin_width = 0.1;
    view.window = kWindow;
    view.bins = int64_t{kTrials} * kPerTrial * kWindow;
    for (int n = 0; n < kUnits; ++n) {
      view.units.push_back(n);
      view.unit_ids.push_back(n);
    }
    const sae::CounterRandom random(5, 5);
    view.bytes.resize(view.bins * kUnits);
    for (int64_t t = 0; t < view.bins; ++t) {
      const int64_t trial = t / (kPerTrial * kWindow);
      const bool on = On(trial);
      const uint64_t way = random.Below(1000000 + trial, 2);
      for (int n = 0; n < kUnits; ++n) {
        const double rate = on && n / 3 == static_cast<int>(way) ? 1.2 : 0.4;
        view.bytes[t * kUnits + n] = Poisson(rate, random.Uniform(t * kUnits + n));
      }
    }
    for (int64_t trial = 0; trial < kTrials; ++trial) {
      const bool held_out = trial % 2 == 1;
      auto& starts = held_out ? test : train;
      (held_out ? test_blocks : train_blocks).push_back(std::ssize(starts));
      for (int64_t w = 0; w < kPerTrial; ++w) {
        starts.push_back((trial * kPerTrial + w) * kWindow);
        for (const size_t c : {0, 1}) {
          const bool label = c == 0 ? On(trial) : random.Below(2000000 + trial, 2) == 1;
          (held_out ? test_labels : labels)[c].push_back(label);
        }
      }
    }
    train_blocks.push_back(std::ssize(train));
    test_blocks.push_back(std::ssize(test));
    for (const size_t c : {0, 1}) {
      labels[c].insert(labels[c].end(), test_labels[c].begin(), test_labels[c].end());
    }
    model.spec.selection = sae::Selection::kTopK;
    model.spec.levels = {{6, 2}};
    model.spec.loss = sae::Loss::kPoisson;
    model.spec.output = sae::Output::kSoftplus;
    model.units = kUnits;
    model.S = kWindow;
    model.parameters =
        sae::InitialParameters<float>(model.spec, kUnits * kWindow, kUnits * kWindow, 1);
    model.training = sae::MeasureTarget(view.counts(), {}, train, kWindow);
    model.thresholds = {0};
  }

  static bool On(int64_t trial) { return trial / 2 % 2 == 0; }

  static uint8_t Poisson(double rate, double u) {
    double p = std::exp(-rate), sum = p;
    uint8_t n = 0;
    for (; u > sum && n < 20; sum += p *= rate / n) ++n;
    return n;
  }

  std::vector<Baselines> Score(int threads, int64_t held = 1 << 20) const {
    const sae::Encoder encoder(model);
    const EvidenceColumns columns(encoder, view.counts(), view.counts());
    std::vector<std::vector<uint8_t>> train_labels;
    for (const auto& row : labels) {
      train_labels.emplace_back(row.begin(), row.begin() + std::ssize(train));
    }
    const SetSearch search{encoder,     view,         &columns,    train,       test,  labels,
                           test_labels, train_blocks, test_blocks, test_blocks, false, held};
    tbb::task_arena arena(threads);
    std::vector<Baselines> out;
    arena.execute([&] {
      auto scored = ScoreBaselines(search, ByWindow(train_labels, std::ssize(train)),
                                   ByWindow(test_labels, std::ssize(test)), {0, 1},
                                   [](double) { return true; });
      ASSERT_TRUE(scored.ok()) << scored.status();
      out = *scored;
    });
    return out;
  }
};

TEST(Baselines, LogisticRegressionReadsWhatUnitsShareAndNothingElse) {
  const Simulation s;
  const auto found = s.Score(2);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_GT(*found[0].logistic_counts, 0.8);
  EXPECT_GT(*found[0].logistic_latents, 0.6);
  EXPECT_LT(*found[0].logistic_latents, *found[0].logistic_counts) << "six random rows of twelve";
  EXPECT_EQ(found[0].latents_by, sae::EvidenceKind::kMarginal);
  EXPECT_GT(*found[0].pca, 0.6);
  EXPECT_GT(*found[0].ica, 0.6);
  for (const auto& nothing :
       {found[1].logistic_counts, found[1].logistic_latents, found[1].pca, found[1].ica}) {
    EXPECT_NEAR(*nothing, 0.5, 0.1) << "labels that mean nothing";
  }
}

TEST(Baselines, AreTheSameForAnyNumberOfThreadsAndHeldValues) {
  const Simulation s;
  const auto one = s.Score(1), three = s.Score(3, 500);
  for (const size_t c : {0, 1}) {
    EXPECT_EQ(one[c].logistic_counts, three[c].logistic_counts);
    EXPECT_EQ(one[c].logistic_latents, three[c].logistic_latents);
    EXPECT_EQ(one[c].pca, three[c].pca);
    EXPECT_EQ(one[c].ica, three[c].ica);
  }
}

}  // namespace
}  // namespace saed::features
