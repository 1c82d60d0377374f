#include "server/features/feature_sets.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <tbb/global_control.h>
#include <tbb/task_arena.h>

#include <algorithm>

#include "server/features/dictionary.h"
#include "server/recordings/readers/time_tables.h"
#include "server/sae/random.h"

namespace saed::features {
namespace {

constexpr int kUnits = 6, kTrials = 240, kBins = 10;
const Progress kGoOn = [](double) { return true; };

// Of the trials of kind a, every fourth trial, unit 0 answers in one half and unit 1 in the other;
// the other units, and the coins, know nothing. Latent n copies unit n.
struct Halves {
  recordings::Recording recording;
  recordings::ViewData view;
  sae::Model model;

  Halves() {
    const sae::CounterRandom random(9, 4);
    std::string csv = "start_time,stop_time,kind,coin\n";
    recording.units.resize(kUnits);
    for (int u = 0; u < kUnits; ++u) recording.units[u].id = 100 + u;
    for (int trial = 0; trial < kTrials; ++trial) {
      const bool a = trial % 4 == 0;
      csv += std::to_string(trial) + "," + std::to_string(trial + 1) + (a ? ",a" : ",b") +
             (random.Below(900000 + trial, 2) ? ",heads\n" : ",tails\n");
      for (int u = 0; u < kUnits; ++u) {
        const bool answers = a && u < 2 && trial / 4 % 2 == u;
        for (int bin = 0; bin < kBins; ++bin) {
          const auto key = static_cast<uint64_t>((trial * kUnits + u) * kBins + bin);
          if (random.Uniform(key) < (answers ? 0.9 : 0.2)) {
            recording.units[u].spike_times.push_back(trial + 0.1 * bin + 0.05);
          }
        }
      }
    }
    recordings::Notes notes;
    recording.intervals.push_back(*recordings::ParseIntervalsCsv("trials", csv, notes));
    recording.duration = kTrials;
    recordings::DataView spec;
    spec.bin_width = 0.1;
    spec.split.train_fraction = 0.5;
    view = *recordings::BuildView(recording, spec);
    model.spec.levels = {{kUnits, kUnits}};
    model.units = kUnits;
    auto& p = model.parameters;
    p.features = p.inputs = p.outputs = kUnits;
    p.encoder.assign(kUnits * kUnits, 0);
    for (int u = 0; u < kUnits; ++u) p.encoder[u * kUnits + u] = 1;
    p.decoder = p.encoder;
    p.encoder_bias.assign(kUnits, 0);
    p.decoder_bias.assign(kUnits, 0);
    model.thresholds = {0};
  }

