#include "server/features/judge.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "server/features/drivers.h"
#include "server/features/random_control.h"
#include "server/sae/random.h"

namespace saed::features {
namespace {

constexpr int kUnits = 6, kWindows = 1500;
const Progress kGoOn = [](double) { return true; };

// Poisson-like counts of units; the first fires more where the label holds, the second less.
struct Made {
  std::vector<uint8_t> counts;
  std::vector<std::vector<uint8_t>> labels;
  std::vector<int64_t> starts;
  sae::Model model;

  Made() : counts(kWindows * kUnits), labels(2, std::vector<uint8_t>(kWindows)), starts(kWindows) {
    const sae::CounterRandom random(3, 1);
    std::iota(starts.begin(), starts.end(), 0);
    for (int w = 0; w < kWindows; ++w) {
      labels[0][w] = w / 25 % 3 == 0;
      labels[1][w] = random.Below(5000000 + w, 4) == 0;
      for (int u = 0; u < kUnits; ++u) {
        double rate = 2;
        if (u == 0) rate = labels[0][w] ? 4 : 2;
        if (u == 1) rate = labels[0][w] ? 1 : 3;
        int count = 0;
        for (int i = 0; i < 10; ++i) {
          count += random.Uniform((w * kUnits + u) * 10 + i) < rate / 10;
        }
        counts[w * kUnits + u] = static_cast<uint8_t>(count);
      }
    }
    model.spec.levels = {{3, 3}};
    model.spec.loss = sae::Loss::kPoisson;
    model.spec.output = sae::Output::kSoftplus;
    model.units = kUnits;
    auto& p = model.parameters;
    p.features = 3;
    p.inputs = p.outputs = kUnits;
    // Latent 0 is unit 0, latent 1 is unit 1, latent 2 is the others.
    p.decoder = {1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0.5, 0.5, 0.5, 0.5};
    p.encoder = p.decoder;
    p.encoder_bias = {-3, -3, -3};
    p.decoder_bias.assign(kUnits, 2);
    model.thresholds = {0};
    model.training = sae::MeasureTarget(View(), {}, starts, 1);
  }
  CountView View() const { return {counts.data(), DType::kU8, kWindows, kUnits}; }
};

// P(a_C > a_¬C) + ½P(=), pair by pair.
double Pairwise(const std::vector<float>& values, const std::vector<uint8_t>& label) {
  double won = 0, pairs = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    for (size_t j = 0; label[i] && j < values.size(); ++j) {
      if (label[j]) continue;
      won += values[i] > values[j] ? 1 : values[i] == values[j] ? 0.5 : 0;
      pairs += 1;
    }
  }
  return won / pairs;
}

std::vector<float> Values(const Activations& activations, size_t windows) {
  std::vector<float> out(windows, 0);
  for (const auto& [w, value] : activations) out[w] = value;
  return out;
}

TEST(Judge, SortsNegativeValuesAndTies) {
  const sae::CounterRandom random(8, 8);
  for (const int n : {0, 1, 511, 512, 5000}) {
    Activations made;
    for (int w = 0; w < n; ++w) {
      const auto value = static_cast<float>(random.Normal(w));
      made.emplace_back(w, w % 5 == 0 ? (w % 2 ? -0.0F : 0.0F) : value);
    }
    Activations want = made;
    std::stable_sort(want.begin(), want.end(),
                     [](const auto& a, const auto& b) { return a.second < b.second; });
    EXPECT_EQ(SortedByValue(made), want) << n;
  }
}

TEST(Judge, AurocOfDenseValuesIsThatOfAllPairs) {
  const Made made;
  const sae::Encoder encoder(made.model);
  const EvidenceColumns columns(encoder, made.View(), made.View());
  const auto conditions = ByWindow(made.labels, kWindows);
  for (const sae::EvidenceKind kind : columns.Kinds()) {
    const auto column = columns.Of(kind, {1}, made.starts, kGoOn);
    ASSERT_TRUE(column.ok());
    ASSERT_EQ((*column)[0].size(), made.starts.size());
    const auto aurocs = Aurocs((*column)[0], conditions);
    for (int c = 0; c < 2; ++c) {
      EXPECT_NEAR(*aurocs[c], Pairwise(Values((*column)[0], kWindows), made.labels[c]), 1e-12);
    }
  }
}

TEST(Judge, ColumnsAreWhatTheScorerSays) {
  const Made made;
  const sae::Encoder encoder(made.model);
  const EvidenceColumns columns(encoder, made.View(), made.View());
  sae::Codes<float> codes;
  encoder.Encode(made.View(), made.starts, sae::DefaultRule(made.model.spec), codes);
  for (const sae::EvidenceKind kind : columns.Kinds()) {
    std::vector<float> want(kWindows * 2);
    sae::EvidenceScorer(made.model, kind, {2, 0})
        .Score(made.View(), made.starts, codes, want.data());
    const auto got = columns.Of(kind, {2, 0}, made.starts, kGoOn);
    ASSERT_TRUE(got.ok());
    for (int w = 0; w < kWindows; ++w) {
      for (int l = 0; l < 2; ++l) {
        ASSERT_EQ((*got)[l][w], std::make_pair(w, want[w * 2 + l])) << sae::Name(kind);
      }
    }
  }
}

// Each group of windows is asked for once, whatever the number of kinds.
TEST(Judge, SeveralKindsTogetherAreAsEachAloneAndEncodeOnce) {
  const Made made;
  const sae::Encoder encoder(made.model);
  const EvidenceColumns columns(encoder, made.View(), made.View());
  std::vector<EvidenceColumns::Wanted> wanted;
  for (const sae::EvidenceKind kind : columns.Kinds()) {
    wanted.push_back(
        {kind, wanted.size() % 2 == 0 ? std::vector<int32_t>{2, 0} : std::vector<int32_t>{1}});
  }
  ASSERT_GT(wanted.size(), 5U);
  std::vector<int64_t> starts = made.starts;
  for (int again = 0; again < 6; ++again) {
    starts.insert(starts.end(), made.starts.begin(), made.starts.end());
  }
  int encoded = 0;
  const auto together = columns.Of(wanted, starts, [&](double) { return ++encoded > 0; });
  ASSERT_TRUE(together.ok());
  EXPECT_EQ(encoded, 2) << "of 8192 windows and of the rest";
  for (size_t k = 0; k < wanted.size(); ++k) {
    EXPECT_EQ((*together)[k], *columns.Of(wanted[k].kind, wanted[k].latents, starts, kGoOn)) << k;
  }
}

// The highest training AUROC of all kinds, by hand; the second unit falls.
TEST(Judge, TakesTheKindAndSignThatTellTheConditionBest) {
  const Made made;
  const sae::Encoder encoder(made.model);
  const EvidenceColumns columns(encoder, made.View(), made.View());
  const auto conditions = ByWindow(made.labels, kWindows);
  std::vector<std::vector<Judged>> judged(3);
  for (auto& of : judged) JudgeByCode(std::vector<Scores>(2), of);
  const int64_t two_latents = 2 * kWindows * std::ssize(columns.Kinds());
  // What is seen beside is what each kind has alone, in groups of latents or all at once.
  const auto see = [&](int32_t latent, const std::vector<EvidenceOfKind>& evidence) {
    ASSERT_EQ(evidence.size(), columns.Kinds().size());
    for (const auto& [kind, column, ordered] : evidence) {
      const auto alone = (*columns.Of(kind, {latent}, made.starts, kGoOn))[0];
      EXPECT_EQ(*column, alone);
      EXPECT_EQ(ordered->entries(), SortedByValue(alone));
    }
  };
  for (const int64_t held : {int64_t{1}, two_latents, int64_t{1} << 20}) {
    auto out = judged;
    ASSERT_TRUE(JudgeByEvidence(columns, columns.Kinds(), {0, 1, 2}, made.starts, conditions, held,
                                kGoOn, out, see)
                    .ok());
    for (int j = 0; j < 3; ++j) {
      for (int c = 0; c < 2; ++c) {
        double best = 0;
        for (const sae::EvidenceKind kind : columns.Kinds()) {
          const double auroc =
              *Aurocs((*columns.Of(kind, {j}, made.starts, kGoOn))[0], conditions)[c];
          best = std::max({best, auroc, 1 - auroc});
        }
        EXPECT_EQ(*out[j][c].train_auroc, best);
        EXPECT_TRUE(out[j][c].kind.has_value());
      }
    }
    EXPECT_FALSE(out[0][0].falls);
    EXPECT_TRUE(out[1][0].falls);
    EXPECT_GT(*out[1][0].train_auroc, 0.8);
  }
}

TEST(Judge, ByTheCodeInTheDirectionItHas) {
  std::vector<Scores> scores(3);
  scores[0].auroc = 0.9;
  scores[1].auroc = 0.2;
  std::vector<Judged> judged;
  JudgeByCode(scores, judged);
  EXPECT_EQ(judged[0].train_auroc, 0.9);
  EXPECT_EQ(judged[1].train_auroc, 0.8);
  EXPECT_TRUE(judged[1].falls);
  EXPECT_FALSE(judged[2].train_auroc);
}

// What falls is certain as its negative is: the same p-value and interval as of the reverse label.
TEST(Judge, NegatedValuesHaveTheReverseAuroc) {
  const Made made;
  const auto conditions = ByWindow(made.labels, kWindows);
  Activations sparse;
  for (int w = 0; w < kWindows; ++w) {
    if (made.counts[w * kUnits] > 2) sparse.emplace_back(w, made.counts[w * kUnits]);
  }
  const Activations negated = Negated(sparse, kWindows);
  const auto a = Aurocs(sparse, conditions), b = Aurocs(negated, conditions);
  for (int c = 0; c < 2; ++c) EXPECT_NEAR(*a[c], 1 - *b[c], 1e-12);
}

// The drives of a fixed filter add up to the difference of its mean between the two sides.
TEST(Contrasts, DrivesAddUpToTheDifferenceOfTheScore) {
  const Made made;
  const sae::Encoder encoder(made.model);
  const EvidenceColumns columns(encoder, made.View(), made.View());
  const auto conditions = ByWindow(made.labels, kWindows);
  const Contrasts contrasts(made.model, made.View(), made.starts, conditions);
  for (const auto kind : {sae::EvidenceKind::kMarginal, sae::EvidenceKind::kRate}) {
    const auto column = *columns.Of(kind, {2}, made.starts, kGoOn);
    double inside = 0, outside = 0;
    for (int w = 0; w < kWindows; ++w) {
      (made.labels[0][w] ? inside : outside) += static_cast<double>(column[0][w].second);
    }
    const auto positive = static_cast<double>(conditions.positive[0]);
    const double want = inside / positive - outside / (kWindows - positive);
    const auto drives = contrasts.Drives(2, 0, {kind, false, {}, {}});
    EXPECT_NEAR(std::accumulate(drives.begin(), drives.end(), 0.0), want, 1e-4);
    EXPECT_EQ(drives[0], 0) << "not in the latent's row";
  }
  // What falls: the unit that goes silent is what tells the condition.
  const auto falls = contrasts.Drives(1, 0, {sae::EvidenceKind::kRate, true, {}, {}});
  EXPECT_GT(falls[1], 0);
}

TEST(RandomControl, KnowsNothingOfTheDataAndIsTheSameAgain) {
  const Made made;
  const auto conditions = ByWindow(made.labels, kWindows);
  const auto run = [&](int64_t held) {
    return *RandomControl(made.model, made.View(), made.starts, conditions, made.starts, conditions,
                          held, kGoOn);
  };
  const auto once = run(1), again = run(1 << 20);
  for (int c = 0; c < 2; ++c) {
    ASSERT_TRUE(once[c].train_auroc && once[c].test_auroc);
    EXPECT_EQ(once[c].train_auroc, again[c].train_auroc);
    EXPECT_EQ(once[c].train_auroc, once[c].test_auroc) << "both sides are the same windows";
  }
  // Three rows of six units know little of the first two.
  EXPECT_LT(*once[0].train_auroc, 0.9);
  EXPECT_LT(*once[1].train_auroc, 0.6);
}

// The order of a negative is that of the negated values, with ties in any order.
TEST(Judge, OrdersOfNegativesAreThoseOfNegatedValues) {
  const Made made;
  Activations sparse, dense;
  for (int w = 0; w < kWindows; ++w) {
    const float count = made.counts[w * kUnits];
    if (count > 2) sparse.emplace_back(w, count);
    dense.emplace_back(w, count - 2);
  }
  const auto sorted = [](Activations entries) {
    std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
      return std::pair(a.second, a.first) < std::pair(b.second, b.first);
    });
    return entries;
  };
  for (const Activations& values : {sparse, dense}) {
    const Activations turned = Ordered(values).Negated(kWindows).entries();
    EXPECT_TRUE(std::is_sorted(turned.begin(), turned.end(),
                               [](const auto& a, const auto& b) { return a.second < b.second; }));
    EXPECT_EQ(sorted(turned), sorted(Negated(values, kWindows)));
  }
}

}  // namespace
}  // namespace saed::features
