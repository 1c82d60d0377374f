#include "server/features/certainty.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <set>
#include <string>

#include "server/features/drawn_aurocs.h"
#include "server/sae/random.h"

namespace saed::features {
namespace {

struct Made {
  std::vector<float> dense;
  Activations sparse;
  std::vector<std::vector<uint8_t>> labels;
};

// Activation and labels that stay on for a while, of ties, independent of each other. The first
// label comes in long stretches, the second in short ones.
Made Make(int n, uint64_t seed) {
  const sae::CounterRandom random(seed, 4);
  Made out;
  out.dense.resize(n);
  out.labels.assign(2, std::vector<uint8_t>(n));
  bool on = false, slow = false;
  for (int w = 0; w < n; ++w) {
    if (random.Uniform(4 * w) < 0.2) on = !on;
    if (random.Uniform(4 * w + 1) < 0.05) slow = !slow;
    if (on) out.dense[w] = 1 + static_cast<float>(random.Below(4 * w + 2, 4));
    if (on) out.sparse.emplace_back(w, out.dense[w]);
    out.labels[0][w] = slow;
    out.labels[1][w] = random.Uniform(4 * w + 3) < 0.4;
  }
  return out;
}

double Auroc(const Made& m, int c) {
  return *Score(m.sparse, ByWindow(m.labels, static_cast<int64_t>(m.dense.size())))[c].auroc;
}

// Kolmogorov-Smirnov at 1 %.
void ExpectUniform(std::vector<double> p) {
  std::sort(p.begin(), p.end());
  const auto n = static_cast<double>(p.size());
  double distance = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    const auto rank = static_cast<double>(i);
    distance = std::max({distance, std::abs(p[i] - rank / n), std::abs(p[i] - (rank + 1) / n)});
  }
  EXPECT_LT(distance, 1.63 / std::sqrt(n));
}

// With fewer windows than shifts every shift counts.
TEST(Certainty, PValuesAreThoseOfAllShifts) {
  int exact = 0;
  for (int n : {37, 90, 211}) {
    for (uint64_t seed = 0; seed < 10; ++seed) {
      const Made made = Make(n, seed);
      const NullLabels labels(made.labels, n, {0, n});
      const auto p = labels.PValues(made.sparse, {true, true}, seed);
      for (int c = 0; c < 2; ++c) {
        const auto ones = std::count(made.labels[c].begin(), made.labels[c].end(), 1);
        ASSERT_EQ(p[c].has_value(), ones > 0 && ones < n && !made.sparse.empty());
        if (!p[c]) continue;
        const double seen = Auroc(made, c);
        int exceedances = 0;
        for (int s = 1; s < n; ++s) {
          Made shifted = made;
          for (int w = 0; w < n; ++w) shifted.labels[c][w] = made.labels[c][(w + s) % n];
          exceedances += Auroc(shifted, c) >= seen - 1e-12;
        }
        const double want = (1.0 + exceedances) / n;
        if (exceedances > kEnoughExceedances) {  // stopped early, in random order
          ASSERT_NEAR(*p[c], want, 4 * want / std::sqrt(kEnoughExceedances));
          continue;
        }
        ++exact;
        ASSERT_DOUBLE_EQ(*p[c], want) << n << " " << seed << " " << c;
      }
    }
  }
  EXPECT_GE(exact, 10);
}

// Independent of each other: uniform p-values.
TEST(Certainty, PValuesAreUniformWithoutARelation) {
  constexpr int kPairs = 400;
  std::vector<double> p;
  for (uint64_t seed = 100; seed < 100 + kPairs; ++seed) {
    const Made made = Make(3000, seed);
    p.push_back(
        *NullLabels(made.labels, 3000, {0, 3000}).PValues(made.sparse, {true, true}, seed)[0]);
  }
  ExpectUniform(p);
}

// Labels that keep to blocks, activation that does too, without a relation: dealing gives uniform
// p-values, where shifts would call too many.
TEST(Certainty, DealtPValuesAreUniformInBlocks) {
  constexpr int kPairs = 400, kBlocks = 20;
  std::vector<double> p;
  for (uint64_t seed = 500; seed < 500 + kPairs; ++seed) {
    const sae::CounterRandom random(seed, 6);
    std::vector<int64_t> blocks = {0};
    Activations sparse;
    std::vector<std::vector<uint8_t>> labels(1);
    for (int b = 0; b < kBlocks; ++b) {
      const double rate = 0.5 * random.Uniform(b);
      const bool on = (b + seed) % 4 == 0;
      for (int i = 0; i < 50; ++i) {
        const int64_t w = 50 * b + i;
        if (random.Uniform(1000 + w) < rate) {
          sparse.emplace_back(w, 1 + static_cast<float>(random.Below(3000 + w, 3)));
        }
        labels[0].push_back(on);
      }
      blocks.push_back(50 * (b + 1));
    }
    p.push_back(*NullLabels(labels, blocks.back(), blocks).PValues(sparse, {true}, seed)[0]);
  }
  ExpectUniform(p);
}

// Labels that keep to two of five blocks can be chosen in ten ways: nothing is called, and the
// smallest p comes as often as it says.
TEST(Certainty, FewBlocksCallNothing) {
  constexpr int kPairs = 600, kBlocks = 5;
  int smallest = 0;
  for (uint64_t seed = 0; seed < kPairs; ++seed) {
    const sae::CounterRandom random(seed, 17);
    std::vector<int64_t> blocks = {0};
    Activations sparse;
    std::vector<std::vector<uint8_t>> labels(1);
    for (int b = 0; b < kBlocks; ++b) {
      const double rate = 0.6 * random.Uniform(b);
      for (int i = 0; i < 50; ++i) {
        const int64_t w = 50 * b + i;
        if (random.Uniform(1000 + w) < rate) sparse.emplace_back(w, 1.0F);
        labels[0].push_back(b == 1 || b == 3);
      }
      blocks.push_back(50 * (b + 1));
    }
    const NullLabels null(labels, blocks.back(), blocks);
    ASSERT_DOUBLE_EQ(null.SmallestP(0), 0.1);
    const double p = *null.PValues(sparse, {true}, seed)[0];
    ASSERT_GE(p, 0.1);
    smallest += p < 0.14;
  }
  EXPECT_NEAR(smallest / double(kPairs), 0.1, 3 * std::sqrt(0.09 / kPairs));
}

// A context that lasts for many trials, and activity that drifts as slowly, without a relation: the
// trials' labels move on together. Dealt one by one they called nearly half of such pairs.
TEST(Certainty, ContextsOfManyBlocksAreNotDealtApart) {
  constexpr int kPairs = 400, kBlocks = 60, kWindows = 20;
  int called = 0;
  for (uint64_t seed = 0; seed < kPairs; ++seed) {
    const sae::CounterRandom random(seed, 23);
    std::vector<int64_t> blocks = {0};
    Activations active;
    std::vector<std::vector<uint8_t>> labels(1);
    double drift = 0;
    for (int b = 0; b < kBlocks; ++b) {
      drift = 0.95 * drift + random.Uniform(b) - 0.5;
      for (int i = 0; i < kWindows; ++i) {
        const auto w = int64_t{kWindows} * b + i;
        active.emplace_back(w, static_cast<float>(drift + random.Uniform(10000 + w)));
        labels[0].push_back(b / 15 % 2);
      }
      blocks.push_back(int64_t{kWindows} * (b + 1));
    }
    const NullLabels null(labels, blocks.back(), blocks);
    ASSERT_DOUBLE_EQ(null.SmallestP(0), 1.0 / kBlocks);
    called += *null.PValues(active, {true}, seed)[0] <= 0.05;
  }
  EXPECT_LE(called / double(kPairs), 0.1);
}

TEST(Certainty, OnlyLabelsThatKeepToBlocksHaveASmallestP) {
  const std::vector<int64_t> blocks = {0, 3, 5, 9, 12};
  const std::vector<std::vector<uint8_t>> labels = {
      {1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0},  // one of four
      {0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 0, 0},  // two, side by side
      {0, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0, 0},  // a block in part
      std::vector<uint8_t>(12, 1),
      std::vector<uint8_t>(12, 0)};
  const NullLabels dealt(labels, 12, blocks);
  EXPECT_DOUBLE_EQ(dealt.SmallestP(0), 1.0 / 4);
  EXPECT_DOUBLE_EQ(dealt.SmallestP(1), 1.0 / 6);
  for (size_t c = 2; c < labels.size(); ++c) EXPECT_EQ(dealt.SmallestP(c), 0);
  EXPECT_EQ(NullLabels(labels, 12, {0, 12}).SmallestP(0), 0);
}

// Blocks of different lengths: a label that follows the activation window by window is found, and
// one that never changes is not tested.
TEST(Certainty, DealsFindARelation) {
  Made made = Make(4000, 9);
  for (int w = 0; w < 4000; ++w) made.labels[0][w] = made.dense[w] > 2;
  std::fill(made.labels[1].begin(), made.labels[1].end(), 1);
  std::vector<int64_t> blocks = {0};
  while (blocks.back() < 4000) {
    blocks.push_back(std::min<int64_t>(4000, blocks.back() + 100 + 37 * (blocks.size() % 5)));
  }
  const NullLabels null(made.labels, 4000, blocks);
  const auto p = null.PValues(made.sparse, {true, true}, 3);
  EXPECT_DOUBLE_EQ(*p[0], 1.0 / (1 + kShifts));
  EXPECT_FALSE(p[1]);
  EXPECT_FALSE(null.PValues({}, {true, true}, 3)[0]);
}

// Many conditions at once have the p-values that each has alone.
TEST(Certainty, ManyConditionsAtOnceAreTheSameAsOneByOne) {
  constexpr int kWindows = 1900, kConditions = 30;
  Made made = Make(kWindows, 21);
  const sae::CounterRandom random(8, 8);
  made.labels.clear();
  for (int c = 0; c < kConditions; ++c) {
    auto& label = made.labels.emplace_back(kWindows, 0);
    for (int w = 0; w < kWindows; ++w) label[w] = random.Below(w / 20 * kConditions + c, 9) == 0;
  }
  std::vector<int64_t> blocks;
  for (int64_t w = 0; w <= kWindows; w += 100) blocks.push_back(w);
  for (const auto& given : {std::vector<int64_t>{0, kWindows}, blocks}) {
    const auto all = NullLabels(made.labels, kWindows, given)
                         .PValues(made.sparse, std::vector<bool>(kConditions, true), 5);
    for (int c = 0; c < kConditions; ++c) {
      const NullLabels one({made.labels[c]}, kWindows, given);
      EXPECT_EQ(all[c], one.PValues(made.sparse, {true}, 5)[0]) << c;
    }
  }
}

// Windows outside are as if they were not there, in draws and in the bootstrap.
TEST(Certainty, AsksOfTheWindowsOfItsScopeAlone) {
  constexpr int kWindows = 2000;
  Made made = Make(kWindows, 23);
  const sae::CounterRandom random(5, 5);
  std::vector<WindowLabel> label(kWindows), reduced;
  std::vector<int64_t> blocks = {0}, kept = {0};
  Activations inside;
  for (int w = 0; w < kWindows; ++w) {
    const bool outside = random.Below(w, 3) == 0 || (w >= 400 && w < 500);
    label[w] = outside ? kOutside : static_cast<WindowLabel>(made.labels[0][w]);
    if (!outside) {
      for (const auto& [at, value] : made.sparse) {
        if (at == w) inside.emplace_back(static_cast<int32_t>(reduced.size()), value);
      }
      reduced.push_back(label[w]);
    }
    if ((w + 1) % 100 != 0) continue;
    blocks.push_back(w + 1);
    if (std::ssize(reduced) > kept.back()) kept.push_back(std::ssize(reduced));
  }
  const auto n = std::ssize(reduced);
  ASSERT_EQ(kept.size(), blocks.size() - 1);
  for (const bool deal : {true, false}) {
    const NullLabels all({label, made.labels[0]}, kWindows,
                         deal ? blocks : std::vector<int64_t>{0, kWindows});
    const NullLabels alone({reduced}, n, deal ? kept : std::vector<int64_t>{0, n});
    EXPECT_EQ(all.PValues(made.sparse, {true, true}, 4)[0], alone.PValues(inside, {true}, 4)[0]);
    EXPECT_EQ(all.SmallestP(0), alone.SmallestP(0));
    const auto dealt = all.Rearranged(0, 9);
    std::vector<WindowLabel> of_scope;
    for (int w = 0; w < kWindows; ++w) {
      EXPECT_EQ(dealt[w] == kOutside, label[w] == kOutside);
      if (dealt[w] != kOutside) of_scope.push_back(dealt[w]);
    }
    EXPECT_EQ(of_scope, alone.Rearranged(0, 9));
    EXPECT_NE(of_scope, reduced);
  }
  // A block without any of its windows is drawn, but changes nothing.
  const auto some = BootstrapAuroc(made.sparse, label, blocks, 2);
  ASSERT_TRUE(some);
  const double auroc = *Score(inside, ByWindow({reduced}, n))[0].auroc;
  EXPECT_LT(some->low, auroc);
  EXPECT_GT(some->high, auroc);
  std::vector<WindowLabel> wrong = label;
  for (auto& l : wrong) l = l == kOutside ? kHolds : l;
  EXPECT_NE(BootstrapAuroc(made.sparse, wrong, blocks, 2)->low, some->low);
}

// Scores that trials share, `effect` higher in the first `positive` of 60 trials of 8 windows. All
// windows have a score, so nothing is tied at 0.
struct FewTrials {
  static constexpr int kTrials = 60, kLength = 8;
  Activations scores;
  std::vector<WindowLabel> label;
  std::vector<int64_t> blocks = {0};