  Dictionary Build(const std::vector<Condition>& conditions = {}) const {
    const sae::Encoder encoder(model);
    auto d = BuildDictionary(encoder, recording, view, view.counts(), conditions, {}, kGoOn);
    EXPECT_TRUE(d.ok()) << d.status();
    return *std::move(d);
  }
};

size_t ConditionAt(const Dictionary& d, const std::string& name) {
  for (size_t c = 0; c < d.conditions.size(); ++c) {
    if (d.conditions[c].name == name) return c;
  }
  ADD_FAILURE() << name;
  return 0;
}

// The held-out AUROC of a set, window by window from the counts.
double TestAuroc(const Halves& s, const FeatureSet& set, const std::vector<UnitMember>& members,
                 const std::function<bool(double)>& holds) {
  std::vector<float> scores;
  std::vector<uint8_t> label;
  for (const int64_t start : s.view.test) {
    double sum = 0;
    for (const UnitMember& m : members) {
      const double count = s.view.bytes[start * kUnits + m.unit_id - 100];
      sum += m.weight * (count - m.mean) / m.sd;
    }
    scores.push_back(static_cast<float>(sum));
    label.push_back(holds(s.view.bin_start(start)));
  }
  EXPECT_EQ(set.unit_sizes.size(), kMostMembers);
  return *AurocWhere(scores, label, std::vector<uint8_t>(label.size(), 1));
}

TEST(FeatureSets, TwoHalvesOfACondition) {
  const Halves s;
  const Dictionary d = s.Build();
  const size_t a = ConditionAt(d, "trials.kind=a");
  const FeatureSet& set = d.sets[a];
  ASSERT_EQ(set.members.size(), 2U);
  std::vector<int> latents = {set.members[0].latent, set.members[1].latent};
  std::sort(latents.begin(), latents.end());
  EXPECT_EQ(latents, (std::vector<int>{0, 1}));
  ASSERT_EQ(set.sizes.size(), kMostMembers);
  EXPECT_EQ(set.sizes[1].added.latent, set.members[1].latent);
  EXPECT_GT(*set.sizes[1].test_auroc, *set.sizes[0].test_auroc + 0.05);
  EXPECT_LE(set.interval->low, *set.sizes[1].test_auroc);
  EXPECT_GE(set.interval->high, *set.sizes[1].test_auroc);
  // Two features are above one unit, and as good as two.
  ASSERT_EQ(set.units.size(), 2U);
  EXPECT_EQ(WorthOf(set.over_unit), Worth::kAboveUnits);
  EXPECT_NEAR(set.over_units->difference, 0, 0.01);
  EXPECT_EQ(set.worth(), Worth::kLikeUnits);
  const auto in_a = [](double t) { return static_cast<int>(t + 1e-6) % 4 == 0; };
  EXPECT_DOUBLE_EQ(TestAuroc(s, set, set.units, in_a), *set.unit_sizes[1].test_auroc);
  EXPECT_NEAR(set.over_unit->difference, *set.sizes[1].test_auroc - *d.best_units[a]->test_auroc,
              1e-12);
  // One feature copies one unit.
  ASSERT_TRUE(d.margins[a].has_value());
  EXPECT_NEAR(d.margins[a]->difference,
              *d.features[*d.best_features[a]].judged[a].test_auroc - *d.best_units[a]->test_auroc,
              1e-12);
  EXPECT_EQ(WorthOf(d.margins[a]), Worth::kLikeUnits);
}

TEST(FeatureSets, CoinsAreNotAboveUnits) {
  const Dictionary d = Halves().Build();
  for (const char* name : {"trials.coin=heads", "trials.coin=tails"}) {
    const size_t c = ConditionAt(d, name);
    EXPECT_NE(d.sets[c].worth(), Worth::kAboveUnits) << name;
    EXPECT_NE(WorthOf(d.margins[c]), Worth::kAboveUnits) << name;
    ASSERT_FALSE(d.sets[c].members.empty());
    EXPECT_LT(d.sets[c].interval->low, 0.5) << name;
  }
}

TEST(FeatureSets, NothingIsClaimedWithoutSupport) {
  const Halves s;
  const Dictionary d = s.Build(
      {{"few", "around_start(trials, start_time < 5, 0, 0.3)"}, {"always", "during(trials)"}});
  for (const size_t c : {0, 1}) {
    EXPECT_TRUE(d.sets[c].members.empty()) << d.conditions[c].name;
    EXPECT_FALSE(d.margins[c].has_value()) << d.conditions[c].name;
    EXPECT_EQ(d.sets[c].worth(), Worth::kUnknown);
  }
}

TEST(FeatureSets, NothingIsClaimedInSample) {
  Halves s;
  s.view.test = s.view.train;
  const Dictionary d = s.Build();
  const size_t a = ConditionAt(d, "trials.kind=a");
  EXPECT_EQ(d.sets[a].members.size(), 2U);
  EXPECT_FALSE(d.margins[a].has_value());
  EXPECT_FALSE(d.sets[a].over_unit.has_value());
  EXPECT_EQ(d.sets[a].worth(), Worth::kUnknown);
}

TEST(FeatureSets, OneLatent) {
  Halves s;
  auto& p = s.model.parameters;
  s.model.spec.levels = {{1, 1}};
  p.features = 1;
  p.encoder.resize(kUnits);
  p.decoder.resize(kUnits);
  p.encoder_bias.resize(1);
  const Dictionary d = s.Build();
  const FeatureSet& set = d.sets[ConditionAt(d, "trials.kind=a")];
  EXPECT_EQ(set.members.size(), 1U);
  EXPECT_EQ(set.sizes.size(), 1U);
  EXPECT_EQ(set.units.size(), 1U);
  EXPECT_EQ(set.unit_sizes.size(), kMostMembers);
}

TEST(FeatureSets, TheSameForAnyNumberOfThreads) {
  const Halves s;
  const auto text = [](const Dictionary& d) {
    std::string out;
    for (const FeatureSet& set : d.sets) {
      for (const auto& m : set.members)
        out += fmt::format("{} {:a} {:a}|", m.latent, m.weight, m.mean);
      for (const auto& size : set.sizes) out += fmt::format("{:a}|", size.test_auroc.value_or(-1));
      if (set.interval) out += fmt::format("{:a}|", set.interval->low);
      if (set.over_units) out += fmt::format("{:a}|", set.over_units->difference);
    }
    return out;
  };
  std::string first;
  for (const int threads : {1, 3}) {
    const tbb::global_control control(tbb::global_control::max_allowed_parallelism, 4);
    tbb::task_arena arena(threads);
    const std::string now = arena.execute([&] { return text(s.Build()); });
    if (first.empty()) first = now;
    EXPECT_EQ(now, first);
  }
  EXPECT_FALSE(first.empty());
}

TEST(FeatureSets, WorthIsTheLessFavourableOfTwoMargins) {
  FeatureSet set;
  const auto margin = [](double low, double high) {
    return Margin{(low + high) / 2, Interval{low, high}};
  };
  EXPECT_EQ(set.worth(), Worth::kUnknown);
  set.over_unit = margin(0.01, 0.1);
  EXPECT_EQ(set.worth(), Worth::kUnknown);
  set.over_units = margin(0.01, 0.1);
  set.interval = Interval{0.6, 0.7};
  EXPECT_EQ(set.worth(), Worth::kAboveUnits);
  set.over_units = margin(-0.01, 0.1);
  EXPECT_EQ(set.worth(), Worth::kLikeUnits);
  set.over_unit = margin(-0.2, -0.1);
  EXPECT_EQ(set.worth(), Worth::kBelowUnits);
  set.over_unit = set.over_units = margin(0.01, 0.1);
  set.interval = Interval{0.48, 0.7};
  EXPECT_EQ(set.worth(), Worth::kLikeUnits) << "chance may do as well";
}

}  // namespace
}  // namespace saed::features
