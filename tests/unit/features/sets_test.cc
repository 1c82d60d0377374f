#include "server/features/sets.h"

#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "server/sae/random.h"

namespace saed::features {
namespace {

constexpr int kRows = 1200;

Activations Dense(const std::vector<float>& values) {
  Activations out;
  for (size_t r = 0; r < values.size(); ++r) out.emplace_back(static_cast<int32_t>(r), values[r]);
  return out;
}

// Two columns of which each tells half of the condition's trials, and noise that tells nothing.
struct Planted {
  std::vector<uint8_t> label = std::vector<uint8_t>(kRows), fold = label;
  std::vector<std::vector<float>> values;
  SetColumns columns{kRows};

  explicit Planted(int noise, bool random_labels = false) : values(2 + noise) {
    const sae::CounterRandom random(11, 1);
    for (int r = 0; r < kRows; ++r) {
      const int trial = r / 20;
      label[r] = random_labels ? random.Below(7000000 + trial, 2) == 1 : trial % 3 == 0;
      fold[r] = static_cast<uint8_t>(trial / 5 % kSetFolds);
      for (size_t j = 0; j < values.size(); ++j) {
        auto v = static_cast<float>(random.Normal(r * values.size() + j));
        if (!random_labels && label[r] && trial % 2 == static_cast<int>(j)) v += j == 0 ? 3 : -3;
        values[j].push_back(v);
      }
    }
    for (size_t j = 0; j < values.size(); ++j)
      columns.Add(static_cast<int32_t>(j), Dense(values[j]));
  }
};

TEST(Sets, FindTwoHalvesOfACondition) {
  const Planted s(20);
  const ChosenSet set = ChooseSet(s.columns, s.label, s.fold);
  ASSERT_EQ(set.size, 2U);
  std::vector<int32_t> two(set.growth.columns.begin(), set.growth.columns.begin() + 2);
  const bool first_rises = two[0] == 0;
  EXPECT_GT(set.growth.weights[1][first_rises ? 0 : 1], 0);
  EXPECT_LT(set.growth.weights[1][first_rises ? 1 : 0], 0) << "the condition lowers it";
  std::sort(two.begin(), two.end());
  EXPECT_EQ(two, (std::vector<int32_t>{0, 1}));
  EXPECT_LT(*set.validated[0], 0.8);
  EXPECT_GT(*set.validated[1], 0.9);
  EXPECT_EQ(set.growth.columns.size(), kMostMembers);
}

TEST(Sets, LabelsThatMeanNothingAreNotValidated) {
  const Planted s(60, true);
  const ChosenSet set = ChooseSet(s.columns, s.label, s.fold);
  ASSERT_EQ(set.validated.size(), kMostMembers);
  EXPECT_GT(*set.train[4], 0.55) << "sixty columns fit something";
  for (const auto& v : set.validated) EXPECT_NEAR(*v, 0.5, 0.05);
}

// Pair by pair, as the definition has it.
double Pairwise(const std::vector<double>& scores, const std::vector<uint8_t>& label) {
  double won = 0, pairs = 0;
  for (size_t i = 0; i < scores.size(); ++i) {
    for (size_t j = 0; label[i] && j < scores.size(); ++j) {
      if (label[j]) continue;
      won += scores[i] > scores[j] ? 1 : scores[i] == scores[j] ? 0.5 : 0;
      pairs += 1;
    }
  }
  return won / pairs;
}

// Every step by trying all columns, each discriminant from its own covariance matrix.
std::vector<int32_t> Reference(const Planted& s, size_t most,
                               std::vector<std::vector<double>>& all) {
  std::vector<int32_t> taken;
  while (taken.size() < most) {
    std::vector<std::tuple<double, int32_t, std::vector<double>>> tried;
    for (int32_t j = 0; j < static_cast<int32_t>(s.values.size()); ++j) {
      if (std::count(taken.begin(), taken.end(), j)) continue;
      std::vector<int32_t> members = taken;
      members.push_back(j);
      const auto n = static_cast<Eigen::Index>(members.size());
      Eigen::MatrixXd within = kSetRidge * Eigen::MatrixXd::Identity(n, n);
      Eigen::VectorXd d = Eigen::VectorXd::Zero(n);
      for (const int side : {0, 1}) {
        const auto count = std::count(s.label.begin(), s.label.end(), side);
        Eigen::MatrixXd x(count, n);
        Eigen::Index at = 0;
        for (int r = 0; r < kRows; ++r) {
          if (s.label[r] != side) continue;
          for (Eigen::Index m = 0; m < n; ++m) {
            x(at, m) = static_cast<double>(s.columns.Column(members[m])[r]);
          }
          ++at;
        }
        const Eigen::RowVectorXd mean = x.colwise().mean();
        d += (side ? 1 : -1) * mean.transpose();
        const Eigen::MatrixXd centred = x.rowwise() - mean;
        within += centred.transpose() * centred / (2.0 * static_cast<double>(count));
      }
      const Eigen::VectorXd w = within.ldlt().solve(d);
      tried.emplace_back(-d.dot(w), j, std::vector<double>(w.data(), w.data() + n));
    }
    std::sort(tried.begin(), tried.end());
    double best = -1;
    std::tuple<double, int32_t, std::vector<double>> chosen;
    for (size_t i = 0; i < std::min(tried.size(), kSetContenders); ++i) {
      std::vector<int32_t> members = taken;
      members.push_back(std::get<1>(tried[i]));
      const std::vector<float> scores = SetScores(s.columns, members, std::get<2>(tried[i]));
      const double auroc = Pairwise({scores.begin(), scores.end()}, s.label);
      if (auroc <= best + 1e-12) continue;
      best = auroc;
      chosen = tried[i];
    }
    taken.push_back(std::get<1>(chosen));
    all.push_back(std::get<2>(chosen));
  }
  return taken;
}

TEST(Sets, StepsAreThoseOfTheReference) {
  const Planted s(30);
  std::vector<std::vector<double>> weights;
  const auto expected = Reference(s, 3, weights);
  const Growth growth = GrowSet(s.columns, s.label, std::vector<uint8_t>(kRows, 1), 3);
  EXPECT_EQ(growth.columns, expected);
  for (size_t n = 0; n < weights.size(); ++n) {
    for (size_t i = 0; i < weights[n].size(); ++i) {
      EXPECT_NEAR(growth.weights[n][i], weights[n][i], 1e-4 * std::abs(weights[n][0])) << n;
    }
  }
}

TEST(Sets, AurocsAreThoseOfPairs) {
  const sae::CounterRandom random(5, 2);
  std::vector<float> scores;
  std::vector<uint8_t> label, used(300, 1);
  for (int r = 0; r < 300; ++r) {
    scores.push_back(static_cast<float>(random.Below(3 * r, 41)) / 7 - 3);
    if (r % 50 == 0) scores.back() = r % 100 ? -0.0F : 0.0F;
    label.push_back(random.Below(3 * r + 1, 3) == 0);
  }
  EXPECT_NEAR(*AurocWhere(scores, label, used), Pairwise({scores.begin(), scores.end()}, label),
              1e-12);
  EXPECT_FALSE(AurocWhere(scores, std::vector<uint8_t>(300, 1), used).has_value());
  EXPECT_FALSE(AurocWhere(scores, label, std::vector<uint8_t>(300, 0)).has_value());
}

// scikit-learn's discriminant and AUROC: tests/tools/statistics_reference.py.
TEST(Sets, AreThoseOfScikitLearn) {
  const auto all =
      nlohmann::json::parse(std::ifstream(SAED_SOURCE_DIR "/tests/fixtures/statistics.json"));
  const auto& c = all.at("discriminant");
  const auto label = c["label"].get<std::vector<uint8_t>>();
  SetColumns columns(static_cast<int64_t>(label.size()));
  for (size_t j = 0; j < c["columns"].size(); ++j) {
    columns.Add(static_cast<int32_t>(j), Dense(c["columns"][j].get<std::vector<float>>()));
    EXPECT_NEAR(columns.about(j).mean, c["mean"][j].get<double>(), 1e-9);
    EXPECT_NEAR(columns.about(j).sd, c["sd"][j].get<double>(), 1e-9);
  }
  const std::vector<uint8_t> used(label.size(), 1);
  const Growth growth = GrowSet(columns, label, used);
  ASSERT_EQ(growth.columns, c["order"].get<std::vector<int32_t>>());
  for (size_t n = 0; n < growth.weights.size(); ++n) {
    const auto expected = c["weights"][n].get<std::vector<double>>();
    for (size_t i = 0; i < expected.size(); ++i) {
      EXPECT_NEAR(growth.weights[n][i], expected[i], 1e-4) << n << " " << i;
    }
    EXPECT_NEAR(*AurocWhere(SetScores(columns, growth.columns, growth.weights[n]), label, used),
                c["auroc"][n].get<double>(), 1e-5);
  }
}

TEST(Sets, OneOfAGroup) {
  const Planted s(3);
  SetColumns twice(kRows);
  for (int copy : {0, 1}) {
    for (size_t j = 0; j < s.values.size(); ++j) {
      std::vector<float> values = s.values[j];
      for (float& v : values) v = copy ? 2 * v + 1 : v;
      twice.Add(static_cast<int32_t>(j), Dense(values));
    }
  }
  const Growth growth = GrowSet(twice, s.label, std::vector<uint8_t>(kRows, 1));
  std::vector<int32_t> groups;
  for (const int32_t c : growth.columns) groups.push_back(twice.about(c).group);
  std::sort(groups.begin(), groups.end());
  EXPECT_EQ(groups, (std::vector<int32_t>{0, 1, 2, 3, 4}));
}

TEST(Sets, WhatCannotBeSaidIsNot) {
  const Planted s(0);
  const std::vector<uint8_t> all(kRows, 1), none(kRows, 0);
  EXPECT_TRUE(GrowSet(s.columns, all, all).columns.empty()) << "it holds everywhere";
  EXPECT_TRUE(GrowSet(s.columns, none, all).columns.empty());
  EXPECT_EQ(ChooseSet(s.columns, none, s.fold).size, 0U);
  SetColumns constant(kRows);
  constant.Add(0, Dense(std::vector<float>(kRows, 3.1F)));
  constant.Add(1, {});
  EXPECT_EQ(constant.about(0).sd, 0);
  EXPECT_EQ(ChooseSet(constant, s.label, s.fold).size, 0U);
  // One column, in one direction: a set of one.
  SetColumns one(kRows);
  one.Add(0, Dense(s.values[1]));
  const ChosenSet single = ChooseSet(one, s.label, s.fold);
  EXPECT_EQ(single.size, 1U);
  EXPECT_LT(single.growth.weights[0][0], 0);
  EXPECT_GT(*single.train[0], 0.6);
  // A fold in which the condition never changes says nothing; all in one fold leaves none.
  const ChosenSet folded = ChooseSet(s.columns, s.label, std::vector<uint8_t>(kRows, 0));
  EXPECT_EQ(folded.size, 1U);
  EXPECT_FALSE(folded.validated[0].has_value());
  // Sparse columns are zero where they have no entry.
  SetColumns sparse(4);
  sparse.Add(0, {{1, 2.0F}, {3, 4.0F}});
  EXPECT_DOUBLE_EQ(sparse.about(0).mean, 1.5);
  EXPECT_DOUBLE_EQ(sparse.about(0).sd, std::sqrt(2.75));
}

// Searches that share their columns find what each finds alone.
TEST(Sets, SideBySideAsAlone) {
  const Planted s(13);
  std::vector<uint8_t> other(kRows), never(kRows, kHoldsNot);
  for (int r = 0; r < kRows; ++r) other[r] = r / 20 % 4 == 1 ? kHolds : r / 20 % 7 ? 0 : kOutside;
  const auto all = ChooseSets(s.columns, {s.label, other, never}, s.fold);
  size_t i = 0;
  for (const auto& label : {s.label, other, never}) {
    const ChosenSet alone = ChooseSet(s.columns, label, s.fold);
    EXPECT_EQ(all[i].growth.columns, alone.growth.columns) << i;
    EXPECT_EQ(all[i].growth.weights, alone.growth.weights) << i;
    EXPECT_EQ(all[i].validated, alone.validated) << i;
    EXPECT_EQ(all[i].size, alone.size) << i;
    ++i;
  }
  EXPECT_EQ(all[2].size, 0U);
}

}  // namespace
}  // namespace saed::features