  FewTrials(int positive, double effect, uint64_t seed) {
    const sae::CounterRandom random(seed, 7);
    uint64_t at = 0;
    const auto normal = [&] {
      double sum = -6;
      for (int i = 0; i < 12; ++i) sum += random.Uniform(at++);
      return sum;
    };
    for (int t = 0; t < kTrials; ++t) {
      const double shared = 0.7 * normal() + (t < positive ? effect : 0);
      for (int w = 0; w < kLength; ++w) {
        scores.emplace_back(std::ssize(label), static_cast<float>(shared + normal()));
        label.push_back(t < positive ? kHolds : kHoldsNot);
      }
      blocks.push_back(std::ssize(label));
    }
  }
};

// AUROC of normal scores: Φ(effect ÷ √2 sd), with sd² = 1 + 0.7². Percentiles alone hold it in 0.57
// to 0.9 of these.
TEST(Certainty, IntervalsOfFewTrialsHoldTheTruth) {
  constexpr int kSets = 200;
  for (const int positive : {2, 3, 5, 10, 50}) {
    for (const double effect : {0.0, 1.0}) {
      const double truth = std::erfc(-effect / std::sqrt(2 * 1.49) / std::numbers::sqrt2) / 2;
      int held = 0;
      for (int set = 0; set < kSets; ++set) {
        const FewTrials made(positive, effect, set);
        const auto i = BootstrapAuroc(made.scores, made.label, made.blocks, set);
        ASSERT_TRUE(i) << positive;
        EXPECT_GE(i->low, 0);
        EXPECT_LE(i->high, 1);
        EXPECT_LT(i->low, i->high);
        held += i->low <= truth && truth <= i->high;
      }
      EXPECT_GE(held, 181) << positive << " " << effect;  // 95 % less 3 standard errors
    }
  }
}

// The truth is 0.990 and 0.998. What is skewed so much is held less often; what all draws agree on
// is no interval of few.
TEST(Certainty, IntervalsOfFewTrialsNearOneAreSeldomTooNarrow) {
  for (const int positive : {2, 3, 5}) {
    for (const double effect : {4.0, 5.0}) {
      const double truth = std::erfc(-effect / std::sqrt(2 * 1.49) / std::numbers::sqrt2) / 2;
      int held = 0, sets = 0;
      for (int set = 0; set < 200; ++set) {
        const FewTrials made(positive, effect, set);
        const auto i = BootstrapAuroc(made.scores, made.label, made.blocks, set);
        if (!i) continue;
        ++sets;
        EXPECT_LT(i->low, i->high);
        held += i->low <= truth && truth <= i->high;
      }
      EXPECT_GT(sets, 100);
      EXPECT_GE(held, 0.8 * sets) << positive << " " << effect;
    }
  }
}

TEST(Certainty, OfOneTrialThereIsNoInterval) {
  const FewTrials made(1, 1, 1), other(59, 1, 1);
  EXPECT_FALSE(BootstrapAuroc(made.scores, made.label, made.blocks, 1));
  EXPECT_FALSE(BootstrapAuroc(other.scores, other.label, other.blocks, 1));
  EXPECT_FALSE(BootstrapDifference(made.scores, other.scores, made.label, made.blocks, 1));
}

TEST(Certainty, ShorterBlocksAreDrawnForWhatOneOfThemHolds) {
  const std::vector<WindowLabel> label = {1, 1, 1, 1, 0, 0, kOutside, 0};
  const std::vector<int64_t> blocks = {0, 4, 6, 8}, shorter = {0, 2, 4, 6, 8};
  EXPECT_EQ(BlocksOfRarer(label, blocks), 1);
  EXPECT_EQ(BlocksOfRarer(label, shorter), 2);
  EXPECT_EQ(BlocksToDraw(label, blocks, shorter), shorter);
  EXPECT_EQ(BlocksToDraw(label, shorter, blocks), shorter);
  EXPECT_EQ(BlocksToDraw(label, blocks, {}), blocks);
  EXPECT_EQ(BlocksOfRarer({0, kOutside}, {0, 1, 2}), 0);
}

// Contexts that last for ten trials each are drawn whole, with what lies between them.
TEST(Certainty, RunsAreDrawnAsAWhole) {
  std::vector<WindowLabel> label;
  std::vector<int64_t> blocks = {0};
  for (int trial = 0; trial < 60; ++trial) {
    for (int w = 0; w < 3; ++w) {
      label.push_back(trial % 7 == 3 ? kOutside : static_cast<WindowLabel>(trial / 10 % 2));
    }
    blocks.push_back(std::ssize(label));
  }
  EXPECT_EQ(BlocksToDraw(label, blocks, {}), (std::vector<int64_t>{0, 33, 60, 90, 120, 150, 180}));
  // One after another by chance: nothing is joined.
  for (size_t w = 0; w < label.size(); ++w) label[w] = static_cast<WindowLabel>(w / 3 % 2);
  EXPECT_EQ(BlocksToDraw(label, blocks, {}), blocks);
  // One run alone: shorter ones, where there may be any.
  for (size_t w = 0; w < label.size(); ++w) label[w] = w < 60 ? kHolds : kHoldsNot;
  EXPECT_EQ(BlocksToDraw(label, blocks, {}), (std::vector<int64_t>{0, 60, 180}));
  EXPECT_EQ(BlocksToDraw(label, blocks, blocks), blocks);
}

// Draws of the same blocks have the same AUROCs with the windows outside as without them.
TEST(Certainty, TheBootstrapLeavesOutWhatIsOutside) {
  constexpr int kWindows = 1200;
  const Made made = Make(kWindows, 29);
  const sae::CounterRandom random(6, 6);
  std::vector<WindowLabel> label(kWindows), reduced;
  std::vector<int64_t> blocks = {0}, kept = {0};
  Activations inside;
  size_t at = 0;
  for (int w = 0; w < kWindows; ++w) {
    label[w] = random.Below(w, 3) == 0 ? kOutside : static_cast<WindowLabel>(made.labels[1][w]);
    const bool active = at < made.sparse.size() && made.sparse[at].first == w;
    if (label[w] != kOutside) {
      if (active) inside.emplace_back(std::ssize(reduced), made.sparse[at].second);
      reduced.push_back(label[w]);
    }
    at += active;
    if ((w + 1) % 60 != 0) continue;
    blocks.push_back(w + 1);
    kept.push_back(std::ssize(reduced));
  }
  const auto all = BootstrapAuroc(made.sparse, label, blocks, 2);
  const auto alone = BootstrapAuroc(inside, reduced, kept, 2);
  ASSERT_TRUE(all && alone);
  EXPECT_EQ(all->low, alone->low);
  EXPECT_EQ(all->high, alone->high);
}

// Dealing keeps how often a label holds in blocks of one length, and its trials.
TEST(Certainty, RearrangedLabelsKeepWhatBelongsTogether) {
  std::vector<WindowLabel> label(60, kHoldsNot);
  std::vector<int64_t> blocks;
  for (int64_t b = 0; b <= 12; ++b) blocks.push_back(5 * b);
  for (const int b : {1, 4, 5, 9}) std::fill_n(label.begin() + 5 * b, 5, kHolds);
  const NullLabels null({label}, 60, blocks);
  std::set<std::string> seen;
  for (uint64_t stream = 0; stream < 20; ++stream) {
    const auto dealt = null.Rearranged(0, stream);
    int holding = 0;
    for (int b = 0; b < 12; ++b) {
      const auto sum = std::accumulate(dealt.begin() + 5 * b, dealt.begin() + 5 * b + 5, 0);
      EXPECT_TRUE(sum == 0 || sum == 5);
      holding += sum == 5;
    }
    EXPECT_EQ(holding, 4);
    seen.emplace(dealt.begin(), dealt.end());
  }
  EXPECT_GT(seen.size(), 15U);
}

TEST(Certainty, WithoutWindowsThereIsNothingToRearrange) {
  const NullLabels none({{}, {}}, 0, {0});
  EXPECT_TRUE(none.Rearranged(1, 3).empty());
  EXPECT_FALSE(none.PValues({}, {true, true}, 3)[0]);
  const NullLabels outside({{kOutside, kOutside, kHolds}}, 3, {0, 3});
  EXPECT_EQ(outside.Rearranged(0, 3), (std::vector<WindowLabel>{kOutside, kOutside, kHolds}));
}

TEST(Certainty, ARelationIsFound) {
  Made made = Make(4000, 7);
  for (int w = 0; w < 4000; ++w) made.labels[0][w] = made.dense[w] > 2;
  const auto p = NullLabels(made.labels, 4000, {0, 4000}).PValues(made.sparse, {true, false}, 1);
  EXPECT_DOUBLE_EQ(*p[0], 1.0 / 4000);  // all shifts that there are
  EXPECT_FALSE(p[1]);
}

TEST(Certainty, NoPValueWithoutBothClassesOrActivity) {
  const std::vector<std::vector<uint8_t>> labels = {{0, 0, 0}, {1, 1, 1}, {0, 1, 0}};
  const NullLabels shifted(labels, 3, {0, 3});
  const auto p = shifted.PValues({{1, 2.0f}}, {true, true, true}, 0);
  EXPECT_FALSE(p[0] || p[1]);
  EXPECT_TRUE(p[2]);
  EXPECT_FALSE(shifted.PValues({}, {true, true, true}, 0)[2]);
}

// Values by hand: q_i = min over j ≥ i of p_j·m/j.
TEST(Certainty, BenjaminiHochbergByHand) {
  const auto q = BenjaminiHochberg({0.04, 0.001, 0.03, 0.9});
  EXPECT_NEAR(q[0], 0.16 / 3, 1e-12);
  EXPECT_NEAR(q[1], 0.004, 1e-12);
  EXPECT_NEAR(q[2], 0.16 / 3, 1e-12);
  EXPECT_NEAR(q[3], 0.9, 1e-12);
  EXPECT_TRUE(BenjaminiHochberg({}).empty());
}

// The smallest level of a fine grid at which the definition calls a member.
TEST(Certainty, FamilyQValuesAreTheSmallestLevelsThatCall) {
  const sae::CounterRandom random(17, 2);
  for (uint64_t draw = 0; draw < 20; ++draw) {
    std::vector<std::vector<double>> p(6);
    for (uint64_t f = 0; f < 6; ++f) {
      for (uint64_t i = 0; i < (f == 4 ? 0 : 3 + f); ++i) {
        const double u = random.Uniform(draw * 100 + f * 10 + i);
        p[f].push_back(f < 2 ? u * u * u * 0.1 : u);
      }
    }
    const auto q = FamilyQValues(p);
    std::vector<std::vector<double>> within;
    std::vector<double> simes;  // of the five families that have members
    for (const auto& family : p) {
      within.push_back(BenjaminiHochberg(family));
      if (family.empty()) continue;
      simes.push_back(*std::min_element(within.back().begin(), within.back().end()));
    }
    const auto families = BenjaminiHochberg(simes);
    for (size_t f = 0; f < 6; ++f) {
      const double own = f == 4 ? 2 : families[f > 4 ? f - 1 : f];
      for (size_t i = 0; i < p[f].size(); ++i) {
        double want = 1;
        for (int step = 1; step < 2000; ++step) {
          const double level = step / 2000.0;
          const auto found =
              std::count_if(families.begin(), families.end(), [&](double c) { return c <= level; });
          if (own <= level && within[f][i] <= static_cast<double>(found) * level / 5) {
            want = level;
            break;
          }
        }
        EXPECT_NEAR(q[f][i], want, 0.00051) << draw << " " << f << " " << i;
      }
    }
  }
  EXPECT_TRUE(FamilyQValues({{}, {}})[0].empty());
}

// Many true families do not make a family of noise be called.
TEST(Certainty, FamiliesOfNoiseAreNotCalledBesideTrueOnes) {
  const sae::CounterRandom random(23, 2);
  int called = 0, pooled = 0;
  constexpr int kRuns = 400, kTrue = 20, kMembers = 40;
  for (uint64_t run = 0; run < kRuns; ++run) {
    std::vector<std::vector<double>> p(kTrue + 1, std::vector<double>(kMembers, 1e-4));
    std::vector<double> all(kTrue * kMembers, 1e-4);
    for (uint64_t i = 0; i < kMembers; ++i) {
      p[kTrue][i] = random.Uniform(run * kMembers + i);
      all.push_back(p[kTrue][i]);
    }
    const auto q = FamilyQValues(p);
    const auto flat = BenjaminiHochberg(all);
    for (int i = 0; i < kMembers; ++i) {
      called += q[kTrue][i] < 0.05;
      pooled += flat[kTrue * kMembers + i] < 0.05;
    }
    EXPECT_LT(q[0][0], 0.001);
  }
  EXPECT_GT(pooled, kRuns * kMembers / 25);
  EXPECT_LT(called, kRuns * kMembers / 200);
}

TEST(Certainty, BlocksEndAtGapsAndAreShort) {
  std::vector<int64_t> starts;
  for (int w = 0; w < 200; ++w) starts.push_back(2 * w + (w >= 97 ? 50 : 0));
  const auto blocks = TimeBlocks(starts);
  EXPECT_EQ(blocks.front(), 0);
  EXPECT_EQ(blocks.back(), 200);
  EXPECT_TRUE(std::find(blocks.begin(), blocks.end(), 97) != blocks.end());
  for (size_t i = 1; i < blocks.size(); ++i) EXPECT_LE(blocks[i] - blocks[i - 1], 4);
  EXPECT_EQ(TimeBlocks({}), std::vector<int64_t>{0});
}

// The same draws, spelled out as repeated windows.
TEST(Certainty, BootstrapIsTheAurocOfDrawnBlocks) {
  const int n = 400;
  const Made made = Make(n, 11);
  std::vector<int64_t> blocks;
  for (int b = 0; b <= 40; ++b) blocks.push_back(10 * b);
  const auto interval = BootstrapAuroc(made.sparse, made.labels[1], blocks, 5);
  ASSERT_TRUE(interval);
  const sae::CounterRandom random(0x424f, 5);
  std::vector<double> aurocs;
  for (int r = 0; r < kReplicates; ++r) {
    Activations sparse;
    std::vector<std::vector<uint8_t>> label(1);
    for (int i = 0; i < 40; ++i) {
      const auto b = static_cast<int64_t>(random.Below(r * 40 + i, 40));
      for (int64_t w = blocks[b]; w < blocks[b + 1]; ++w) {
        const auto at = static_cast<int64_t>(label[0].size());
        if (made.dense[w] > 0) sparse.emplace_back(at, made.dense[w]);
        label[0].push_back(made.labels[1][w]);
      }
    }
    const auto windows = static_cast<int64_t>(label[0].size());
    aurocs.push_back(*Score(sparse, ByWindow(label, windows))[0].auroc);
  }
  std::sort(aurocs.begin(), aurocs.end());
  // All 40 hold windows of both classes; t of 39 degrees from SciPy.
  const double wider = 2.022690912 / 1.959963985 * std::sqrt(40.0 / 39), whole = Auroc(made, 1);
  for (double& auroc : aurocs) auroc = std::log(auroc / (1 - auroc));
  const double low = aurocs[7] + 0.475 * (aurocs[8] - aurocs[7]);
  const double high = aurocs[291] + 0.525 * (aurocs[292] - aurocs[291]);
  const auto logit = [](double p) { return std::log(p / (1 - p)); };
  const auto back = [](double x) { return 1 / (1 + std::exp(-x)); };
  EXPECT_NEAR(interval->low, back(logit(whole) - wider * (logit(whole) - low)), 1e-9);
  EXPECT_NEAR(interval->high, back(logit(whole) + wider * (high - logit(whole))), 1e-9);
  EXPECT_LT(interval->low, Auroc(made, 1));
  EXPECT_GT(interval->high, Auroc(made, 1));
  EXPECT_FALSE(BootstrapAuroc(made.sparse, std::vector<uint8_t>(n, 1), blocks, 5));
}

// Labels that keep to whole blocks, that do not, that come in runs, and that ask of some windows
// alone, against three columns: in one go as each alone, of the negative as of negated values.
TEST(Certainty, SeveralColumnsAreTestedAsEachAlone) {
  constexpr int kWindows = 1200, kBlock = 30;
  const Made made = Make(kWindows, 8);
  std::vector<std::vector<uint8_t>> labels = made.labels;
  std::vector<int64_t> blocks = {0};
  for (int w = kBlock; w <= kWindows; w += kBlock) blocks.push_back(w);
  const auto of_block = [&](auto holds) {
    auto& label = labels.emplace_back();
    for (int w = 0; w < kWindows; ++w) label.push_back(holds(w / kBlock));
  };
  of_block([](int b) { return b * 7 % 40 < 13; });
  of_block([](int b) { return b < 17; });
  of_block([](int b) { return b % 5 == 0 ? kOutside : b * 11 % 40 < 12 ? kHolds : kHoldsNot; });
  Activations dense;
  for (int w = 0; w < kWindows; ++w) dense.emplace_back(w, made.dense[w] - 2);
  const Ordered sparse_order(made.sparse), dense_order(dense);
  const std::vector<bool> all(labels.size(), true), some = {true, false, true, false, true};
  for (const auto& given : {blocks, std::vector<int64_t>{0, kWindows}}) {
    const NullLabels null(labels, kWindows, given);
    const auto p = null.PValuesOf(
        {{&sparse_order, false, all}, {&sparse_order, true, some}, {&dense_order, true, all}}, 9,
        kFewerShifts);
    const auto negative = [&](const Activations& values) {
      Activations out;
      for (int w = 0; w < kWindows; ++w) out.emplace_back(w, 0.0F);
      for (const auto& [w, value] : values) out[w].second = -value;
      return out;
    };
    EXPECT_EQ(p[0], null.PValues(made.sparse, all, 9, kFewerShifts));
    EXPECT_EQ(p[1], null.PValues(negative(made.sparse), some, 9, kFewerShifts));
    EXPECT_EQ(p[2], null.PValues(negative(dense), all, 9, kFewerShifts));
    for (const auto& one : p[0]) EXPECT_TRUE(one.has_value());
  }
}

// What a label says and what is tested against it, in windows of which it asks.
struct Asking {
  std::vector<uint8_t> label;
  std::vector<float> value;
  std::vector<int64_t> blocks = {0};
};

Asking WithoutOutside(const std::vector<uint8_t>& label, const std::vector<float>& value,
                      const std::vector<int64_t>& blocks) {
  Asking out;
  for (size_t b = 0; b + 1 < blocks.size(); ++b) {
    for (int64_t w = blocks[b]; w < blocks[b + 1]; ++w) {
      if (label[w] == kOutside) continue;
      out.label.push_back(label[w]);
      out.value.push_back(value[w]);
    }
    const auto end = static_cast<int64_t>(out.label.size());
    if (end > out.blocks.back()) out.blocks.push_back(end);
  }
  return out;
}

// Ranks counted pair by pair.
double AurocByPairs(const std::vector<uint8_t>& label, const std::vector<float>& value) {
  double won = 0, pairs = 0;
  for (size_t v = 0; v < label.size(); ++v) {
    for (size_t w = 0; w < label.size(); ++w) {
      if (label[v] != kHolds || label[w] == kHolds) continue;
      pairs += 1;
      won += value[v] > value[w] ? 1 : value[v] == value[w] ? 0.5 : 0;
    }
  }
  return pairs == 0 ? 0.5 : won / pairs;
}

// Labels moved one by one: block b has those of from[b], or in runs of the block `moved` after it,
// turned.
std::vector<uint8_t> Deal(const Asking& asking, bool in_runs, uint64_t stream, int draw) {
  constexpr uint64_t kDealSeed = 0x4445;
  const sae::CounterRandom random(kDealSeed, stream);
  const auto& [label, value, blocks] = asking;
  const int64_t count = std::ssize(blocks) - 1;
  const auto length = [&, &at = blocks](int64_t b) { return at[b + 1] - at[b]; };
  std::vector<int64_t> from(count);
  std::iota(from.begin(), from.end(), 0);
  for (int64_t b = count - 1; b > 0; --b) {
    std::swap(from[b], from[random.Below(2 * draw * count + b, b + 1)]);
  }
  const auto moved = static_cast<int64_t>(random.Below(2 * draw * count, count));
  std::vector<uint8_t> out(label.size());
  for (int64_t b = 0; b < count; ++b) {
    const int64_t given = in_runs ? (b + moved) % count : from[b];
    const auto turn =
        static_cast<int64_t>(random.Below((2 * draw + 1) * count + b, length(from[b])));
    for (int64_t w = blocks[b]; w < blocks[b + 1]; ++w) {
      out[w] = label[blocks[given] + (turn + w - blocks[b]) % length(given)];
    }
  }
  return out;
}

// Besag & Clifford's, of the labels that rearranged(draw) gives.
template <class Rearranged>
double PByDefinition(const Asking& asking, int draws, const Rearranged& rearranged) {
  const double seen = AurocByPairs(asking.label, asking.value);
  int exceedances = 0;
  for (int draw = 0; draw < draws; ++draw) {
    exceedances += AurocByPairs(rearranged(draw), asking.value) >= seen - 1e-12;
    if (exceedances == kEnoughExceedances && draw + 1 < draws) {
      return static_cast<double>(exceedances) / (draw + 1);
    }
  }
  return (1.0 + exceedances) / (1.0 + draws);
}

struct DealtCase {
  std::vector<uint8_t> label;
  bool in_runs;
  double least;  // p-value that there can be
};

// By blocks, 4 of 12 or 5 of 12: that keep to whole ones or not, in runs or not, outside in some
// windows or not.
std::vector<DealtCase> DealtCases(const std::vector<int64_t>& blocks) {
  const auto of = [&](const auto& says) {
    std::vector<uint8_t> out;
    for (size_t b = 0; b + 1 < blocks.size(); ++b) {
      for (int64_t w = blocks[b]; w < blocks[b + 1]; ++w) out.push_back(says(b, w - blocks[b]));
    }
    return out;
  };
  const auto outside = [&](const auto& says) {
    return of([&](size_t b, int64_t w) {
      return b == 7 || w == 2 ? kOutside : static_cast<uint8_t>(says(b, w));
    });
  };
  const auto scattered = [](size_t b, int64_t) { return b % 3 == 1; };
  const auto together = [](size_t b, int64_t) { return b > 1 && b < 7; };
  const auto partly = [](size_t b, int64_t w) { return b != 3 && b != 8 && w % 4 < 2; };
  const auto partly_together = [](size_t b, int64_t w) { return b > 3 && b < 9 && w % 3 != 1; };
  return {{of(scattered), false, 1.0 / 495},
          {of(together), true, 1.0 / 12},
          {of(partly), false, 0},
          {of(partly_together), true, 0},
          {outside(together), true, 1.0 / 11},
          {outside(partly), false, 0}};
}

// Several labels in one go, of which one goes with the values or their negative and stays open when
// the others are decided: what it needs of a draw is still made.
TEST(Certainty, DealtPValuesAreThoseOfDealtLabels) {
  constexpr int kWindows = 66, kDraws = 400;
  constexpr uint64_t kStream = 21;
  const std::vector<int64_t> blocks = {0, 5, 11, 14, 21, 27, 31, 36, 42, 49, 54, 60, kWindows};
  const std::vector<DealtCase> cases = DealtCases(blocks);
  std::vector<std::vector<uint8_t>> labels;
  for (const DealtCase& one : cases) labels.push_back(one.label);
  const NullLabels null(labels, kWindows, blocks);
  const sae::CounterRandom random(3, 1);
  int early = 0, late = 0;
  for (size_t related = 0; related < cases.size(); ++related) {
    for (const bool falls : {false, true}) {
      std::vector<float> value(kWindows), tested(kWindows);
      Activations sparse;
      for (int w = 0; w < kWindows; ++w) {
        const bool on = labels[related][w] == (falls ? kHoldsNot : kHolds);
        value[w] = static_cast<float>(random.Below(w, 9)) - (on ? 2.0F : 4.0F);
        value[w] = std::max(0.0F, value[w]);
        tested[w] = falls ? -value[w] : value[w];
        if (value[w] > 0) sparse.emplace_back(w, value[w]);
      }
      const Ordered ordered(sparse);
      const std::vector<bool> all(cases.size(), true);
      const auto p = null.PValuesOf({{&ordered, falls, all}}, kStream, kDraws)[0];
      for (size_t c = 0; c < cases.size(); ++c) {
        const Asking asking = WithoutOutside(labels[c], tested, blocks);
        const double want = std::max(cases[c].least, PByDefinition(asking, kDraws, [&](int draw) {
                                       return Deal(asking, cases[c].in_runs, kStream, draw);
                                     }));
        EXPECT_DOUBLE_EQ(*p[c], want) << related << " " << falls << " " << c;
        (want < 0.25 ? late : early) += 1;
      }
    }
  }
  EXPECT_GT(early, 20);
  EXPECT_GT(late, 12);
}

// Around the end by every amount, in windows of which the label asks.
TEST(Certainty, ShiftedPValuesOfANegativeAreThoseOfShiftedLabels) {
  constexpr int kWindows = 70;
  const Made made = Make(kWindows, 14);
  std::vector<std::vector<uint8_t>> labels = made.labels;
  for (const auto& label : made.labels) {
    labels.push_back(label);
    for (int w = 0; w < kWindows; w += 5) labels.back()[w] = kOutside;
  }
  std::vector<float> negative(kWindows);
  for (int w = 0; w < kWindows; ++w) negative[w] = -made.dense[w];
  const NullLabels null(labels, kWindows, {0, kWindows});
  const Ordered ordered(made.sparse);
  const auto p = null.PValuesOf(
      {{&ordered, false, {true, true, true, true}}, {&ordered, true, {true, true, true, true}}}, 4,
      kFewerShifts);
  for (size_t c = 0; c < labels.size(); ++c) {
    for (const bool falls : {false, true}) {
      const Asking asking = WithoutOutside(labels[c], falls ? negative : made.dense, {0, kWindows});
      const auto shifted = [&](int draw) {
        std::vector<uint8_t> out = asking.label;
        std::rotate(out.begin(), out.begin() + draw + 1, out.end());
        return out;
      };
      EXPECT_DOUBLE_EQ(*p[falls][c],
                       PByDefinition(asking, static_cast<int>(asking.label.size()) - 1, shifted))
          << falls << " " << c;
    }
  }
}

// Pairs of blocks and the order of values count the same: ties, inactive windows, negative values,
// windows outside and blocks without a class among them.
TEST(DrawnAurocs, ByPairsOfBlocksAsByOrder) {
  constexpr int64_t kWindows = 400;
  const sae::CounterRandom random(9, 1);
  std::vector<int64_t> blocks = {0, 1, 40, 90, 91, 150, 260, 300, 390, kWindows};
  std::vector<uint8_t> label(kWindows);
  Activations values;
  for (int64_t w = 0; w < kWindows; ++w) {
    label[w] = w < 90 ? kHolds : static_cast<uint8_t>(random.Below(4 * w, 3));
    if (random.Below(4 * w + 1, 4) > 0) {
      values.emplace_back(w, static_cast<float>(random.Below(4 * w + 2, 30)) - 5);
    }
  }
  const DrawnAurocs by_pairs(values, label, blocks, DrawnAurocs::By::kPairs);
  const DrawnAurocs by_order(values, label, blocks, DrawnAurocs::By::kOrder);
  std::vector<double> a, b;
  for (int64_t draw = 0; draw < 20; ++draw) {
    std::vector<uint8_t> weight;
    for (size_t i = 0; i < (blocks.size() - 1) * kDrawsAtOnce; ++i) {
      weight.push_back(static_cast<uint8_t>(random.Below(4 * (draw * 1000 + i) + 3, 4)));
    }
    by_pairs.Add(weight.data(), kDrawsAtOnce, a);
    by_order.Add(weight.data(), kDrawsAtOnce, b);
  }
  EXPECT_EQ(a, b);
  ASSERT_EQ(a.size(), 20u * kDrawsAtOnce);
  EXPECT_NE(a[0], a[1]);
}

}  // namespace
}  // namespace saed::features
