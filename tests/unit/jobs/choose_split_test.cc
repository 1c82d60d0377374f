#include "server/jobs/choose_split.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "server/base/faults.h"
#include "server/jobs/spec.h"
#include "server/jobs/trial_table.h"

namespace saed::jobs {
namespace {

using recordings::DataView;
using recordings::IntervalTable;
using recordings::Outside;
using recordings::Recording;
using recordings::SplitKind;
using testing::HasSubstr;

// `rows` trials of 1 s, one every `period` s; side goes through `sides` values.
IntervalTable Rows(const std::string& name, int rows, double period, int sides) {
  IntervalTable out;
  out.table.name = name;
  recordings::Texts side;
  for (int i = 0; i < rows; ++i) {
    out.start.push_back(i * period);
    out.stop.push_back(i * period + 1);
    side.push_back(fmt::format("s{}", i % sides));
  }
  out.table.columns = {{"start_time", out.start}, {"stop_time", out.stop}, {"side", side}};
  return out;
}

// Of no telling name.
TEST(FindTrialTable, RowsWithoutANameMustFollowOnOneAnother) {
  Recording r;
  r.duration = 400;
  r.intervals = {Rows("ripples", 100, 4, 2)};
  EXPECT_EQ(FindTrialTable(r, 0.02, 0.04).table, nullptr);
  r.intervals = {Rows("reaches", 398, 1, 2)};
  EXPECT_EQ(FindTrialTable(r, 0.02, 0.04).table, r.intervals.data());
  EXPECT_NEAR(FindTrialTable(r, 0.02, 0.04).covered, 398.0 / 400, 1e-9);
  EXPECT_EQ(FindTrialTable(r, 0.02, 1.1).table, nullptr) << "shorter than a window";
  r.intervals = {Rows("events", 760, 0.5, 2)};  // each overlaps the next
  EXPECT_EQ(FindTrialTable(r, 0.02, 0.04).table, nullptr);
  r.intervals.push_back(Rows("Stim_presentations", 50, 8, 2));
  r.intervals.push_back(Rows("invalid_trials", 100, 4, 2));
  EXPECT_EQ(FindTrialTable(r, 0.02, 0.04).table, &r.intervals[1]);
  r.intervals.push_back(Rows("laps", 20, 16, 2));
  EXPECT_EQ(FindTrialTable(r, 0.02, 0.04).table, &r.intervals[3]);
}

// Two units that spike every 0.1 s for so many seconds.
Recording Lasting(double seconds) {
  Recording out;
  out.duration = seconds;
  out.units.resize(2);
  out.units[1].id = 1;
  for (auto& unit : out.units) {
    for (int i = 0; i < seconds * 10; ++i) unit.spike_times.push_back(0.1 * i + 0.05);
  }
  return out;
}

struct Answer {
  absl::StatusOr<recordings::ViewData> data;
  DataView view;
  std::string why;
};

Answer Choose(const Recording& r, DataView view = {}, const absl::Status& of_trials = {}) {
  if (view.split.kind == SplitKind::kChronological) view.split.kind = SplitKind::kLeftOut;
  Answer out{absl::UnknownError(""), view, ""};
  out.data = ChooseSplit(
      r, out.view, [&] { return recordings::BuildView(r, out.view); },
      [&](const recordings::ViewData&) { return of_trials; }, out.why);
  return out;
}

// As where a condition that was asked for never holds inside trials.
TEST(ChooseSplit, TimeWhereTrialsDoNotSuit) {
  Recording r = Lasting(400);
  r.intervals = {Rows("trials", 100, 4, 2)};
  const Answer a = Choose(r, {}, InvalidField("conditions[0].expression", "holds in none"));
  ASSERT_TRUE(a.data.ok()) << a.data.status();
  EXPECT_EQ(a.view.split.kind, SplitKind::kTime);
  EXPECT_THAT(a.why, HasSubstr("'trials' cannot be split by (conditions[0].expression holds in"));
}

TEST(ChooseSplit, TrialsWhereThereIsATableOfThem) {
  Recording r = Lasting(400);
  r.intervals = {Rows("sounds", 300, 1.2, 2), Rows("trials", 100, 4, 2)};
  const Answer a = Choose(r);
  ASSERT_TRUE(a.data.ok()) << a.data.status();
  EXPECT_EQ(a.view.split.kind, SplitKind::kTrials);
  EXPECT_EQ(a.view.split.trials.table, "trials");
  EXPECT_EQ(a.view.split.trials.stratify, "");
  EXPECT_EQ(a.view.split.trials.outside, Outside::kTrains);
  EXPECT_THAT(a.why, HasSubstr("33 rows of trials are held out and 67 train"));
  EXPECT_THAT(a.why, HasSubstr("1 s beside what is held out"));
}

TEST(ChooseSplit, ByTheColumnThatTheTrialsWouldSeparate) {
  Recording r = Lasting(400);
  r.intervals = {Rows("trials", 100, 4, 3)};  // every third has side s2
  const Answer a = Choose(r);
  ASSERT_TRUE(a.data.ok()) << a.data.status();
  EXPECT_EQ(a.view.split.trials.stratify, "side");
  EXPECT_THAT(a.why, HasSubstr("in each value of side, which they would separate"));
}

TEST(ChooseSplit, WhatWasHardlyRecordedIsLeftOut) {
  Recording r = Lasting(400);
  r.intervals = {Rows("trials", 100, 4, 2)};
  for (auto& unit : r.units) {
    recordings::Numbers inside;
    for (const double t : unit.spike_times) {
      if (std::fmod(t, 4) < 1) inside.push_back(t);
    }
    unit.spike_times = inside;
  }
  const Answer a = Choose(r);
  EXPECT_EQ(a.view.split.trials.outside, Outside::kLeftOut);
  // Whoever chose such a split is told.
  DataView chosen = a.view;
  EXPECT_EQ(SilenceThatTrains(r, chosen), "");
  chosen.split.trials.outside = Outside::kTrains;
  EXPECT_THAT(SilenceThatTrains(r, chosen), HasSubstr("outside the rows of trials"));
  chosen.mask_table = "trials";
  EXPECT_EQ(SilenceThatTrains(r, chosen), "");
  chosen.mask_table.clear();
  EXPECT_EQ(SilenceThatTrains(Lasting(400), chosen), "");
  Recording spiking = Lasting(400);
  spiking.intervals = r.intervals;
  EXPECT_EQ(SilenceThatTrains(spiking, chosen), "");
  EXPECT_THAT(a.why, HasSubstr("hardly spike"));
}

TEST(ChooseSplit, StretchesOfTimeElse) {
  Recording r = Lasting(400);
  const Answer none = Choose(r);
  ASSERT_TRUE(none.data.ok()) << none.data.status();
  EXPECT_EQ(none.view.split.kind, SplitKind::kTime);
  EXPECT_THAT(none.why, HasSubstr("no table looks like trials"));
  // A window that no trial holds.
  r.intervals = {Rows("trials", 100, 4, 2)};
  DataView wide;
  wide.window = 60;
  EXPECT_EQ(Choose(r, wide).view.split.kind, SplitKind::kTime);
  EXPECT_THAT(
      Choose(r, wide).why,
      HasSubstr("as half of the rows of 'trials' last 1 s or less, and a window needs 1.2 s"));
  Recording few = Lasting(400);
  few.intervals = {Rows("trials", 7, 50, 2), Rows("pokes", 100, 4, 1)};
  EXPECT_THAT(Choose(few).why, HasSubstr("as 'trials' has 7 rows, and 8 are needed"));
  few.intervals = {Rows("trials", 9, 40, 2)};
  EXPECT_EQ(Choose(few).view.split.kind, SplitKind::kTrials);
  DataView coarse;
  coarse.bin_width = 0.1;
  EXPECT_THAT(Choose(few, coarse).why,
              HasSubstr("rows of 'trials' hold 9 s of observed time, and 20 s are needed"));
  // Trials that the mask leaves out.
  r.intervals.push_back(Rows("late", 2, 100, 1));
  r.intervals[1].start = {150, 170};
  r.intervals[1].stop = {160, 199};
  r.intervals[0].stop.assign(100, 0);
  EXPECT_EQ(Choose(r).view.split.kind, SplitKind::kTime);
  DataView second;
  second.bin_width = 80;
  const Answer shortest = Choose(Lasting(400), second);
  ASSERT_TRUE(shortest.data.ok()) << shortest.data.status();
  EXPECT_EQ(shortest.view.split.kind, SplitKind::kChronological);
  EXPECT_THAT(shortest.why, HasSubstr("first 80 %"));
}

TEST(ChooseSplit, OtherFaultsAreThose) {
  Recording r = Lasting(400);
  r.intervals = {Rows("trials", 100, 4, 2)};
  DataView view;
  view.unit_ids = {7};
  const Answer a = Choose(r, view);
  EXPECT_THAT(std::string(a.data.status().message()), HasSubstr("unit_ids"));
}

TEST(ChooseSplit, WhatIsGivenStays) {
  const Recording r = Lasting(400);
  DataView view;
  view.split.kind = SplitKind::kInSample;
  const Answer a = Choose(r, view);
  EXPECT_EQ(a.view.split.kind, SplitKind::kInSample);
  EXPECT_EQ(a.why, "");
}

TEST(TrainSpec, KeepsItsSplitAndAnOlderOneIsTheFirst80Percent) {
  TrainSpec spec;
  spec.view.segments = "laps";
  spec.view.split.kind = SplitKind::kTrials;
  spec.view.split.trials = {
      "trials", "side = left",    recordings::TrialOrder::kRandom, 7, 0.25, "side", 5, 2,
      0.5,      Outside::kLeftOut};
  spec.view.split.time = {9, 0.1, {}};
  const auto again = ParseTrainSpec(ToJson(spec).dump());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(ToJson(*again), ToJson(spec));
  EXPECT_EQ(again->view.split.trials.embargo, 0.5);
  EXPECT_FALSE(again->view.split.time.embargo);
  const auto older = ParseTrainSpec(R"({"view": {"bin_width": 0.02, "split": {"table": ""}}})");
  ASSERT_TRUE(older.ok()) << older.status();
  EXPECT_EQ(older->view.split.kind, SplitKind::kChronological);
  EXPECT_EQ(older->view.split.train_fraction, 0.8);
}

}  // namespace
}  // namespace saed::jobs
