#include "server/recordings/import.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "server/base/faults.h"
#include "server/base/npy.h"
#include "server/recordings/binning.h"
#include "server/recordings/readers/file_set.h"
#include "server/recordings/store_format.h"
#include "tests/tools/nwb_writer.h"
#include "tests/tools/spike_count.h"
#include "tests/tools/temp_dir.h"

namespace saed::recordings {
namespace {

using saed::test_tools::RealData;
using saed::test_tools::SpikeCount;
using saed::test_tools::TempDir;

ImportFile Main(const std::string& name, const std::string& path) {
  return {Role::kMain, name, path};
}

// A .npy file of format 1.0.
std::string Npy(std::string_view header, std::string_view data) {
  std::string out("\x93NUMPY\x01\x00", 8);
  out += static_cast<char>(header.size());
  out += '\0';
  out.append(header);
  out.append(data);
  return out;
}

std::string FirstField(const absl::Status& status) {
  const auto faults = FaultsOf(status);
  return faults.empty() ? "" : faults[0].field;
}

TEST(Import, SmallNwbWithEverything) {
  TempDir dir;
  saed::test_tools::WriteSmallNwb(dir / "a.nwb");
  const auto got = Import({"nwb"}, {Main("a.nwb", dir / "a.nwb")});
  ASSERT_TRUE(got.ok()) << got.status();
  const Recording& r = got->recording;
  ASSERT_EQ(r.units.size(), 2u);
  EXPECT_EQ(r.units[1].id, 7);
  EXPECT_EQ(r.units[1].label, "mua");
  EXPECT_EQ(r.units[1].depth, 250);
  EXPECT_EQ(r.units[1].spike_times, (Numbers{0.15, 1.5}));
  ASSERT_EQ(r.intervals.size(), 1u);
  EXPECT_EQ(std::get<TextLists>(r.intervals[0].table.Find("tags")->values),
            (TextLists{{"early", "easy"}, {"late"}}));
  ASSERT_EQ(r.series.size(), 1u);
  EXPECT_EQ(r.series[0].unit, "m/s");
  EXPECT_EQ(r.series[0].timestamps, (Numbers{0.25, 0.75, 1.25, 1.75}));
  EXPECT_EQ(r.series[0].values, (Numbers{0.5, 1, 1.5, 2}));
}

// Tables beside the recording are no larger than text that is read at all.
TEST(Import, TablesBesideAreBounded) {
  TempDir dir;
  saed::test_tools::WriteSmallNwb(dir / "a.nwb");
  dir.Write("large", "");
  std::filesystem::resize_file(dir / "large", static_cast<uint64_t>(kMaxTextBytes) + 1);
  for (const Role role : {Role::kIntervals, Role::kSeries, Role::kUnits}) {
    const absl::Status refused =
        Import({"nwb"}, {Main("a.nwb", dir / "a.nwb"), {role, "large", dir / "large"}}).status();
    EXPECT_EQ(FirstField(refused), "large") << refused;
    EXPECT_NE(refused.message().find("at most 1073741824 are read"), std::string::npos) << refused;
  }
}

TEST(Import, StoredFormIsExactAndRefusesDamage) {
  TempDir dir;
  saed::test_tools::WriteSmallNwb(dir / "a.nwb");
  const auto got = Import({"nwb"}, {Main("a.nwb", dir / "a.nwb")});
  ASSERT_TRUE(got.ok());
  const std::string bytes = Serialise(got->recording);
  const auto again = Parse(bytes);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(Serialise(*again), bytes);
  for (size_t cut = 0; cut < bytes.size(); cut += 7) {
    EXPECT_EQ(Parse(bytes.substr(0, cut)).status().code(), absl::StatusCode::kDataLoss);
  }
}

TEST(Import, IndexPastTheDataNamesTheDataset) {
  TempDir dir;
  saed::test_tools::WriteSmallNwb(dir / "a.nwb", 9);
  const auto got = Import({"nwb"}, {Main("a.nwb", dir / "a.nwb")});
  EXPECT_EQ(FirstField(got.status()), "units/spike_times_index");
  EXPECT_NE(got.status().message().find("9"), std::string::npos);
}

TEST(Import, EveryTruncationIsRefusedOrReadsWell) {
  TempDir dir;
  saed::test_tools::WriteSmallNwb(dir / "a.nwb");
  const std::string bytes = *ReadFile(dir / "a.nwb");
  for (size_t cut = 0; cut < bytes.size(); cut += 97) {
    dir.Write("cut.nwb", bytes.substr(0, cut));
    EXPECT_FALSE(Import({"nwb"}, {Main("cut.nwb", dir / "cut.nwb")}).ok()) << cut;
  }
}

TEST(Import, PhyFolderWithCuratedLabels) {
  TempDir dir;
  dir.Write("spike_times.npy", MakeNpy({0.5, 1.0, 1.5}, {3}));
  dir.Write("spike_clusters.npy",
            Npy("{'descr': '<i4', 'fortran_order': False, 'shape': (3, 1), }\n",
                {"\x09\0\0\0\x02\0\0\0\x09\0\0\0", 12}));
  dir.Write("cluster_group.tsv", "cluster_id\tgroup\n2\tgood\n9\tmua\n");
  dir.Write("cluster_KSLabel.tsv", "cluster_id\tKSLabel\n2\tmua\n9\tgood\n");
  const auto got =
      Import({"phy", 0, 0}, {Main("spike_times.npy", dir / "spike_times.npy"),
                             Main("spike_clusters.npy", dir / "spike_clusters.npy"),
                             Main("cluster_group.tsv", dir / "cluster_group.tsv"),
                             Main("cluster_KSLabel.tsv", dir / "cluster_KSLabel.tsv")});
  ASSERT_TRUE(got.ok()) << got.status();
  ASSERT_EQ(got->recording.units.size(), 2u);
  EXPECT_EQ(got->recording.units[0].id, 2);
  EXPECT_EQ(got->recording.units[0].label, "good");
  EXPECT_EQ(got->recording.units[1].spike_times, (Numbers{0.5, 1.5}));
}

TEST(Import, CountMatrixKeepsSmallIntegersAsBytes) {
  TempDir dir;
  dir.Write("counts.npy", MakeNpy({0, 1, 2, 3, 4, 5}, {3, 2}));
  dir.Write("trials.csv", "start_time,stop_time,kind\n0,0.02,a\n0.02,0.06,\"b, c\"\n");
  dir.Write("run.csv", "timestamps,speed\n0,1.5\n0.03,2\n");
  const auto got = Import({"counts", 0, 0.02}, {Main("counts.npy", dir / "counts.npy"),
                                                {Role::kIntervals, "trials", dir / "trials.csv"},
                                                {Role::kSeries, "run", dir / "run.csv"}});
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->recording.counts.dtype, DType::kU8);
  EXPECT_EQ(got->recording.counts.bytes, (std::vector<uint8_t>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(std::get<Texts>(got->recording.intervals[0].table.Find("kind")->values)[1], "b, c");
  EXPECT_DOUBLE_EQ(got->recording.duration, 0.06);
}

// Large matrices are converted in pieces, in either order, to the narrowest type.
TEST(Import, LongCountMatrices) {
  constexpr int64_t kBins = 700'001, kUnits = 3;
  const auto value = [](int64_t bin, int64_t unit) {
    return static_cast<double>((bin * 7 + unit * 13) % 251);
  };
  TempDir dir;
  for (const auto& [scale, type] :
       {std::pair{1.0, DType::kU8}, {200.0, DType::kU16}, {0.5, DType::kF32}}) {
    for (const bool fortran : {false, true}) {
      Numbers values(kBins * kUnits);
      for (int64_t bin = 0; bin < kBins; ++bin) {
        for (int64_t unit = 0; unit < kUnits; ++unit) {
          values[fortran ? unit * kBins + bin : bin * kUnits + unit] = scale * value(bin, unit);
        }
      }
      std::string npy = MakeNpy(values, {kBins, kUnits});
      if (fortran) npy.replace(npy.find("False"), 5, "True ");
      dir.Write("counts.npy", npy);
      const auto got = Import({"counts", 0, 0.02}, {Main("counts.npy", dir / "counts.npy")});
      ASSERT_TRUE(got.ok()) << got.status();
      const CountMatrix& counts = got->recording.counts;
      ASSERT_EQ(counts.dtype, type);
      ASSERT_EQ(counts.bins, kBins);
      const CountView view{counts.data(), counts.dtype, kBins, kUnits};
      int64_t wrong = 0;
      for (int64_t i = 0; i < kBins * kUnits; ++i) {
        wrong += ValueAt(view, i) != scale * value(i / kUnits, i % kUnits);
      }
      EXPECT_EQ(wrong, 0) << scale << ' ' << fortran;
    }
  }
  Numbers values(kBins * kUnits, 1);
  values[2'000'000] = NAN;
  dir.Write("counts.npy", MakeNpy(values, {kBins, kUnits}));
  const auto got = Import({"counts", 0, 0.02}, {Main("counts.npy", dir / "counts.npy")});
  EXPECT_EQ(FirstField(got.status()), "counts.npy");
  EXPECT_NE(got.status().message().find("nan in bin 666666, unit 2"), std::string::npos);
}

TEST(Import, RefusesBadArraysByName) {
  const std::string pickle = Npy("{'descr': '|O', 'fortran_order': False, 'shape': (3,), }\n", "");
  EXPECT_NE(ParseNpy("x.npy", pickle).status().message().find("pickle"), std::string::npos);
  std::string lying = MakeNpy({1, 2}, {2});
  lying.replace(lying.find("(2,)"), 4, "(9,)");
  EXPECT_NE(ParseNpy("x.npy", lying).status().message().find("promises 72 bytes"),
            std::string::npos);
  lying.replace(lying.find("(9,)"), 20, "(999999999999,999999)");
  EXPECT_FALSE(ParseNpy("x.npy", lying).ok());
  EXPECT_FALSE(ParseNpy("x.npy", "\x93NUMPY").ok());
}

TEST(Import, FortranAndBigEndianArraysReadInCOrder) {
  std::string npy = MakeNpy({1, 2, 3, 4, 5, 6}, {2, 3});
  npy.replace(npy.find("False"), 5, "True ");
  EXPECT_EQ(ToDoubles(*ParseNpy("x", npy)), (Numbers{1, 3, 5, 2, 4, 6}));
  const std::string big =
      Npy("{'descr': '>i2', 'fortran_order': False, 'shape': (2,), }\n", {"\x01\x02\xff\xfe", 4});
  EXPECT_EQ(*ToIntegers("x", *ParseNpy("x", big)), (std::vector<int64_t>{258, -2}));
}

TEST(Import, StrictRefusesNegativeUnsortedAndNaNSpikes) {
  for (const Numbers& times : {Numbers{-0.1}, Numbers{2, 1}, Numbers{NAN}}) {
    Recording r;
    r.units.emplace_back().id = 4;
    r.units[0].spike_times = times;
    Notes notes(true);
    ASSERT_TRUE(Finish(r, notes).ok());
    EXPECT_EQ(FirstField(notes.Strict()), "spike_times");
  }
}

TEST(Import, RealMarmosetFilesAgree) {
  const std::string data = RealData();
  if (data.empty()) GTEST_SKIP() << "the real recordings are not there; set SAED_DATA";
  const std::string dir = data + "/marmoset_rgc_gratings/";
  const auto nwb = Import({"nwb"}, {Main("m.nwb", dir + "marmoset_rgc_gratings.nwb")});
  ASSERT_TRUE(nwb.ok()) << nwb.status();
  const auto npy =
      Import({"spikes", 0, 0},
             {Main("spike_times.npy", dir + "spike_times.npy"),
              Main("spike_clusters.npy", dir + "spike_clusters.npy"),
              {Role::kIntervals, "stimulus_presentations", dir + "stimulus_presentations.csv"}});
  ASSERT_TRUE(npy.ok()) << npy.status();
  EXPECT_EQ(SpikeCount(nwb->recording), 318895);
  ASSERT_EQ(nwb->recording.units.size(), 49u);
  for (int n = 0; n < 49; ++n) {
    EXPECT_EQ(nwb->recording.units[n].spike_times, npy->recording.units[n].spike_times);
  }
  EXPECT_EQ(nwb->recording.intervals[0].rows(), 1196u);
  EXPECT_EQ(nwb->recording.intervals[0].start, npy->recording.intervals[0].start);
}

TEST(Import, RealPhyAndPynappleFiles) {
  const std::string data = RealData();
  if (data.empty()) GTEST_SKIP() << "the real recordings are not there; set SAED_DATA";
  const std::string dir = data + "/neuropixels_phy/";
  std::vector<ImportFile> files;
  for (const char* f : {"spike_times.npy", "spike_clusters.npy", "cluster_group.tsv"}) {
    files.push_back(Main(f, dir + f));
  }
  EXPECT_EQ(FirstField(Import({"phy", 0, 0}, files).status()), "sampling_rate");
  const auto phy = Import({"phy", 30000, 0}, files);
  ASSERT_TRUE(phy.ok()) << phy.status();
  EXPECT_EQ(phy->recording.units.size(), 404u);
  EXPECT_EQ(std::count_if(phy->recording.units.begin(), phy->recording.units.end(),
                          [](const Unit& u) { return u.label == "good"; }),
            140);
  const auto nwb = Import({"nwb"}, {Main("a.nwb", data + "/pynapple_phy_nwb/A8604-211122.nwb")});
  ASSERT_TRUE(nwb.ok()) << nwb.status();
  EXPECT_EQ(nwb->recording.units.size(), 3u);
  EXPECT_EQ(SpikeCount(nwb->recording), 21354);
  EXPECT_EQ(nwb->recording.electrodes.columns.at(0).rows(), 383u);
  EXPECT_EQ(std::get<TextLists>(nwb->recording.intervals[0].table.Find("tags")->values),
            (TextLists{{"wake"}}));
  EXPECT_NE(nwb->recording.unit_columns.Find("location"), nullptr);
}

}  // namespace
}  // namespace saed::recordings
