#include "server/recordings/trial_split.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>
#include <string>

#include "server/base/faults.h"
#include "server/recordings/split.h"

namespace saed::recordings {
namespace {

// A unit, and `trials` of 1 s that begin every `period` s from 1 s on; side alternates.
Recording Session(int trials, double period = 4) {
  Recording r;
  r.units.resize(1);
  r.duration = 1 + trials * period;
  r.units[0].spike_times = {0.5, 1.5};
  IntervalTable t;
  t.table.name = "trials";
  Texts side;
  Numbers number, gap;
  for (int i = 0; i < trials; ++i) {
    t.start.push_back(1 + i * period);
    t.stop.push_back(2 + i * period);
    side.emplace_back(i % 2 == 0 ? "left" : "right");
    number.push_back(i);
    gap.push_back(i % 5 == 0 ? NAN : 1);
  }
  t.table.columns = {{"start_time", t.start},
                     {"stop_time", t.stop},
                     {"side", side},
                     {"number", number},
                     {"gap", gap}};
  r.intervals.push_back(t);
  return r;
}

DataView By(const TrialSplit& trials) {
  DataView v;
  v.bin_width = 0.1;
  v.split.kind = SplitKind::kTrials;
  v.split.trials = trials;
  return v;
}

TrialSplit OfTrials() {
  TrialSplit out;
  out.table = "trials";
  return out;
}

// Numbers of the trials that are held out, by their bins.
std::vector<int> HeldOut(const ViewData& data) {
  std::set<int> out;
  for (int64_t i = 0; i < data.bins; ++i) {
    if (data.sides[i] == Side::kTest) out.insert(data.blocks[i]);
  }
  return {out.begin(), out.end()};
}

std::vector<int> HeldOut(const Recording& r, const TrialSplit& split) {
  const auto view = BuildView(r, By(split));
  EXPECT_TRUE(view.ok()) << view.status();
  return view.ok() ? HeldOut(*view) : std::vector<int>{};
}

std::string Fault(const Recording& r, const DataView& view) {
  const auto faults = FaultsOf(BuildView(r, view).status());
  return faults.size() == 1 ? faults[0].field : std::to_string(faults.size());
}

TEST(TrialSplit, InterleavedTrialsAreEvenlySpaced) {
  const Recording r = Session(12);
  TrialSplit split = OfTrials();
  EXPECT_EQ(HeldOut(r, split), (std::vector<int>{2, 5, 8, 11}));
  split.held_out = 0.5;
  EXPECT_EQ(HeldOut(r, split), (std::vector<int>{1, 3, 5, 7, 9, 11}));
  split.held_out = 0.1;
  EXPECT_EQ(HeldOut(r, split), std::vector<int>{9});
  split.held_out = 0.75;
  EXPECT_EQ(HeldOut(r, split), (std::vector<int>{1, 2, 3, 5, 6, 7, 9, 10, 11}));
}

TEST(TrialSplit, EveryThirdOfManyIsNotLostToRounding) {
  const Recording r = Session(3000, 2);
  const auto held = HeldOut(r, OfTrials());
  ASSERT_EQ(held.size(), 1000u);
  for (size_t i = 0; i < held.size(); ++i) ASSERT_EQ(held[i], static_cast<int>(3 * i + 2));
}

// np.argsort(np.random.default_rng(7).random(12), kind="stable")[[2, 5, 8, 11]]
TEST(TrialSplit, RandomOrderIsNumpys) {
  TrialSplit split = OfTrials();
  split.order = TrialOrder::kRandom;
  split.seed = 7;
  EXPECT_EQ(HeldOut(Session(12), split), (std::vector<int>{1, 8, 9, 11}));
}

TEST(TrialSplit, BlocksAreRunsFromAllOfTheSession) {
  TrialSplit split = OfTrials();
  split.order = TrialOrder::kBlocks;
  split.held_out = 0.2;
  EXPECT_EQ(HeldOut(Session(50), split), (std::vector<int>{8, 9, 18, 19, 28, 29, 38, 39, 48, 49}));
  // Two stretches give a trial each.
  EXPECT_EQ(HeldOut(Session(12), split), (std::vector<int>{5, 11}));
  // One trial of each stretch trains, whatever the fraction.
  split.held_out = 0.9;
  EXPECT_EQ(HeldOut(Session(10), split), (std::vector<int>{1, 3, 5, 7, 9}));
  split.held_out = 0;
  split.folds = 5;
  split.fold = 0;
  EXPECT_EQ(HeldOut(Session(50), split), (std::vector<int>{0, 1, 10, 11, 20, 21, 30, 31, 40, 41}));
}

TEST(TrialSplit, FoldsHoldOutEveryTrialOnce) {
  const Recording r = Session(23);
  for (const TrialOrder order :
       {TrialOrder::kInterleaved, TrialOrder::kRandom, TrialOrder::kBlocks}) {
    TrialSplit split = OfTrials();
    split.order = order;
    split.folds = 5;
    std::vector<int> all;
    for (split.fold = 0; split.fold < 5; ++split.fold) {
      const auto held = HeldOut(r, split);
      EXPECT_GE(held.size(), 4u);
      EXPECT_LE(held.size(), 5u);
      all.insert(all.end(), held.begin(), held.end());
    }
    std::sort(all.begin(), all.end());
    ASSERT_EQ(all.size(), 23u);
    for (int i = 0; i < 23; ++i) EXPECT_EQ(all[i], i);
  }
}

TEST(TrialSplit, StrataKeepTheirFraction) {
  const Recording r = Session(20);
  TrialSplit split = OfTrials();
  split.held_out = 0.5;
  split.stratify = "side";  // which alternates: without strata all of one side would be held out
  const auto held = HeldOut(r, split);
  EXPECT_EQ(held.size(), 10u);
  EXPECT_EQ(std::count_if(held.begin(), held.end(), [](int i) { return i % 2 == 0; }), 5);
  // Missing values are a stratum: trials 0, 5, 10 and 15, which come first.
  split.stratify = "gap";
  const auto missing = HeldOut(r, split);
  EXPECT_EQ(missing.size(), 10u);
  EXPECT_EQ(std::count_if(missing.begin(), missing.end(), [](int i) { return i % 5 == 0; }), 2);
  split.order = TrialOrder::kRandom;
  split.stratify = "side";
  const auto random = HeldOut(r, split);
  EXPECT_EQ(std::count_if(random.begin(), random.end(), [](int i) { return i % 2 == 0; }), 5);
}

TEST(TrialSplit, TheOutsideTrainsButIsNotScored) {
  const Recording r = Session(6);  // at 1, 5, 9, … s; 2 and 5 are held out
  DataView view = By(OfTrials());
  view.window = 3;
  const auto v = BuildView(r, view);
  ASSERT_TRUE(v.ok()) << v.status();
  EXPECT_EQ(v->embargo, 10) << "1 s, as the gaps of 3 s have room for it";
  EXPECT_EQ(v->train.front(), 0);
  EXPECT_EQ(v->scored->front(), 10);
  EXPECT_EQ(v->scored->size(), 4u * 8);
  EXPECT_EQ(v->test.size(), 2u * 8);
  EXPECT_EQ(&v->scored_train(), &*v->scored);
  // Trial 2 is at 9 to 10 s; bins 80 to 89 and 100 to 109 are its embargo.
  EXPECT_EQ(v->sides[79], Side::kTrain);
  EXPECT_EQ(v->sides[80], Side::kNone);
  EXPECT_EQ(v->sides[90], Side::kTest);
  EXPECT_EQ(v->sides[109], Side::kNone);
  EXPECT_EQ(v->sides[110], Side::kTrain);
  view.split.trials.outside = Outside::kLeftOut;
  const auto inside = BuildView(r, view);
  EXPECT_EQ(inside->train, inside->scored_train());
  EXPECT_EQ(inside->scored_train(), v->scored_train());
  EXPECT_EQ(inside->test, v->test);
  EXPECT_EQ(inside->embargo, 2) << "the window without a bin";
  view.split = {};
  EXPECT_FALSE(BuildView(r, view)->scored);
}

TEST(TrialSplit, AUsualEmbargoLeavesTrialsThatTouch) {
  const Recording r = Session(9, 1);
  DataView view = By(OfTrials());
  view.window = 2;
  const auto v = BuildView(r, view);
  ASSERT_TRUE(v.ok()) << v.status();
  EXPECT_EQ(v->embargo, 1);
  view.split.trials.embargo = 0;
  EXPECT_EQ(BuildView(r, view)->embargo, 0);
  view.split.trials.embargo = 2;
  EXPECT_EQ(Fault(r, view), "split.trials.embargo") << "no trial lies further from a held-out one";
  view.split.trials.embargo = 1e300;
  EXPECT_EQ(Fault(r, view), "split.trials.embargo");
}

TEST(TrialSplit, RowsThatShareBinsAreOneTrial) {
  Recording r = Session(6);
  r.intervals[0].stop[0] = 5.55;   // into the second
  r.intervals[0].stop[2] = 13.05;  // half a bin into the fourth: no bin is in both
  TrialSplit split = OfTrials();
  split.held_out = 0.5;
  const auto v = BuildView(r, By(split));
  ASSERT_TRUE(v.ok()) << v.status();
  EXPECT_EQ(v->blocks[10], 0);
  EXPECT_EQ(v->blocks[59], 0);
  EXPECT_EQ(v->blocks[90], 1);
  EXPECT_EQ(v->blocks[130], 2);
  EXPECT_EQ(HeldOut(*v), (std::vector<int>{1, 3}));
}

TEST(TrialSplit, RowsWithoutAWindowAreNoTrials) {
  Recording r = Session(8);
  r.intervals[0].stop[3] = r.intervals[0].start[3];
  r.observed = Spans{{0, 5.5}, {9, 1 + 8 * 4}};  // of the second half is seen
  DataView view = By(OfTrials());
  view.window = 6;
  view.split.trials.held_out = 0.5;
  const auto v = BuildView(r, view);
  ASSERT_TRUE(v.ok()) << v.status();
  EXPECT_EQ(v->blocks[10], 0);
  EXPECT_EQ(v->blocks[51], -1);
  EXPECT_EQ(v->blocks[91], 1);
  EXPECT_EQ(*std::max_element(v->blocks.begin(), v->blocks.end()), 5);
  view.window = 5;
  EXPECT_EQ(BuildView(r, view)->blocks[51], 1);
}

TEST(TrialSplit, NamesWhatIsWrong) {
  const Recording r = Session(6);
  const auto fault = [&](const std::function<void(TrialSplit&)>& change) {
    DataView view = By(OfTrials());
    change(view.split.trials);
    return Fault(r, view);
  };
  EXPECT_EQ(fault([](auto& s) { s.table = ""; }), "split.trials.table");
  EXPECT_EQ(fault([](auto& s) { s.table = "laps"; }), "split.trials.table");
  EXPECT_EQ(fault([](auto& s) { s.filter = "side ="; }), "split.trials.filter");
  EXPECT_EQ(fault([](auto& s) { s.filter = "side = up"; }), "split.trials.table");
  EXPECT_EQ(fault([](auto& s) { s.filter = "number = 3"; }), "split.trials.table");
  EXPECT_EQ(fault([](auto& s) { s.stratify = "colour"; }), "split.trials.stratify");
  for (const double f : {-0.1, 1.0, 2.0, static_cast<double>(NAN), HUGE_VAL}) {
    EXPECT_EQ(fault([&](auto& s) { s.held_out = f; }), "split.trials.held_out") << f;
  }
  EXPECT_EQ(fault([](auto& s) { s.held_out = 0.01; }), "split.trials.held_out");
  for (const double e : {-1.0, static_cast<double>(NAN), HUGE_VAL}) {
    EXPECT_EQ(fault([&](auto& s) { s.embargo = e; }), "split.trials.embargo") << e;
  }
  EXPECT_EQ(fault([](auto& s) { s.folds = 1; }), "split.trials.folds");
  EXPECT_EQ(fault([](auto& s) { s.folds = -3; }), "split.trials.folds");
  EXPECT_EQ(fault([](auto& s) { s.folds = 7; }), "split.trials.folds");
  EXPECT_EQ(fault([](auto& s) { s.fold = 1; }), "split.trials.fold");
  EXPECT_EQ(fault([](auto& s) { s.folds = 3, s.fold = 3; }), "split.trials.fold");
  EXPECT_EQ(fault([](auto& s) { s.folds = 3, s.fold = -1; }), "split.trials.fold");
  EXPECT_EQ(fault([](auto& s) { s.folds = 3, s.held_out = 0.2; }), "split.trials.held_out");
  EXPECT_EQ(fault([](auto& s) { s.order = TrialOrder::kBlocks, s.stratify = "side"; }),
            "split.trials.stratify");
  Recording empty = r;
  empty.intervals[0] = Session(0).intervals[0];
  EXPECT_EQ(Fault(empty, By(OfTrials())), "split.trials.table");
  EXPECT_EQ(Fault(Session(1), By(OfTrials())), "split.trials.table");
  EXPECT_EQ(Fault(Session(2), By(OfTrials())), "split.trials.held_out") << "a third of two";
  Recording far = r;
  far.intervals[0].start.assign(6, -1e300);
  far.intervals[0].stop.assign(6, 1e300);
  EXPECT_EQ(Fault(far, By(OfTrials())), "split.trials.table") << "all one trial";
}

// Over many sessions: no training window touches a held-out trial or its embargo, held-out windows
// and the scored training windows lie inside trials of their own side.
TEST(TrialSplit, NothingThatTrainsTouchesWhatIsHeldOut) {
  uint64_t state = 1;
  const auto draw = [&](int below) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return static_cast<int>((state >> 33) % below);
  };
  int built = 0;
  for (int round = 0; round < 300; ++round) {
    Recording r = Session(5 + draw(40), 0.3 + 0.17 * draw(12));
    for (size_t i = 0; i < r.intervals[0].rows(); ++i) {
      r.intervals[0].stop[i] = r.intervals[0].start[i] + 0.031 * draw(60);
    }
    TrialSplit split = OfTrials();
    split.order = static_cast<TrialOrder>(draw(3));
    split.seed = draw(100);
    if (draw(2)) split.folds = 2 + draw(4), split.fold = draw(split.folds);
    if (split.folds == 0) split.held_out = 0.1 * draw(8);
    if (draw(2) && split.order != TrialOrder::kBlocks) split.stratify = "side";
    if (draw(2)) split.embargo = 0.07 * draw(10);
    split.outside = draw(2) ? Outside::kTrains : Outside::kLeftOut;
    DataView view = By(split);
    view.window = 1 + draw(5);
    view.stride = 1 + draw(3);
    const auto v = BuildView(r, view);
    if (!v.ok()) continue;
    ++built;
    const auto trials =
        *TrialsOf(r, split, *v, std::vector<uint8_t>(static_cast<size_t>(v->bins), 1));
    const auto held = *DealTrials(r, split, trials);
    const double embargo = split.embargo.value_or(UsualEmbargo(split, trials, *v));
    const auto inside = [&](int64_t start, bool side) {
      for (size_t t = 0; t < trials.size(); ++t) {
        // Touching trials of one side may share a window.
        if (v->blocks[start] == static_cast<int32_t>(t)) return held[t] == side;
      }
      return false;
    };
    for (const int64_t start : v->train) {
      const double from = v->bin_start(start), to = v->bin_start(start + v->window);
      for (size_t t = 0; t < trials.size(); ++t) {
        if (!held[t]) continue;
        ASSERT_TRUE(to <= trials[t].start - embargo + 1e-6 ||
                    from >= trials[t].stop + embargo - 1e-6)
            << round;
      }
    }
    for (const int64_t start : v->test) ASSERT_TRUE(inside(start, true));
    for (const int64_t start : v->scored_train()) ASSERT_TRUE(inside(start, false));
    ASSERT_TRUE(
        std::includes(v->train.begin(), v->train.end(), v->scored->begin(), v->scored->end()));
  }
  EXPECT_GT(built, 150);
}

TEST(TakeValidation, TakesWholeTrials) {
  const Recording r = Session(60);
  DataView view = By(OfTrials());
  view.window = 3;
  auto data = BuildView(r, view);
  ASSERT_TRUE(data.ok());
  const auto scored = data->scored_train().size();
  const auto validation = TakeValidation(0.25, NormaliserKind::kNone, *data);
  ASSERT_TRUE(validation.ok()) << validation.status();
  EXPECT_EQ(validation->size(), 10u * 8) << "a quarter of 40 trials that train";
  EXPECT_EQ(data->scored->size(), scored - 10 * 8);
  for (const int64_t v : *validation) {
    EXPECT_GE(data->blocks[v], 0);
    for (const int64_t t : data->train) ASSERT_GE(std::abs(v - t), 3 + data->embargo);
  }
}

}  // namespace
}  // namespace saed::recordings
