#include "server/features/dictionary.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <tbb/global_control.h>
#include <tbb/task_arena.h>

#include <numeric>
#include <set>

#include "server/features/dealt_labels.h"
#include "server/features/draft.h"
#include "server/features/sides.h"
#include "server/features/variable_table.h"
#include "server/recordings/readers/time_tables.h"
#include "server/sae/random.h"

namespace saed::features {
namespace {

using ::testing::ElementsAre;

// Unit 0 fires in trials of kind a, unit 1 in the others; latent n copies unit n.
struct TwoUnits {
  recordings::Recording recording;
  recordings::ViewData view;
  sae::Model model;

  TwoUnits() {
    std::string csv = "start_time,stop_time,kind\n";
    recording.units.resize(2);
    recording.units[0].id = 50;
    recording.units[1].id = 60;
    for (int trial = 0; trial < 100; ++trial) {
      csv +=
          std::to_string(trial) + "," + std::to_string(trial + 1) + (trial % 2 ? ",b\n" : ",a\n");
      for (int i = 0; i < 5; ++i) {
        recording.units[trial % 2].spike_times.push_back(trial + 0.05 + 0.2 * i);
      }
    }
    recordings::Notes notes;
    recording.intervals.push_back(*recordings::ParseIntervalsCsv("trials", csv, notes));
    recording.duration = 100;
    recordings::DataView spec;
    spec.bin_width = 0.1;
    spec.split.train_fraction = 0.5;
    view = *recordings::BuildView(recording, spec);
    model.spec.levels = {{2, 2}};
    model.units = 2;
    auto& p = model.parameters;
    p.features = p.inputs = p.outputs = 2;
    p.encoder = p.decoder = {2, 0, 0, 1};
    p.encoder_bias = p.decoder_bias = {0, 0};
    model.thresholds = {0};
  }
};

const Progress kGoOn = [](double) { return true; };

// Another recording of the same units: nothing trains, and what stands for a condition is what the
// model's own dictionary chose, be it the best here or not.
TEST(Dictionary, JudgesAnotherRecordingByWhatWasChosenBefore) {
  TwoUnits s;
  recordings::DataView bins;
  bins.bin_width = 0.1;
  s.view = *recordings::BuildAnalysisView(s.recording, bins, {50, 60}, {}, {});
  const sae::Encoder encoder(s.model);
  Precedent before;
  before.dictionary = "dictionaries/own";
  before.conditions["trials.kind=a"].unit = Precedent::Unit{60, true, 0.9};
  before.conditions["trials.kind=a"].features[0].train_auroc = 0.8;
  before.conditions["gone"].features[1].train_auroc = 0.99;
  const auto build = [&](const Precedent* precedent) {
    return *BuildDictionary(encoder, s.recording, s.view, s.view.counts(), {}, {}, kGoOn,
                            kHeldActivations, precedent);
  };
  const Dictionary d = build(&before), none = build(nullptr);
  ASSERT_EQ(d.train_windows, 0);
  const auto c = static_cast<size_t>(
      std::find_if(d.conditions.begin(), d.conditions.end(),
                   [](const Condition& condition) { return condition.name == "trials.kind=a"; }) -
      d.conditions.begin());
  ASSERT_LT(c, d.conditions.size());
  EXPECT_EQ(d.best_features[c], 0);
  const Feature& f = d.features[0];
  EXPECT_EQ(f.best_condition, static_cast<int>(c));
  EXPECT_DOUBLE_EQ(*f.judged[c].train_auroc, 0.8);
  EXPECT_EQ(f.judged[c].test_auroc, f.test[c].auroc);
  EXPECT_LT(f.certainty[c].p.value(), 0.2);  // trials alternate strictly
  EXPECT_TRUE(f.certainty[c].q.has_value());
  EXPECT_TRUE(f.certainty[c].interval.has_value());
  ASSERT_FALSE(f.drivers[c].empty());
  EXPECT_EQ(f.drivers[c][0].unit_id, 50);
  // Unit 60 falls there as before: half of the windows hold a spike of it where kind is b.
  EXPECT_EQ(d.best_units[c]->unit_id, 60);
  EXPECT_TRUE(d.best_units[c]->falls);
  EXPECT_NEAR(d.best_units[c]->test_auroc.value(), 0.75, 0.01);
  EXPECT_THAT(d.warnings, testing::Contains(testing::HasSubstr("dictionaries/own")));
  for (const auto& best : none.best_features) EXPECT_FALSE(best.has_value());
  EXPECT_THAT(none.warnings, testing::Contains(testing::HasSubstr("analyse that recording first")));
}

TEST(Dictionary, FindsConditionUnitAndExemplars) {
  const TwoUnits s;
  const sae::Encoder encoder(s.model);
  const auto d = BuildDictionary(encoder, s.recording, s.view, s.view.counts(), {}, {}, kGoOn);
  ASSERT_TRUE(d.ok()) << d.status();
  ASSERT_EQ(d->conditions.size(), 2u);
  const Feature& f = d->features[0];
  EXPECT_EQ(f.active_windows, 250);
  EXPECT_DOUBLE_EQ(f.density, 0.25);
  EXPECT_DOUBLE_EQ(f.mean_activation, 2);
  ASSERT_EQ(f.best_condition, 0);
  EXPECT_DOUBLE_EQ(*f.test[0].auroc, 0.75);  // half of the positive windows have a spike
  EXPECT_DOUBLE_EQ(*f.test[0].precision, 1);
  EXPECT_EQ(f.top_units[0].unit_id, 50);
  EXPECT_FLOAT_EQ(f.trace_map[0], 2);
  EXPECT_DOUBLE_EQ(f.top_units[0].share, 1);
  EXPECT_GE(f.exemplars.size(), 15u);
  // Unit 0 of the view is the feature's only one, and does exactly as well.
  ASSERT_TRUE(d->best_units[0].has_value());
  EXPECT_EQ(d->best_units[0]->unit_id, 50);
  EXPECT_DOUBLE_EQ(*d->best_units[0]->test_auroc, 0.75);
  ASSERT_TRUE(f.certainty[0].interval.has_value());
  EXPECT_LE(f.certainty[0].interval->low, 0.75);
  EXPECT_GE(f.certainty[0].interval->high, 0.75);
  EXPECT_LT(*f.certainty[0].p, 0.2);  // trials alternate strictly: shifts by whole periods tie
  EXPECT_LE(*f.certainty[0].p, *f.certainty[0].q);
}

TEST(Dictionary, TimeThatWasNotObservedIsInNoScore) {
  TwoUnits s;
  s.recording.observed = recordings::Spans{{0, 70}, {75, 100}};
  recordings::DataView spec;
  spec.bin_width = 0.1;
  spec.split.train_fraction = 0.5;
  s.view = *recordings::BuildView(s.recording, spec);
  const sae::Encoder encoder(s.model);
  const auto d = BuildDictionary(encoder, s.recording, s.view, s.view.counts(), {}, {}, kGoOn);
  ASSERT_TRUE(d.ok()) << d.status();
  EXPECT_EQ(d->train_windows, 475);
  EXPECT_EQ(d->test_windows, 475);
  EXPECT_EQ(d->test_positive[0] + d->test_positive[1], 475);
  const Feature& f = d->features[0];
  EXPECT_EQ(f.active_windows, 235) << "not the 15 in trials 70, 72 and 74";
  EXPECT_DOUBLE_EQ(f.density, 235.0 / 950);
  for (const Exemplar& e : f.exemplars) {
    EXPECT_TRUE(e.start_time < 70 || e.start_time > 74.99) << e.start_time;
  }
  // Of 225 and 250 bins, segments of 20 every 10; 500 in a row would make 49.
  EXPECT_EQ(d->spectra->segments, 21 + 24);
  // Trials of kind a begin at 48 and then every 2 s, but not at 70, 72 and 74.
  ASSERT_EQ(f.responses[0].first, 0);
  EXPECT_EQ(f.responses[0].second.events, 23);
}

// Only the second half of the session is in trials; a condition of theirs is not scored against the
// first.
TEST(Dictionary, ConditionsOfATableAreScoredAmongItsRows) {
  TwoUnits s;
  auto& trials = s.recording.intervals[0];
  trials.table.name = "stimuli";
  recordings::IntervalTable late;
  late.table.name = "late";
  recordings::Texts kinds;
  for (int trial = 25; trial < 75; ++trial) {
    late.start.push_back(trial);
    late.stop.push_back(trial + 1);
    kinds.emplace_back(trial % 2 ? "odd" : "even");
  }
  late.table.columns = {{"start_time", late.start}, {"stop_time", late.stop}, {"kind", kinds}};
  s.recording.intervals.push_back(late);
  const sae::Encoder encoder(s.model);
  const std::vector<Condition> asked = {{"mine", "during(late, kind = even)"}};
  const auto d = BuildDictionary(encoder, s.recording, s.view, s.view.counts(), asked, {}, kGoOn);
  ASSERT_TRUE(d.ok()) << d.status();
  std::vector<std::string> names, families;
  for (const auto& c : d->conditions) {
    names.push_back(c.name);
    families.push_back(c.family);
  }
  EXPECT_THAT(names, ElementsAre("mine", "stimuli.kind=a", "stimuli.kind=b", "late",
                                 "late.kind=odd", "late.kind=even"));
  EXPECT_THAT(families, ElementsAre("", "stimuli", "stimuli", "late", "late", "late"));
  EXPECT_THAT(d->train_asked, ElementsAre(500, 500, 500, 500, 250, 250));
  EXPECT_THAT(d->train_positive, ElementsAre(120, 250, 250, 250, 130, 120));
  // Half of the even windows have a spike of unit 0; of others, those of even trials outside.
  const Feature& f = d->features[0];
  EXPECT_DOUBLE_EQ(*f.test[5].auroc, 0.75);
  EXPECT_DOUBLE_EQ(*f.test[0].auroc, 0.5 + (0.5 - 60.0 / 370) / 2);
  EXPECT_DOUBLE_EQ(*f.test[5].specificity, 1);
  ASSERT_EQ(d->controls.size(), 3U);
  EXPECT_EQ(d->controls[0].family, "");
  EXPECT_EQ(d->controls[1].family, "late");
  for (const auto& control : d->controls) {
    EXPECT_EQ(control.labels, kControlLabels);
    ASSERT_TRUE(control.mean_auroc && control.highest_auroc);
    EXPECT_LE(*control.mean_auroc, *control.highest_auroc);
    EXPECT_LT(control.called, control.pairs);
    EXPECT_GT(control.pairs, 0);
  }
  const std::string& said = d->warnings.back();
  EXPECT_EQ(said,
            "1 automatic conditions hold in none or in all of the windows and are left out: "
            "stimuli");
}

// Kinds in random order, which two units tell for sure: nothing of it is left once they are dealt.
TEST(Dictionary, LabelsDealtAnewMeanNothing) {
  TwoUnits s;
  const sae::CounterRandom random(11, 3);
  recordings::Texts kinds;
  for (auto& unit : s.recording.units) unit.spike_times = {};
  for (int trial = 0; trial < 100; ++trial) {
    const auto kind = random.Below(trial, 2);
    kinds.emplace_back(kind == 0 ? "a" : "b");
    for (int i = 0; i < 5; ++i) {
      s.recording.units[kind].spike_times.push_back(trial + 0.05 + 0.2 * i);
    }
  }
  s.recording.intervals[0].table.columns[2].values = kinds;
  recordings::DataView spec;
  spec.bin_width = 0.1;
  spec.split.kind = recordings::SplitKind::kTrials;
  spec.split.trials.table = "trials";
  s.view = *recordings::BuildView(s.recording, spec);
  const sae::Encoder encoder(s.model);
  const auto d = BuildDictionary(encoder, s.recording, s.view, s.view.counts(), {}, {}, kGoOn);
  ASSERT_TRUE(d.ok()) << d.status();
  EXPECT_DOUBLE_EQ(*d->features[0].judged[0].test_auroc, 0.75);
  EXPECT_LT(*d->features[0].certainty[0].q, 0.01);
  ASSERT_EQ(d->controls.size(), 1U);
  EXPECT_EQ(d->controls[0].labels, kControlLabels);
  EXPECT_GT(d->controls[0].pairs, kControlLabels);
  EXPECT_EQ(d->controls[0].called, 0);
  EXPECT_NEAR(*d->controls[0].mean_auroc, 0.5, 0.08);
  EXPECT_LT(*d->controls[0].highest_auroc, 0.68);
}

// A label that says the same as another is one condition; q counts each family by itself.
TEST(Dictionary, DoublesAreOneCondition) {
  TwoUnits s;
  auto& columns = s.recording.intervals[0].table.columns;
  recordings::Numbers same;
  for (const auto& kind : std::get<recordings::Texts>(columns[2].values)) {
    same.push_back(kind == "a" ? 7 : 3);
  }
  columns.push_back({"code", same});
  const sae::Encoder encoder(s.model);
  const auto d = BuildDictionary(encoder, s.recording, s.view, s.view.counts(), {}, {}, kGoOn);
  ASSERT_TRUE(d.ok()) << d.status();
  EXPECT_EQ(d->conditions.size(), 2U);
  EXPECT_EQ(d->warnings.back(),
            "2 automatic conditions hold in the same windows as others and are left out: "
            "trials.code=7 (as trials.kind=a), trials.code=3 (as trials.kind=b)");
  std::vector<Condition> many;
  for (int i = 0; i < 30; ++i) {
    many.push_back(
        {fmt::format("late{}", i), fmt::format("during(trials, start_time > {})", 40 + i)});
  }
  many.push_back({"mine", "trials.kind = a"});
  const auto more = BuildDictionary(encoder, s.recording, s.view, s.view.counts(), many, {}, kGoOn);
  ASSERT_TRUE(more.ok()) << more.status();
  // One that somebody asked for takes no automatic one's place.
  EXPECT_EQ(more->conditions[31].name, "trials.kind=a");
  EXPECT_EQ(more->features[0].certainty[31].q, d->features[0].certainty[0].q);
}

// Of fewer than ten held-out trials nothing is claimed, however many windows they have.
TEST(Dictionary, FewTrialsHaveNoInterval) {
  TwoUnits s;
  recordings::DataView spec;
  spec.bin_width = 0.1;
  spec.stop_time = 24;
  spec.split.kind = recordings::SplitKind::kTrials;
  spec.split.trials.table = "trials";
  s.view = *recordings::BuildView(s.recording, spec);
  const sae::Encoder encoder(s.model);
  const auto d = BuildDictionary(encoder, s.recording, s.view, s.view.counts(), {}, {}, kGoOn);
  ASSERT_TRUE(d.ok()) << d.status();
  ASSERT_TRUE(d->best_features[0]);
  const Feature& f = d->features[*d->best_features[0]];
  EXPECT_TRUE(f.certainty[0].p);
  EXPECT_FALSE(f.certainty[0].interval);
  EXPECT_FALSE(d->margins[0] && d->margins[0]->interval);
  ASSERT_FALSE(d->sets[0].members.empty());
  EXPECT_FALSE(d->sets[0].interval);
}

// Numbers that are no measurements make no variable, and break nothing.
TEST(Dictionary, SentinelsAreNoVariable) {
  TwoUnits s;
  auto& columns = s.recording.intervals[0].table.columns;
  recordings::Numbers values;
  for (int i = 0; i < 100; ++i)
    values.push_back(i % 4 == 0 ? -1.7e308 : i % 4 == 1 ? 1.7e308 : 0.5 * i);
  columns.push_back({"rt", values});
  const sae::Encoder encoder(s.model);
  const auto d = BuildDictionary(encoder, s.recording, s.view, s.view.counts(), {}, {}, kGoOn);
  ASSERT_TRUE(d.ok()) << d.status();
  for (const auto& v : d->variables) {
    for (const double edge : v.edges) EXPECT_TRUE(std::isfinite(edge)) << v.name;
  }
}

// Names with dots may be the same for columns of two tables: which are left out is said.
TEST(Dictionary, NamesThatTwoColumnsShareAreSaid) {
  TwoUnits s;
  auto& trials = s.recording.intervals[0];
  trials.table.name = "a";
  trials.table.columns[2].name = "b.c";
  auto other = trials;
  other.table.name = "a.b";
  other.table.columns[2].name = "c";
  s.recording.intervals.push_back(other);
  const sae::Encoder encoder(s.model);
  const auto d = BuildDictionary(encoder, s.recording, s.view, s.view.counts(), {}, {}, kGoOn);
  ASSERT_TRUE(d.ok()) << d.status();
  EXPECT_EQ(d->conditions.size(), 2U);
  EXPECT_EQ(d->warnings.back(),
            "2 automatic conditions have the names of another table's and are left out: a.b.c=a, "
            "a.b.c=b; give them names of your own with among()");
}

// A condition that holds in few trials has no support, however many windows they have.
TEST(Dictionary, TrialsAreWhatSupportCounts) {
  TwoUnits s;
  recordings::IntervalTable few;
  few.table.name = "few";
  for (const int trial : {3, 13, 23, 33, 60}) {
    few.start.push_back(trial);
    few.stop.push_back(trial + 1);
  }
  few.table.columns = {{"start_time", few.start}, {"stop_time", few.stop}};
  s.recording.intervals.push_back(few);
  recordings::DataView spec;
  spec.bin_width = 0.1;
  spec.split.kind = recordings::SplitKind::kTrials;
  spec.split.trials.table = "trials";
  s.view = *recordings::BuildView(s.recording, spec);
  const sae::Encoder encoder(s.model);
  const auto d = BuildDictionary(encoder, s.recording, s.view, s.view.counts(), {}, {}, kGoOn);
  ASSERT_TRUE(d.ok()) << d.status();
  const auto c = std::find_if(d->conditions.begin(), d->conditions.end(),
                              [](const Condition& one) { return one.name == "few"; }) -
                 d->conditions.begin();
  ASSERT_LT(c, std::ssize(d->conditions));
  EXPECT_GE(d->train_positive[c], 20);
  EXPECT_FALSE(d->best_features[c]);
  EXPECT_TRUE(d->best_features[0]);
}

// In 77 rows of one bin; 20 / 77 · 77 is less than 20 where it is rounded.
TEST(Dictionary, TwentyWindowsAreSupport) {
  for (const int fires : {19, 20}) {
    TwoUnits s;
    std::string csv = "start_time,stop_time\n";
    s.recording.units[0].spike_times = {};
    for (int row = 0; row < 154; ++row) {
      const double begin = 0.3 * row;
      csv += fmt::format("{:.1f},{:.1f}\n", begin, begin + 0.1);
      // The first half trains.
      if (row % 77 < fires) s.recording.units[0].spike_times.push_back(begin + 0.05);
    }
    recordings::Notes notes;
    s.recording.intervals = {*recordings::ParseIntervalsCsv("rows", csv, notes)};
    s.recording.units[1].spike_times = {};
    s.recording.duration = 46.2;
    recordings::DataView spec;
    spec.bin_width = 0.1;
    spec.split.train_fraction = 0.5;
    s.view = *recordings::BuildView(s.recording, spec);
    const sae::Encoder encoder(s.model);
    const auto d = BuildDictionary(encoder, s.recording, s.view, s.view.counts(),
                                   {{"row", "during(rows)"}}, {}, kGoOn);
    ASSERT_TRUE(d.ok()) << d.status();
    ASSERT_EQ(d->train_positive[0], 77);
    EXPECT_EQ(d->best_features[0].has_value(), fires == 20) << fires;
  }
}

TEST(Dictionary, WideBinsAndLongOffsetsAreSaid) {
  TwoUnits s;
  recordings::DataView spec;
  spec.bin_width = 2;
  s.view = *recordings::BuildView(s.recording, spec);
  const sae::Encoder encoder(s.model);
  const auto d = BuildDictionary(encoder, s.recording, s.view, s.view.counts(),
                                 {{"late", "around_start(trials, kind = a, 0, 50)"}}, {}, kGoOn);
  ASSERT_TRUE(d.ok()) << d.status();
  ASSERT_GE(d->warnings.size(), 2U);
  EXPECT_EQ(d->warnings[0], "bins are 2 s wide; is the width in milliseconds instead of seconds?");
  EXPECT_EQ(d->warnings[1],
            "condition 'late': around_start(trials, 0, 50) reaches 50 s from rows of which the "
            "longest lasts 1 s; are the offsets in seconds?");
}

TEST(Dictionary, BestConditionAlsoHappensInHeldOutWindows) {
  TwoUnits s;
  recordings::Notes notes;
  // In training, "early" is exactly what unit 0 does in its first 25 trials; it never comes again.
  s.recording.intervals.push_back(
      *recordings::ParseIntervalsCsv("once", "start_time,stop_time,kind\n0,50,early\n", notes));
  const sae::Encoder encoder(s.model);
  const auto d = BuildDictionary(
      encoder, s.recording, s.view, s.view.counts(),
      {{"spikes", "around_start(trials, kind = a AND start_time < 50, 0, 1)"}}, {}, kGoOn);
  ASSERT_TRUE(d.ok());
  const Feature& f = d->features[0];
  EXPECT_FALSE(f.test[0].auroc.has_value());
  ASSERT_TRUE(f.best_condition.has_value());
  EXPECT_EQ(d->conditions[*f.best_condition].name, "trials.kind=a");
}

// Whatever judges: unit 0 is silent where kind is b, which tells b as well as unit 1's spikes do.
void ExpectJudgedInBothDirections(const Dictionary& d) {
  for (const Feature& f : d.features) {
    for (size_t c = 0; c < 2; ++c) {
      EXPECT_EQ(f.judged[c].falls, f.latent != static_cast<int>(c));
      EXPECT_DOUBLE_EQ(*f.judged[c].train_auroc, 0.75);
      EXPECT_DOUBLE_EQ(*f.judged[c].test_auroc, 0.75) << "whatever its sign";
      ASSERT_TRUE(f.certainty[c].interval.has_value());
      EXPECT_LE(f.certainty[c].interval->low, 0.75);
      EXPECT_GE(f.certainty[c].interval->high, 0.75);
      EXPECT_LT(*f.certainty[c].p, 0.2);
      // What makes it so: the unit that fires, and of what falls the one that is silent.
      ASSERT_EQ(f.drivers[c].size(), 1U);
      EXPECT_EQ(f.drivers[c][0].unit_id, f.latent == 0 ? 50 : 60);
    }
  }
  EXPECT_EQ(d.best_features[0], 0);
  EXPECT_EQ(d.best_features[1], 1) << "the one that rises";
}

TEST(Dictionary, CodesJudgeInBothDirections) {
  const TwoUnits s;
  const sae::Encoder encoder(s.model);
  const auto d = BuildDictionary(encoder, s.recording, s.view, s.view.counts(), {}, {}, kGoOn);
  ASSERT_TRUE(d.ok());
  EXPECT_FALSE(d->features[0].judged[1].kind.has_value()) << "first among equals";
  ExpectJudgedInBothDirections(*d);
}

TEST(Dictionary, EvidenceJudgesInBothDirections) {
  TwoUnits s;
  // Codes that are the same in every window tell nothing.
  s.model.parameters.encoder = {0, 0, 0, 0};
  s.model.parameters.encoder_bias = {1, 1};
  s.model.training = sae::MeasureTarget(s.view.counts(), {}, s.view.train, 1);
  const sae::Encoder encoder(s.model);
  const auto d = BuildDictionary(encoder, s.recording, s.view, s.view.counts(), {}, {}, kGoOn);
  ASSERT_TRUE(d.ok());
  EXPECT_EQ(d->features[0].train[1].auroc, 0.5);
  EXPECT_TRUE(d->features[0].judged[1].kind.has_value());
  ExpectJudgedInBothDirections(*d);
}

// A variable that unit 0 follows, beside codes that say nothing.
TEST(Dictionary, EvidenceJudgesVariablesAndResponses) {
  TwoUnits s;
  recordings::Series& series = s.recording.series.emplace_back();
  series.name = "drive";
  series.channels = {"value"};
  for (int b = 0; b < 1000; ++b) {
    series.timestamps.push_back((b + 0.5) * 0.1);
    series.values.push_back(b / 10 % 2 == 0 ? (b % 2 == 0 ? 3 : 2) : 1);
  }
  s.model.parameters.encoder = {0, 0, 0, 0};
  s.model.parameters.encoder_bias = {1, 1};
  s.model.training = sae::MeasureTarget(s.view.counts(), {}, s.view.train, 1);
  const sae::Encoder encoder(s.model);
  const auto d = BuildDictionary(encoder, s.recording, s.view, s.view.counts(), {}, {}, kGoOn);
  ASSERT_TRUE(d.ok());
  ASSERT_EQ(d->variables.size(), 1U);
  for (const Feature& f : d->features) {
    const VariableScores& v = f.variables[0];
    ASSERT_TRUE(v.kind.has_value());
    EXPECT_FALSE(v.code_train_spearman || v.code_test_spearman) << "constant";
    EXPECT_GT((f.latent == 0 ? 1 : -1) * *v.train_spearman, 0.5);
    EXPECT_NEAR(*v.test_spearman, *v.train_spearman, 0.01);
    EXPECT_GT(*v.test_information, 0.3);
    EXPECT_LT(*v.p, 0.3) << "shifts by whole periods do as well";
    EXPECT_GT((f.latent == 0 ? 1 : -1) * (v.test_tuning[19] - v.test_tuning[0]), 0);
    ASSERT_EQ(f.responses.size(), 2U);
    for (const auto& [c, r] : f.responses) {
      EXPECT_TRUE(f.judged[c].kind.has_value());
      const auto at = r.mean.begin() + r.before;
      EXPECT_GT(std::accumulate(at, at + 5, 0.0), std::accumulate(at - 5, at, 0.0))
          << "as judged, rising or falling";
    }
  }
}

// Rows that touch: a bin across two rows belongs to no block, and makes none of its own.
TEST(Dictionary, WindowsAcrossTwoBlocksAreNoBlockOfTheirOwn) {
  recordings::ViewData view;
  view.window = 2;
  view.blocks = {0, 0, 0, -1, 1, 1, -1, 2, 2, 2};
  EXPECT_EQ(SplitBlocks(view, {0, 1, 2, 3, 4, 5, 6, 7, 8}), (std::vector<int64_t>{0, 3, 6, 9}));
  view.blocks[1] = view.blocks[0] = -1;
  EXPECT_EQ(SplitBlocks(view, {0, 1, 2, 3}), (std::vector<int64_t>{0, 3, 4}));
  view.blocks.clear();
  EXPECT_EQ(SplitBlocks(view, {0, 1, 2}), (std::vector<int64_t>{0, 3}));
  EXPECT_EQ(SplitBlocks(view, {}), (std::vector<int64_t>{0, 0}));
}

TEST(Dictionary, InSampleThereIsNothingToTest) {
  TwoUnits s;
  s.view.test = s.view.train;
  const sae::Encoder encoder(s.model);
  const auto d = BuildDictionary(encoder, s.recording, s.view, s.view.counts(), {}, {}, kGoOn);
  ASSERT_TRUE(d.ok());
  EXPECT_TRUE(d->features[0].certainty[0].interval.has_value());
  EXPECT_FALSE(d->features[0].certainty[0].p || d->features[0].certainty[0].q);
  ASSERT_FALSE(d->warnings.empty());
  EXPECT_NE(d->warnings[0].find("no p-values"), std::string::npos);
}

TEST(Dictionary, SameForAnyNumberOfThreads) {
  const TwoUnits s;
  const sae::Encoder encoder(s.model);
  tbb::global_control control(tbb::global_control::max_allowed_parallelism, 4);
  const auto in = [&](int threads) {
    tbb::task_arena arena(threads);
    return arena.execute([&] {
      return BuildDictionary(encoder, s.recording, s.view, s.view.counts(), {}, {}, kGoOn);
    });
  };
  const auto one = in(1), four = in(4);
  for (int j = 0; j < 2; ++j) {
    EXPECT_EQ(one->features[j].trace_map, four->features[j].trace_map);
    EXPECT_EQ(one->features[j].test[0].auroc, four->features[j].test[0].auroc);
  }
}

// By hand: 10 columns in order, of 8 bytes a window, and 20 sums of 8; of each block 300 draws, 20
// sums of 16 bytes and 32 for how it is dealt.
TEST(Dictionary, AThreadTakesBytesForHeldOutWindowsAndBlocks) {
  const TwoUnits s;
  ASSERT_EQ(s.view.test.size(), 500U);
  // Of the split, and the shorter ones that conditions in one of them need.
  const auto drawn = std::ssize(DrawnBlocks(s.view, s.view.test)) - 1;
  const auto blocks = drawn + std::ssize(TimeBlocks(s.view.test)) - 1;
  ASSERT_GT(drawn, 10);
  EXPECT_EQ(BytesPerThread(s.view), 500 * 240 + blocks * (300 + 320 + 32));
}

TEST(Dictionary, SameForAnyNumberOfActivationsHeld) {
  const TwoUnits s;
  const sae::Encoder encoder(s.model);
  // More conditions than a feature has intervals for, so that some get theirs at the end.
  std::vector<Condition> conditions;
  for (int i = 0; i < 9; ++i) {
    conditions.push_back(
        {fmt::format("c{}", i), fmt::format("around_start(trials, kind = a, 0, 0.{})", i + 1)});
  }
  const auto build = [&](int64_t held) {
    return *BuildDictionary(encoder, s.recording, s.view, s.view.counts(), conditions, {}, kGoOn,
                            held);
  };
  const Dictionary whole = build(kHeldActivations), parts = build(1);
  EXPECT_EQ(whole.best_features, parts.best_features);
  int intervals = 0;
  for (size_t c = 0; c < whole.conditions.size(); ++c) {
    EXPECT_EQ(whole.probes[c].one, parts.probes[c].one);
    EXPECT_EQ(whole.probes[c].all, parts.probes[c].all);
    for (size_t j = 0; j < 2; ++j) {
      const Feature &a = whole.features[j], &b = parts.features[j];
      EXPECT_EQ(a.train[c].auroc, b.train[c].auroc);
      EXPECT_EQ(a.test[c].auroc, b.test[c].auroc);
      EXPECT_EQ(a.certainty[c].q, b.certainty[c].q);
      ASSERT_EQ(a.certainty[c].interval.has_value(), b.certainty[c].interval.has_value());
      if (!a.certainty[c].interval) continue;
      ++intervals;
      EXPECT_EQ(a.certainty[c].interval->low, b.certainty[c].interval->low);
      EXPECT_EQ(a.certainty[c].interval->high, b.certainty[c].interval->high);
    }
  }
  EXPECT_GT(intervals, 2 * static_cast<int>(kIntervals));
  for (size_t j = 0; j < 2; ++j) {
    const Feature &a = whole.features[j], &b = parts.features[j];
    EXPECT_EQ(a.active_windows, b.active_windows);
    EXPECT_EQ(a.trace_map, b.trace_map);
    EXPECT_EQ(a.importance, b.importance);
    EXPECT_EQ(a.responses.size(), b.responses.size());
    EXPECT_EQ(a.exemplars.size(), b.exemplars.size());
  }
}

TEST(Dictionary, ProgressNeverGoesBackwards) {
  TwoUnits s;
  s.model.training = sae::MeasureTarget(s.view.counts(), {}, s.view.train, 1);
  const sae::Encoder encoder(s.model);
  for (const int64_t held : {kHeldActivations, int64_t{1}}) {
    std::vector<double> fractions;
    const auto d = BuildDictionary(
        encoder, s.recording, s.view, s.view.counts(), {}, {},
        [&](double fraction) {
          fractions.push_back(fraction);
          return true;
        },
        held);
    ASSERT_TRUE(d.ok()) << d.status();
    EXPECT_TRUE(std::is_sorted(fractions.begin(), fractions.end()));
    EXPECT_GE(fractions.front(), 0);
    EXPECT_LE(fractions.back(), 1);
    EXPECT_GT(fractions.back(), 0.9);
    EXPECT_GT(std::set<double>(fractions.begin(), fractions.end()).size(), 8U);
  }
}

TEST(Dictionary, StopsWhenAsked) {
  const TwoUnits s;
  const sae::Encoder encoder(s.model);
  const auto d = BuildDictionary(encoder, s.recording, s.view, s.view.counts(), {}, {},
                                 [](double f) { return f < 0.4; });
  EXPECT_TRUE(absl::IsCancelled(d.status()));
}

// Variables with values in the same windows share what ranks are made of, and what is not kept is
// not made: all as each variable and kind alone.
TEST(VariableTable, IsAsEachVariableAlone) {
  const TwoUnits s;
  const std::vector<int64_t> starts = Sides::Of(s.view).starts;
  const auto windows = std::ssize(starts), train = windows / 2;
  const sae::CounterRandom random(4, 1);
  std::vector<Variable> variables = {{"a", {}}, {"some", {}}, {"b", {}}, {"angle", {}, true}};
  Activations code;
  std::vector<Ordered> kinds;
  std::vector<Activations> every(2);
  for (int64_t w = 0; w < windows; ++w) {
    for (size_t v = 0; v < variables.size(); ++v) {
      const double value = 3 * random.Normal(w * 10 + static_cast<int64_t>(v));
      const double turned = variables[v].circular ? std::remainder(value, 6.28) : std::sin(value);
      variables[v].values.push_back(v == 1 && w % 3 == 0 ? std::nan("") : turned);
    }
    if (w < train && random.Below(w * 10 + 5, 3) == 0) code.emplace_back(w, 1 + w % 7);
    if (w >= train) continue;
    for (int64_t k = 0; k < 2; ++k) {
      every[k].emplace_back(
          w, static_cast<float>(random.Normal(w * 10 + 6 + k) + variables[2 * k].values[w]));
    }
  }
  for (const auto& of : every) kinds.emplace_back(of);
  const VariableTable table(variables, s.recording, s.view, starts, train, false, {});
  std::vector<VariableScores> scores = table.ByCode(code, {});
  const auto by_code = scores;
  table.Judge({{sae::EvidenceKind::kRate, &kinds[0]}, {sae::EvidenceKind::kCore3, &kinds[1]}},
              scores);
  for (size_t v = 0; v < variables.size(); ++v) {
    Variable on_train = variables[v];
    on_train.values.resize(train);
    const VariableSide side(on_train, TuningEdges(on_train), {});
    const RankedCode ranked_code = side.Rank(code);
    EXPECT_EQ(by_code[v].train_spearman, side.Spearman(ranked_code));
    EXPECT_EQ(by_code[v].train_information, side.Information(ranked_code, ActivationLevels(code)));
    EXPECT_EQ(by_code[v].train_tuning, side.Tuning(ranked_code));
    double best = std::abs(*by_code[v].train_spearman);
    for (const Ordered& kind : kinds) {
      const Ranked ranked = side.Rank(Graded(kind));
      if (std::abs(*side.Spearman(ranked)) <= best) continue;
      best = std::abs(*side.Spearman(ranked));
      EXPECT_TRUE(scores[v].kind.has_value());
      if (std::abs(*scores[v].train_spearman) > best) continue;  // the other is better
      EXPECT_EQ(scores[v].train_spearman, side.Spearman(ranked));
      EXPECT_EQ(scores[v].quartiles, ranked.quartiles);
      EXPECT_EQ(scores[v].train_information, side.Information(ranked, ranked.quartiles));
      EXPECT_EQ(scores[v].train_tuning, side.Tuning(ranked));
    }
    EXPECT_DOUBLE_EQ(std::abs(*scores[v].train_spearman), best);
  }
}

}  // namespace
}  // namespace saed::features
