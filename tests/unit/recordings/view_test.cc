#include "server/recordings/view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "server/base/faults.h"
#include "server/recordings/binning.h"
#include "server/recordings/count_file.h"
#include "server/recordings/import.h"
#include "server/recordings/readers/time_tables.h"
#include "server/recordings/split.h"
#include "server/recordings/store_format.h"
#include "tests/tools/temp_dir.h"

namespace saed::recordings {
namespace {

// Two units; trials 0-4 of 1 s with a gap between 2 s and 2.5 s.
Recording Small() {
  Recording r;
  r.units.resize(2);
  r.units[0] = {10, "good", "", 0, {0.05, 0.1, 0.15, 1.0, 3.95}};
  r.units[1] = {11, "mua", "", 0, {0.3}};
  Notes notes;
  r.intervals.push_back(*ParseIntervalsCsv(
      "trials", "start_time,stop_time,block,kind\n0,1,0,a\n1,2,1,b\n2.5,3,2,a\n3,4,3,b\n", notes));
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

std::string Message(const absl::Status& s) { return std::string(s.message()); }

using Names = std::vector<std::string>;
using ::testing::HasSubstr;

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

TEST(View, WindowsLieInsideOneSegment) {
  const Recording r = Small();
  DataView view = Bins(0.1);
  view.window = 4;
  view.segments = "trials";
  view.split = {SplitKind::kColumn, 0, "trials", "block", {"even"}, {"1-3/2"}};
  auto v = BuildView(r, view);
  ASSERT_TRUE(v.ok()) << v.status();
  EXPECT_EQ(v->train.size(), 7u + 2);
  view.split.train_values = {"0-1"};
  view.split.test_values = {"2-3"};
  v = BuildView(r, view);
  EXPECT_EQ(v->train, (std::vector<int64_t>{0, 1, 2, 3, 4, 5, 6, 10, 11, 12, 13, 14, 15, 16}));
  EXPECT_EQ(v->test.size(), 2u + 7);
  EXPECT_EQ(v->segments[24], -1);
  view.split = {};
  v = BuildView(r, view);  // 35 bins are in a segment; the gap's five are on no side
  EXPECT_EQ(std::count(v->sides.begin(), v->sides.end(), Side::kNone), 5);
  view.segments = "laps";
  EXPECT_EQ(Fields(BuildView(r, view).status()), Names{"segments"});
  view.segments = "trials";
  view.mask_table = "trials";
  view.mask_filter = "block > 7";
  EXPECT_EQ(Fields(BuildView(r, view).status()), Names{"mask.filter"});
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
  EXPECT_EQ(Fields(BuildView(r, view).status()), Names{"minimum_rate"});
  view.unit_labels = {"good"};
  EXPECT_EQ(Fields(BuildView(r, view).status()), Names{"minimum_rate"}) << "a label has a unit";
  EXPECT_THAT(Message(BuildView(r, view).status()),
              HasSubstr("100 Hz and leaves none of the 1 units that are chosen otherwise; the "
                        "highest rate among them is"));
  view.unit_labels = {"best"};
  EXPECT_EQ(Fields(BuildView(r, view).status()), Names{"unit_labels"});
  view.unit_labels = {};
  view.minimum_rate = 0;
  view.unit_ids = {10, 99};
  EXPECT_EQ(Fields(BuildView(r, view).status()), Names{"unit_ids"});
}

TEST(View, ManyUnitsThatAreNotThereAreOneFault) {
  DataView view = Bins(0.1);
  view.unit_ids = {10};
  for (int64_t id = 100; id < 130; ++id) view.unit_ids.push_back(id);
  for (const bool one_is_there : {true, false}) {
    if (!one_is_there) view.unit_ids.erase(view.unit_ids.begin());
    const absl::Status status = BuildView(Small(), view).status();
    EXPECT_EQ(Fields(status), Names{"unit_ids"});
    EXPECT_THAT(Message(status), HasSubstr(one_is_there ? "30 of 31 units" : "30 of 30 units"));
    EXPECT_THAT(Message(status), HasSubstr("100, 101, 102, 103, 104 and 25 more"));
  }
}

TEST(View, AMaskThatHoldsNothingIsToBlame) {
  DataView view = Bins(0.1);
  view.mask_table = "trials";
  view.mask_filter = "kind = c";
  const absl::Status status = BuildView(Small(), view).status();
  EXPECT_EQ(Fields(status), Names{"mask.filter"});
  EXPECT_THAT(Message(status),
              HasSubstr("'kind = c', which no row of 'trials' matches; kind has 'a', 'b'"));
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

TEST(View, CountsOver255AreStoredWide) {
  Recording r = Small();
  r.units[1].spike_times.assign(300, 1.05);
  r.units[1].spike_times.push_back(3.95);
  const auto v = BuildView(r, Bins(0.1));
  ASSERT_TRUE(v.ok()) << v.status();
  EXPECT_EQ(v->dtype, DType::kU16);
  const auto* counts = static_cast<const uint16_t*>(v->counts().data);
  EXPECT_EQ(counts[10 * 2 + 1], 300);
  EXPECT_EQ(counts[39 * 2 + 1], 1);
  EXPECT_EQ(counts[10 * 2], 1);  // the other unit's, counted again with it
}

// 280 MB of counts: binned piece by piece into a file, and there again after its pages were let go.
TEST(View, LargeCountsLieInAFile) {
  constexpr int kUnits = 20;
  constexpr int64_t kBins = 14'000'000;
  Recording r;
  r.units.resize(kUnits);
  r.duration = static_cast<double>(kBins) * 0.01;
  std::vector<int64_t> bins;
  for (int64_t piece = 838'860, at = piece; at < kBins; at += piece) {
    bins.insert(bins.end(), {at - 1, at, at + 1});  // around the pieces' borders
  }
  bins.push_back(kBins - 1);
  for (int n = 0; n < kUnits; ++n) {
    r.units[n].id = n;
    if (n % 2 == 1) continue;
    for (int64_t bin : bins) {
      r.units[n].spike_times.push_back((static_cast<double>(bin) + 0.5) * 0.01);
    }
  }
  DataView view = Bins(0.01);
  view.stride = 100'000;
  const auto v = BuildView(r, view);
  ASSERT_TRUE(v.ok()) << v.status();
  ASSERT_EQ(v->bins, kBins);
  ASSERT_NE(v->file, nullptr);
  EXPECT_TRUE(v->bytes.empty());
  for (int round = 0; round < 2; ++round) {
    const auto* counts = static_cast<const uint8_t*>(v->counts().data);
    int64_t sum = 0;
    for (int64_t i = 0; i < kBins * kUnits; ++i) sum += counts[i];
    EXPECT_EQ(sum, static_cast<int64_t>(bins.size()) * kUnits / 2);
    for (int64_t bin : bins) {
      for (int n = 0; n < kUnits; ++n) ASSERT_EQ(counts[bin * kUnits + n], n % 2 == 0) << bin;
    }
    v->Release();
  }
}

// 300 MB of counts that came as such: they are never copied into memory, and a view that shows them
// as they are shows the stored file.
TEST(View, ALargeCountMatrixStaysInItsFile) {
  constexpr int64_t kUnits = 1000, kBins = 300'000;
  const test_tools::TempDir dir;
  std::string npy("\x93NUMPY\x01\x00", 8);
  std::string header = "{'descr': '|u1', 'fortran_order': False, 'shape': (300000, 1000), }";
  header.resize(117, ' ');
  npy += std::string("\x76\x00", 2) + header + "\n";
  const std::string path = dir.Write("counts.npy", npy);
  std::filesystem::resize_file(path, npy.size() + kUnits * kBins);
  const auto at = [](int64_t bin, int64_t unit) { return bin * kUnits + unit; };
  {
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    for (const int64_t bin : {int64_t{0}, int64_t{16'777}, kBins - 1}) {
      file.seekp(static_cast<std::streamoff>(npy.size()) + at(bin, bin % kUnits));
      file.put(static_cast<char>(200));
    }
  }
  const auto imported = Import({"counts", 0, 0.02}, {{Role::kMain, "counts.npy", path}});
  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_NE(imported->recording.counts.file, nullptr);
  EXPECT_TRUE(imported->recording.counts.bytes.empty());
  ASSERT_TRUE(SerialiseTo(dir / "stored", imported->recording).ok());
  const auto stored = ParseFile(dir / "stored");
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_EQ(stored->units.size(), static_cast<size_t>(kUnits));
  EXPECT_DOUBLE_EQ(stored->duration, 6000);

  DataView view = Bins(0.02);
  view.normaliser = NormaliserKind::kMinmax;
  const auto whole = BuildView(*stored, view);
  ASSERT_TRUE(whole.ok()) << whole.status();
  EXPECT_EQ(whole->file, stored->counts.file);
  const auto value = [](const ViewData& v, int64_t bin, int64_t unit) {
    return ValueAt(v.counts(), bin * static_cast<int64_t>(v.units.size()) + unit);
  };
  EXPECT_EQ(value(*whole, 16'777, 777), 200);
  EXPECT_EQ(value(*whole, kBins - 1, 999), 200);
  EXPECT_EQ(value(*whole, 16'777, 776), 0);
  EXPECT_EQ(whole->scale[777], 200);
  EXPECT_EQ(whole->scale[776], 1);
  whole->Release();
  EXPECT_EQ(value(*whole, 0, 0), 200);

  view.start_time = 2;
  const auto later = BuildView(*stored, view);
  ASSERT_TRUE(later.ok()) << later.status();
  EXPECT_EQ(later->file, stored->counts.file);
  EXPECT_EQ(value(*later, 16'677, 777), 200);
  view.bin_width = 0.04;
  view.unit_ids = {0, 777};
  const auto other = BuildView(*stored, view);
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_EQ(other->file, nullptr) << "two units fit the memory";
  EXPECT_EQ(value(*other, 16'677 / 2, 1), 200);
  EXPECT_EQ(value(*other, 0, 0), 0);

  std::filesystem::resize_file(dir / "stored", std::filesystem::file_size(dir / "stored") - 1);
  EXPECT_EQ(ParseFile(dir / "stored").status().code(), absl::StatusCode::kDataLoss);
}

TEST(StoreFormat, AFileHoldsTheSameBytes) {
  const test_tools::TempDir dir;
  Recording r = Small();
  for (const bool counts : {false, true}) {
    if (counts) r.counts = {0.5, DType::kU16, 2, {1, 0, 2, 0, 3, 0, 4, 0}, nullptr};
    ASSERT_TRUE(SerialiseTo(dir / "stored", r).ok());
    const auto bytes = ReadFile(dir / "stored");
    ASSERT_TRUE(bytes.ok());
    EXPECT_EQ(*bytes, Serialise(r));
    const auto again = ParseFile(dir / "stored");
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(Serialise(*again), *bytes);
    dir.Write("stored", bytes->substr(0, bytes->size() - 1));
    EXPECT_EQ(ParseFile(dir / "stored").status().code(), absl::StatusCode::kDataLoss);
  }
  EXPECT_EQ(SerialiseTo(dir / "missing/stored", r).code(), absl::StatusCode::kResourceExhausted);
}

TEST(CountFile, OpensAFileBehindItsHeaderAndRefusesAShorterOne) {
  const test_tools::TempDir dir;
  const std::string path = dir.Write("counts", "header\x01\x02");
  const auto file = CountFile::Open(path, 6);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ((*file)->size(), 2u);
  EXPECT_EQ((*file)->data()[1], 2);
  EXPECT_EQ(CountFile::Open(path, 8).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(CountFile::Create(dir / "missing", 10).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(CountFile::Create(dir.path(), size_t{1} << 55).status().code(),
            absl::StatusCode::kResourceExhausted);
  // What was created has no name that could be left behind.
  ASSERT_TRUE(CountFile::Create(dir.path(), 10).ok());
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir.path()), {}), 1);
}

TEST(CountFile, GivesBackWhatIsTooMuch) {
  const test_tools::TempDir dir;
  constexpr size_t kBytes = kResidentFiles + (size_t{64} << 20), kPage = 4096;
  const auto file = CountFile::Create(dir.path(), kBytes);
  ASSERT_TRUE(file.ok()) << file.status();
  int64_t sum = 0;
  for (size_t at = 0; at < kBytes; at += kPage) sum += (*file)->data()[at];
  EXPECT_EQ(sum, 0);
  ReleaseWhatIsTooMuch();
  std::ifstream statm("/proc/self/statm");
  size_t all = 0, resident = 0, shared = 0;
  statm >> all >> resident >> shared;
  EXPECT_LT(shared * kPage, kResidentFiles);
}

// Six bins of two units.
Recording SmallCounts() {
  Recording r;
  r.units.resize(2);
  r.units[1].id = 1;
  r.counts = {0.01, DType::kU8, 6, {200, 1, 100, 0, 3, 0, 4, 0, 5, 0, 6, 9}, nullptr};
  r.duration = 0.06;
  return r;
}

// Mapped counts at an odd place of their file, where numbers of two and four bytes lie askew.
template <class T>
CountMatrix Mapped(const test_tools::TempDir& dir, DType dtype, const std::vector<T>& values,
                   int64_t bins) {
  std::string text = "!";
  text.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
  const auto file = CountFile::Open(dir.Write("mapped", text), 1);
  EXPECT_TRUE(file.ok()) << file.status();
  return {0.01, dtype, bins, {}, file.ok() ? *file : nullptr};
}

TEST(Recording, TellsTheTimesOfSpikesAndOfBinsThatHoldSome) {
  const auto bins = [](double a, double b) {
    return testing::ElementsAre(testing::DoubleNear(a, 1e-12), testing::DoubleNear(b, 1e-12));
  };
  const test_tools::TempDir dir;
  Recording r = SmallCounts();
  EXPECT_THAT(SpikeTimesIn(r, 1, -1e300, 1e300, 9), bins(0.005, 0.055));
  r.counts = Mapped<uint16_t>(dir, DType::kU16, {0, 1, 300, 0, 2, 0, 0, 0, 1, 7, 0, 0}, 6);
  EXPECT_THAT(SpikeTimesIn(r, 0, 0.01, 0.04, 9), bins(0.015, 0.025));
  EXPECT_THAT(SpikeTimesIn(r, 0, 0, 0.06, 2), bins(0.015, 0.025));
  // Before the first bin and behind the last.
  EXPECT_THAT(SpikeTimesIn(r, 1, -1, 0.01, 9), testing::ElementsAre(0.005));
  EXPECT_THAT(SpikeTimesIn(r, 1, 0.03, 1e300, 9),
              testing::ElementsAre(testing::DoubleNear(0.045, 1e-12)));
  EXPECT_TRUE(SpikeTimesIn(r, 1, 0.06, 1, 9).empty());
  EXPECT_TRUE(SpikeTimesIn(r, 1, -1, 0, 9).empty());
  r.counts = Mapped<float>(dir, DType::kF32, {0, 1.5f, 0, 0, 2, 0, 0, 0.25f, 1, 7, 0, 0}, 6);
  EXPECT_THAT(SpikeTimesIn(r, 1, 0, 0.04, 9), bins(0.005, 0.035));
  r.counts = {};
  r.units[0].spike_times = {0.1, 0.2, 0.3, 0.4};
  EXPECT_EQ(SpikeTimesIn(r, 0, 0.2, 0.4, 9), (std::vector<double>{0.2, 0.3}));
  EXPECT_EQ(SpikeTimesIn(r, 0, 0, 1, 1), (std::vector<double>{0.1}));
  EXPECT_TRUE(SpikeTimesIn(r, 1, 0, 1, 9).empty());
}

TEST(View, CountMatrixRebinsByWholeFactors) {
  const Recording r = SmallCounts();
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

TEST(View, AWidthThatIsNearlyAMultipleStaysWithinTheCounts) {
  Recording r = SmallCounts();
  r.counts.bins = 2'000'000;
  r.counts.bytes.assign(4'000'000, 1);
  r.duration = 0.01 * 2'000'000;
  const auto v = BuildView(r, Bins(0.01 * (1 - 9e-7)));
  ASSERT_TRUE(v.ok()) << v.status();
  EXPECT_EQ(v->bins, 2'000'000);
}

TEST(View, ASplitByAColumnWithMissingCellsEnds) {
  Recording r = Small();
  auto& blocks = std::get<Numbers>(r.intervals[0].table.columns[2].values);
  ASSERT_EQ(r.intervals[0].table.columns[2].name, "block");
  blocks[1] = NAN;
  DataView view = Bins(0.05);
  view.split.kind = SplitKind::kColumn;
  view.split.table = "trials";
  view.split.column = "block";
  view.split.train_values = {"0"};
  view.split.test_values = {"2", "3"};
  const auto v = BuildView(r, view);
  ASSERT_TRUE(v.ok()) << v.status();
  EXPECT_FALSE(v->test.empty());
}

TEST(View, RowsFarOutsideTheRecordingHaveNoBins) {
  Recording r = Small();
  r.intervals[0].start = {1.7e18, 0, 2.5, 3};
  r.intervals[0].stop = {1.8e18, 1, 3, 4};
  DataView view = Bins(0.05);
  view.mask_table = "trials";
  view.mask_filter = "block = 0";
  EXPECT_FALSE(BuildView(r, view).ok()) << "its only row is outside";
}

TEST(View, RatesOfACountMatrix) {
  Recording r = SmallCounts();
  EXPECT_EQ(SpikeCounts(r, 0, INFINITY), (Numbers{318, 10}));
  EXPECT_EQ(SpikeCounts(r, 0.01, 0.05), (Numbers{112, 0}));
  DataView view = Bins(0.01);
  view.minimum_rate = 20;
  EXPECT_EQ(BuildView(r, view)->units, (std::vector<int>{0, 1})) << "10 spikes are 167 Hz";
  view.stop_time = 0.05;
  EXPECT_EQ(BuildView(r, view)->units, (std::vector<int>{0, 1})) << "1 spike is 20 Hz";
  view.start_time = 0.01;
  EXPECT_EQ(BuildView(r, view)->units, std::vector<int>{0});
  r.counts.dtype = DType::kU16;
  r.counts.bins = 3;
  EXPECT_EQ(SpikeCounts(r, 0, INFINITY), (Numbers{464, 2414}));
}

TEST(TakeValidation, TakesStretchesThatShareNoBinWithWhatTrains) {
  ViewData data;
  data.window = 3;
  for (int64_t start = 0; start < 1000; ++start) data.train.push_back(start);
  data.sides.assign(1002, Side::kTrain);
  const auto validation = TakeValidation(0.2, NormaliserKind::kNone, data);
  ASSERT_TRUE(validation.ok()) << validation.status();
  EXPECT_EQ(validation->size(), 200U);
  EXPECT_EQ(validation->front(), 80);              // the fifth of 50 stretches of 20
  EXPECT_EQ(data.train.size(), 800U - 9 * 4 - 2);  // two windows at each border but the last
  for (const int64_t v : *validation) {
    for (const int64_t t : data.train) ASSERT_GE(std::abs(v - t), 3);
  }
}

// Ten spikes in a bin of what judges must not tell what trains how large a spike is.
TEST(TakeValidation, FitsTheNormaliserWithoutWhatJudges) {
  Recording r;
  r.units.resize(1);
  r.units[0].spike_times = {0.5, 3.5};
  r.duration = 200;
  DataView view = Bins(1);
  view.normaliser = NormaliserKind::kMinmax;
  view.split.train_fraction = 0.5;
  std::vector<double> many = {0.5, 3.5};
  for (int i = 0; i < 10; ++i) many.push_back(9 + 0.01 * i);  // the fifth stretch of two bins
  for (const auto& spikes : {std::vector<double>{0.5, 3.5}, many}) {
    r.units[0].spike_times = SpikeTrain(spikes);
    auto data = BuildView(r, view);
    ASSERT_TRUE(data.ok()) << data.status();
    const auto validation = TakeValidation(0.2, view.normaliser, *data);
    ASSERT_TRUE(validation.ok()) << validation.status();
    EXPECT_EQ((*validation)[0], 8);
    EXPECT_EQ(data->scale, std::vector<float>{1});
  }
}

TEST(TakeValidation, RefusesWhatLeavesASideEmpty) {
  ViewData data;
  data.window = 3;
  data.train = {0, 1, 2};
  for (const double fraction : {0.0, -0.1, 0.6}) {
    EXPECT_NE(TakeValidation(fraction, NormaliserKind::kNone, data)
                  .status()
                  .message()
                  .find("at most 0.5"),
              std::string::npos);
  }
  data.window = 50;
  for (int64_t start = 3; start < 60; ++start) data.train.push_back(start);
  EXPECT_NE(
      TakeValidation(0.5, NormaliserKind::kNone, data).status().message().find("leaves 0 of 60"),
      std::string::npos);
}

}  // namespace
}  // namespace saed::recordings
