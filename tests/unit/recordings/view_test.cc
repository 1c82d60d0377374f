#include "server/recordings/view.h"

#include <gtest/gtest.h>

#include "server/base/faults.h"
#include "server/recordings/csv.h"

namespace saed::recordings {
namespace {

// Two units; trials 0-4 of 1 s with a gap between 2 s and 2.5 s.
Recording Small() {
  Recording r;
  r.units.resize(2);
  r.units[0] = {10, "good", "", 0, {0.05, 0.1, 0.15, 1.0, 3.95}};
  r.units[1] = {11, "mua", "", 0, {0.3}};
  r.intervals.push_back(*ParseIntervalsCsv(
      "trials", "start_time,stop_time,block,kind\n0,1,0,a\n1,2,1,b\n2.5,3,2,a\n3,4,3,b\n"));
  r.duration = 4;
  return r;
}

DataView Bins(double width) {
  DataView v;
  v.bin_width = width;
  return v;
}

std::vector<std::string> Fields(const absl::Status& s) {
  std::vector<std::string> out;
  for (const auto& f : FaultsOf(s)) out.push_back(f.field);
  return out;
}

using Names = std::vector<std::string>;

TEST(View, HalfOpenBinsKeepSilentUnitsAndDropThePartialBin) {
  Recording r = Small();
  r.duration = 3.999;
  const auto v = BuildView(r, Bins(0.1));
  ASSERT_TRUE(v.ok()) << v.status();
  EXPECT_EQ(v->bins, 39);
  EXPECT_EQ(v->bytes[0 * 2], 1);   // 0.05
  EXPECT_EQ(v->bytes[1 * 2], 2);   // 0.1 opens its bin
  EXPECT_EQ(v->bytes[10 * 2], 1);  // 1.0
  EXPECT_EQ(v->bytes[3 * 2 + 1], 1);
}

TEST(View, WholeSamplesAreBinnedExactly) {
  Recording r;
  r.sampling_rate = 30000;
  r.duration = 10;
  r.units.resize(1);
  for (int64_t s = 0; s < 300000; s += 600) {
    r.units[0].spike_times.push_back(static_cast<double>(s) / 30000);
  }
  const auto v = BuildView(r, Bins(0.02));
  ASSERT_TRUE(v.ok());
  for (uint8_t c : v->bytes) ASSERT_EQ(c, 1);
}

TEST(View, WindowsNeverCrossAMaskEdgeOrASplit) {
  const Recording r = Small();
  DataView view = Bins(0.1);
  view.window = 4;
  view.mask_table = "trials";
  view.split = {SplitKind::kColumn, 0, "trials", "block", {"0-1"}, {"2..3"}};
  EXPECT_EQ(Fields(BuildView(r, view).status()), Names{"split.test_values"});
  view.split.test_values = {"2-3"};
  const auto v = BuildView(r, view);
  ASSERT_TRUE(v.ok()) << v.status();
  // Bins 0-19 train, 25-39 test; trials that touch are one run.
  EXPECT_EQ(v->train.size(), 17u);
  EXPECT_EQ(v->test.size(), 12u);
  EXPECT_EQ(v->test.front(), 25);
  EXPECT_EQ(v->test.back(), 36);
  view.stride = 3;
  EXPECT_EQ(BuildView(r, view)->train, (std::vector<int64_t>{0, 3, 6, 9, 12, 15}));
  view.mask_filter = "kind = a";
  EXPECT_EQ(BuildView(r, view)->train, (std::vector<int64_t>{0, 3, 6}));
}

TEST(View, ChronologicalSplitAndNormaliserOfTrainingRowsOnly) {
  const Recording r = Small();
  DataView view = Bins(0.1);
  view.split.train_fraction = 0.5;
  view.normaliser = NormaliserKind::kZscore;
  const auto v = BuildView(r, view);
  ASSERT_TRUE(v.ok());
  EXPECT_EQ(v->train.size(), 20u);
  const double mean = 4.0 / 20, var = (1 + 4 + 1) / 20.0 - mean * mean;
  EXPECT_NEAR(v->offset[0], mean, 1e-6);
  EXPECT_NEAR(v->scale[0], std::sqrt(var), 1e-6);
  EXPECT_TRUE(v->negative_target);
  view.normaliser = NormaliserKind::kMinmax;
  EXPECT_FLOAT_EQ(BuildView(r, view)->scale[0], 2);
  EXPECT_FALSE(BuildView(r, view)->negative_target);
}

TEST(View, UnitFilters) {
  const Recording r = Small();
  DataView view = Bins(0.1);
  view.unit_labels = {"good"};
  EXPECT_EQ(BuildView(r, view)->units, std::vector<int>{0});
  view.unit_labels = {};
  view.minimum_rate = 1;
  EXPECT_EQ(BuildView(r, view)->units, std::vector<int>{0});
  view.minimum_rate = 100;
  EXPECT_EQ(Fields(BuildView(r, view).status()), Names{"unit_labels"});
  view.minimum_rate = 0;
  view.unit_ids = {10, 99};
  EXPECT_EQ(Fields(BuildView(r, view).status()), Names{"unit_ids"});
}

TEST(View, NamesWhatIsWrong) {
  const Recording r = Small();
  for (const double width : {0.0, -1.0, static_cast<double>(NAN), 10.0}) {
    EXPECT_EQ(Fields(BuildView(r, Bins(width)).status()), Names{"bin_width"}) << width;
  }
  DataView view = Bins(0.1);
  view.window = 50;
  EXPECT_EQ(Fields(BuildView(r, view).status()), Names{"window"});
  view = Bins(0.1);
  view.mask_table = "nothing";
  view.split = {SplitKind::kColumn, 0, "trials", "colour", {"0"}, {"1"}};
  EXPECT_EQ(Fields(BuildView(r, view).status()), (Names{"mask.table", "split.column"}));
  view.mask_table = "trials";
  view.mask_filter = "kind = ";
  view.split.column = "block";
  EXPECT_EQ(Fields(BuildView(r, view).status()), Names{"mask.filter"});
  view.mask_filter = "";
  view.split.test_values = {"7"};
  EXPECT_EQ(Fields(BuildView(r, view).status()), Names{"split.test_values"});
  view.split.test_values = {"0-3"};
  EXPECT_EQ(Fields(BuildView(r, view).status()), Names{"split.test_values"});
}

TEST(View, CountMatrixRebinsByWholeFactors) {
  Recording r;
  r.units.resize(2);
  r.units[1].id = 1;
  r.counts = {0.01, DType::kU8, 6, {200, 1, 100, 0, 3, 0, 4, 0, 5, 0, 6, 9}};
  r.duration = 0.06;
  DataView view = Bins(0.02);
  view.split.train_fraction = 0.5;
  const auto v = BuildView(r, view);
  ASSERT_TRUE(v.ok()) << v.status();
  EXPECT_EQ(v->dtype, DType::kU16);
  const auto* counts = static_cast<const uint16_t*>(v->counts().data);
  EXPECT_EQ(counts[0], 300);
  EXPECT_EQ(counts[5], 9);
  EXPECT_EQ(Fields(BuildView(r, Bins(0.015)).status()), Names{"bin_width"});
}

}  // namespace
}  // namespace saed::recordings
