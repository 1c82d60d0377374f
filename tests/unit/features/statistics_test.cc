// Statistics against SciPy and scikit-learn (tests/tools/statistics_reference.py).
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <numbers>
#include <numeric>
#include <set>

#include "server/features/association.h"
#include "server/features/certainty.h"
#include "server/features/matching.h"
#include "server/features/probe.h"
#include "server/features/response.h"
#include "server/features/student.h"
#include "server/features/variable_side.h"
#include "server/sae/random.h"
#include "server/sae/spectrum.h"

namespace saed::features {
namespace {

using nlohmann::json;

const json& Fixture(const char* name) {
  static const json all =
      json::parse(std::ifstream(SAED_SOURCE_DIR "/tests/fixtures/statistics.json"));
  return all.at(name);
}

Activations Active(const json& values) {
  Activations out;
  for (size_t w = 0; w < values.size(); ++w) {
    if (values[w].get<float>() > 0) out.emplace_back(w, values[w].get<float>());
  }
  return out;
}

std::vector<double> Values(const json& values) {
  std::vector<double> out;
  for (const json& v : values) {
    out.push_back(v.is_number() ? v.get<double>() : std::numeric_limits<double>::quiet_NaN());
  }
  return out;
}

TEST(Statistics, Auroc) {
  for (const json& c : Fixture("auroc")) {
    const auto label = c["label"].get<std::vector<uint8_t>>();
    const auto by_window = ByWindow({label}, static_cast<int64_t>(label.size()));
    EXPECT_NEAR(*Score(Active(c["activation"]), by_window)[0].auroc, c["auroc"].get<double>(),
                1e-12);
  }
}

TEST(Statistics, Spearman) {
  for (const json& c : Fixture("spearman")) {
    const VariableSide side({"v", Values(c["value"])}, {}, {});
    EXPECT_NEAR(*side.Spearman(side.Rank(Active(c["activation"]))), c["spearman"].get<double>(),
                1e-12);
  }
}

TEST(Statistics, InformationAndTuning) {
  const json& c = Fixture("information");
  const auto values = Values(c["value"]);
  const auto active = Active(c["activation"]);
  const VariableSide side({"v", values}, TuningEdges({"v", values}), {});
  const RankedCode code = side.Rank(active);
  EXPECT_NEAR(*side.Information(code, ActivationLevels(active)), c["information"].get<double>(),
              1e-9);
  const auto tuning = side.Tuning(code);
  for (int b = 0; b < kTuningBins; ++b) EXPECT_NEAR(tuning[b], c["tuning"][b].get<double>(), 1e-6);
}

Activations Every(const json& values) {
  Activations out;
  for (const json& v : values) out.emplace_back(static_cast<int32_t>(out.size()), v.get<float>());
  return out;
}

TEST(Statistics, GradedScores) {
  const json& c = Fixture("graded");
  const Graded scores(Every(c["score"]));
  const VariableSide linear({"value", Values(c["value"])}, {}, {});
  EXPECT_NEAR(*linear.Spearman(linear.Rank(scores)), c["spearman"].get<double>(), 1e-12);
  EXPECT_FALSE(linear.Information(linear.Rank(scores), {1, 2, 3}));
  const Variable angle{"angle", Values(c["angle"]), true};
  const VariableSide circular(angle, TuningEdges(angle), {});
  EXPECT_TRUE(circular.SameWindows(linear));
  const Ranked ranked = circular.Rank(scores);
  EXPECT_NEAR(*circular.Spearman(ranked), c["circular"].get<double>(), 1e-12);
  EXPECT_EQ(ranked.quartiles, c["quartiles"].get<std::vector<float>>());
  EXPECT_NEAR(*circular.Information(ranked, ranked.quartiles), c["information"].get<double>(),
              1e-12);
  const auto tuning = circular.Tuning(ranked);
  for (int b = 0; b < kTuningBins; ++b) EXPECT_NEAR(tuning[b], c["tuning"][b].get<double>(), 1e-5);
}

// A code with its zeros written out is a graded score that says the same, shifted and dealt.
TEST(Statistics, CodesAndGradedScoresAgree) {
  const sae::CounterRandom random(8, 1);
  std::vector<double> value, angle;
  Activations code, every;
  for (int64_t w = 0; w < 600; ++w) {
    const bool known = random.Below(4 * w, 8) > 0;
    const auto v = static_cast<double>(random.Below(4 * w + 1, 1000));
    const double phase = static_cast<double>(w) / 40;
    value.push_back(known ? v + 100 * std::sin(phase) : std::nan(""));
    angle.push_back(known ? std::remainder(phase, 2 * std::numbers::pi) : std::nan(""));
    const bool active = random.Below(4 * w + 2, 10) < 2 + 2 * std::sin(phase);
    const float a = active ? static_cast<float>(1 + random.Below(4 * w + 3, 20)) : 0;
    if (active) code.emplace_back(w, a);
    every.emplace_back(w, a);
  }
  std::vector<int64_t> blocks;
  for (int64_t w = 0; w < 600; w += 37) blocks.push_back(w);
  blocks.push_back(600);
  for (const auto& given : {std::vector<int64_t>{}, blocks}) {
    for (const Variable& v : {Variable{"v", value}, Variable{"a", angle, true}}) {
      const VariableSide side(v, {}, given);
      const Ranked ranked = side.Rank(Graded(every));
      const RankedCode sparse = side.Rank(code);
      EXPECT_NEAR(*side.Spearman(sparse), *side.Spearman(ranked), 1e-12);
      for (const uint64_t stream : {1, 2, 3}) {
        const double p = *side.PValue(sparse, stream);
        EXPECT_NEAR(p, *side.PValue(ranked, stream), 1e-12);
        EXPECT_EQ(side.PValue(ranked, stream, 50), side.PValue(sparse, stream, 50));
        EXPECT_LE(p, 1);
      }
    }
  }
}

TEST(Statistics, AnglesThatGoTogetherHaveOnePart) {
  std::vector<double> angle;
  Activations every;
  for (int w = 0; w < 40; ++w) {
    angle.push_back(w % 2 == 0 ? 0 : std::numbers::pi);
    every.emplace_back(w, static_cast<float>(w % 2));
  }
  const VariableSide side({"a", angle, true}, {}, {});
  EXPECT_NEAR(*side.Spearman(side.Rank(Graded(every))), 1, 1e-12);
  const VariableSide still({"a", std::vector<double>(40, 1.0), true}, {}, {});
  EXPECT_FALSE(still.Spearman(still.Rank(Graded(every))));
  EXPECT_FALSE(still.PValue(still.Rank(Graded(every)), 1));
}

TEST(Statistics, WelchSpectrum) {
  for (const json& c : Fixture("spectra")) {
    const auto power = sae::SegmentPower(Values(c["x"]), c["rate"].get<double>());
    ASSERT_EQ(power.size(), c["power"].size());
    for (size_t f = 0; f < power.size(); ++f) {
      EXPECT_NEAR(power[f], c["power"][f].get<double>(), 1e-9 * (1 + power[f])) << f;
    }
  }
}

TEST(Statistics, OptimalAssignment) {
  for (const json& c : Fixture("assignment")) {
    LikenessMatrix m(c["rows"], c["columns"]);
    m.values = Values(c["likeness"]);
    const auto matches = AssignOptimally(m);
    ASSERT_EQ(static_cast<int>(matches.size()), std::min(m.rows, m.columns));
    double sum = 0;
    std::set<int> rows, columns;
    for (const Match& match : matches) {
      sum += match.likeness;
      EXPECT_EQ(match.likeness, m.at(match.row, match.column));
      rows.insert(match.row);
      columns.insert(match.column);
    }
    EXPECT_EQ(rows.size(), matches.size());
    EXPECT_EQ(columns.size(), matches.size());
    EXPECT_NEAR(sum, c["sum"].get<double>(), 1e-9);
  }
}

TEST(Statistics, UndefinedLikenessMatchesNothing) {
  LikenessMatrix m(2, 2);
  const double none = std::numeric_limits<double>::quiet_NaN();
  m.values = {0.9, none, 0.8, none};
  const auto matches = AssignOptimally(m);
  ASSERT_EQ(matches.size(), 1u);
  EXPECT_EQ(matches[0].row, 0);
  EXPECT_EQ(matches[0].column, 0);
  EXPECT_DOUBLE_EQ(MeanMaximum(m, false), 0.85);
  EXPECT_DOUBLE_EQ(MeanMaximum(m, true), 0.9);
}

TEST(Statistics, LogisticRegression) {
  for (const json& c : Fixture("logistic")) {
    SparseRows x;
    x.columns = static_cast<int32_t>(c["x"][0].size());
    for (const json& row : c["x"]) {
      for (int32_t j = 0; j < x.columns; ++j) {
        if (row[j].get<float>() != 0) x.Add(j, row[j].get<float>());
      }
      x.EndRow();
    }
    std::vector<int64_t> rows(x.rows());
    std::iota(rows.begin(), rows.end(), 0);
    const auto model =
        FitLogistic(x, c["label"].get<std::vector<uint8_t>>(), rows, c["c"].get<double>());
    for (int64_t r : rows) {
      EXPECT_NEAR(model.Margin(x, r), c["margin"][r].get<double>(), 1e-6) << c["c"] << " row " << r;
    }
    EXPECT_EQ(model.weight.back(), 0);
  }
}

TEST(Statistics, QuantilesOfStudentsT) {
  const json& c = Fixture("student");
  for (size_t i = 0; i < c["degrees"].size(); ++i) {
    EXPECT_NEAR(StudentQuantile975(c["degrees"][i].get<int64_t>()), c["quantile"][i].get<double>(),
                1e-8)
        << c["degrees"][i];
  }
}

// 300 draws instead of 20,000: the ends move by about 0.01.
TEST(Statistics, BootstrapInterval) {
  const json& c = Fixture("bootstrap");
  const auto label = c["label"].get<std::vector<uint8_t>>();
  std::vector<int64_t> blocks;
  for (size_t w = 0; w <= label.size(); w += c["block"].get<size_t>()) {
    blocks.push_back(static_cast<int64_t>(w));
  }
  const auto interval = BootstrapAuroc(Active(c["activation"]), label, blocks, 1);
  ASSERT_TRUE(interval.has_value());
  EXPECT_NEAR(interval->low, c["low"].get<double>(), 0.015);
  EXPECT_NEAR(interval->high, c["high"].get<double>(), 0.015);
}

// The difference of two scores in the same draws.
TEST(Statistics, BootstrapDifference) {
  const json& c = Fixture("difference");
  const auto label = c["label"].get<std::vector<uint8_t>>();
  std::vector<int64_t> blocks;
  for (size_t w = 0; w <= label.size(); w += c["block"].get<size_t>()) {
    blocks.push_back(static_cast<int64_t>(w));
  }
  const auto dense = [](const json& values) {
    Activations out;
    for (const json& v : values) out.emplace_back(static_cast<int32_t>(out.size()), v.get<float>());
    return out;
  };
  const Activations a = dense(c["a"]), b = dense(c["b"]);
  const auto interval = BootstrapDifference(a, b, label, blocks, 1);
  ASSERT_TRUE(interval.has_value());
  EXPECT_NEAR(interval->low, c["low"].get<double>(), 0.015);
  EXPECT_NEAR(interval->high, c["high"].get<double>(), 0.015);
  const auto none = BootstrapDifference(a, a, label, blocks, 1);
  EXPECT_EQ(none->low, 0);
  EXPECT_EQ(none->high, 0);
  EXPECT_FALSE(BootstrapDifference(a, b, std::vector<uint8_t>(label.size(), 1), blocks, 1));
}

TEST(Statistics, CorrelationsOfSparseActivations) {
  const Activations a = {{0, 1}, {2, 3}}, b = {{0, 2}, {1, 1}, {2, 4}}, none;
  const auto m = Correlations({a, none}, {b, a}, 4);
  // [1, 0, 3, 0] and [2, 1, 4, 0]: Σ of products 7, of squares 6 and 8.75.
  EXPECT_NEAR(m.at(0, 0), 7 / std::sqrt(6 * 8.75), 1e-12);
  EXPECT_NEAR(m.at(0, 1), 1, 1e-12);
  EXPECT_TRUE(std::isnan(m.at(1, 0)));
}

TEST(Statistics, ProbeReadsWhatIsThere) {
  const sae::CounterRandom random(3, 1);
  SparseRows x;
  x.columns = 2;
  std::vector<uint8_t> label;
  ProbeRows rows;
  for (int64_t r = 0; r < 900; ++r) {
    label.push_back(random.Below(3 * r, 4) == 0);
    if (label.back() || random.Below(3 * r + 1, 5) == 0) x.Add(0, 1.5F);
    if (random.Below(3 * r + 2, 2) == 0) x.Add(1, 1);
    x.EndRow();
    (r % 3 == 0 ? rows.fit : r % 3 == 1 ? rows.validation : rows.test).push_back(r);
  }
  const auto probe = Probe(x, label, rows);
  ASSERT_TRUE(probe.has_value());
  EXPECT_NEAR(probe->balanced_accuracy, 0.9, 0.04);
  std::fill(label.begin(), label.end(), 0);
  EXPECT_FALSE(Probe(x, label, rows).has_value());
}

// A feature that follows a slow variable, and one that has nothing to do with it.
TEST(Statistics, VariableShiftsCallWhatFollows) {
  const sae::CounterRandom random(5, 1);
  std::vector<double> value;
  Activations follows, unrelated;
  double v = 0;
  for (int64_t w = 0; w < 4000; ++w) {
    v = 0.95 * v + static_cast<double>(random.Below(3 * w, 1001)) / 1000 - 0.5;
    value.push_back(v);
    if (v > 0.5) follows.emplace_back(w, static_cast<float>(v));
    if (random.Below(3 * w + 1, 4) == 0) unrelated.emplace_back(w, 1.0F);
  }
  std::vector<int64_t> blocks;
  for (int64_t w = 0; w <= 4000; w += 100) blocks.push_back(w);
  for (const auto& given : {std::vector<int64_t>{}, blocks}) {
    const VariableSide side({"v", value}, {}, given);
    EXPECT_LT(*side.PValue(side.Rank(follows), 1), 0.002);
    EXPECT_GT(*side.PValue(side.Rank(unrelated), 1), 0.01);
  }
}

TEST(Response, MeanAndErrorAroundOnsets) {
  // Bins of 0.5 s: one before, two after. Two onsets, then one right after a gap, which is none.
  const std::vector<int64_t> starts = {0, 1, 2, 3, 4, 5, 6, 7, 20, 21};
  const std::vector<uint8_t> label = {0, 1, 1, 0, 0, 1, 0, 0, 1, 1};
  const auto onsets = Onsets(label, starts);
  EXPECT_EQ(onsets, (std::vector<int64_t>{1, 5}));
  const auto r = PeriEvent({{1, 2}, {2, 6}, {5, 4}}, onsets, starts, 0.5);
  EXPECT_EQ(r.events, 2);
  EXPECT_EQ(r.before, 1);
  EXPECT_EQ(r.mean, (std::vector<float>{0, 3, 3, 0}));
  EXPECT_FLOAT_EQ(r.sem[1], 1);
  EXPECT_FLOAT_EQ(r.sem[2], 3);
  EXPECT_DOUBLE_EQ(r.latency, 0);
}

// Whatever else is fitted beside it, on other rows and labels, a fit is the same.
TEST(Statistics, LogisticFitsSideBySideAsAlone) {
  constexpr int kRows = 400, kColumns = 6, kFits = 11;
  const sae::CounterRandom random(5, 2);
  SparseRows x;
  x.columns = kColumns;
  std::vector<std::vector<uint8_t>> labels(kFits);
  std::vector<std::vector<int64_t>> rows(kFits);
  for (int r = 0; r < kRows; ++r) {
    double sum = 0;
    for (int j = 0; j < kColumns; ++j) {
      const auto v = static_cast<float>(random.Below(r * 100 + j, 4));
      if (v > 0) x.Add(j, v);
      sum += static_cast<double>(v) * (j % 2 ? 1 : -1);
    }
    x.EndRow();
    for (int f = 0; f < kFits; ++f) {
      labels[f].push_back(sum + 3 * random.Normal(r * 100 + 50 + f) > f - 4);
      if ((r + f) % 5 != 0) rows[f].push_back(r);
    }
  }
  std::vector<LogisticFit> fits;
  for (int f = 0; f < kFits; ++f) fits.push_back({&labels[f], rows[f], 0.01 * (f + 1), {}});
  const auto together = FitLogistics(x, fits, 1e-8, 100);
  for (int f = 0; f < kFits; ++f) {
    const Logistic alone = FitLogistic(x, labels[f], rows[f], 0.01 * (f + 1), 1e-8, 100);
    EXPECT_EQ(together[f].weight, alone.weight) << f;
    EXPECT_EQ(together[f].intercept, alone.intercept) << f;
  }
}

// Rows are taken side by side where they have all columns: the same bits as one after another, and
// as of a matrix that has those rows alone.
TEST(Statistics, LogisticFitsOfFullRowsAsOfOthers) {
  constexpr int kRows = 203, kColumns = 7;
  const sae::CounterRandom random(6, 2);
  SparseRows full, sparse, some;  // sparse: without the zeros of some rows
  full.columns = sparse.columns = some.columns = kColumns;
  std::vector<uint8_t> label, some_label;
  std::vector<int64_t> rows, some_rows;
  for (int r = 0; r < kRows; ++r) {
    const bool used = random.Below(r * 10, 3) > 0;
    double sum = 0;
    for (int j = 0; j < kColumns; ++j) {
      const bool zero = j == 2 && r % 3 == 0;
      const auto v = zero ? 0.0F : static_cast<float>(random.Normal(r * 10 + j));
      full.Add(j, v);
      if (!zero) sparse.Add(j, v);
      if (used) some.Add(j, v);
      sum += static_cast<double>(v);
    }
    for (SparseRows* of : {&full, &sparse}) of->EndRow();
    label.push_back(sum + random.Normal(r * 10 + 9) > 0);
    if (!used) continue;
    some.EndRow();
    rows.push_back(r);
    some_rows.push_back(std::ssize(some_rows));
    some_label.push_back(label.back());
  }
  const Logistic a = FitLogistic(full, label, rows, 0.5, 1e-6, 50);
  const Logistic b = FitLogistic(sparse, label, rows, 0.5, 1e-6, 50);
  const Logistic c = FitLogistic(some, some_label, some_rows, 0.5, 1e-6, 50);
  EXPECT_EQ(a.weight, b.weight);
  EXPECT_EQ(a.weight, c.weight);
  EXPECT_EQ(a.intercept, b.intercept);
  EXPECT_EQ(a.intercept, c.intercept);
}

}  // namespace
}  // namespace saed::features
