// Counts, traces and Suite2p folders.
#include <gtest/gtest.h>

#include <cmath>

#include "server/base/npy.h"
#include "server/recordings/binning.h"
#include "server/recordings/import.h"
#include "tests/tools/temp_dir.h"

namespace saed::recordings {
namespace {

using saed::test_tools::RealData;
using saed::test_tools::TempDir;

std::vector<ImportFile> Files(const TempDir& dir,
                              const std::vector<std::pair<std::string, std::string>>& files) {
  std::vector<ImportFile> out;
  for (const auto& [name, bytes] : files) {
    const std::string path = dir.Write(std::to_string(out.size()), bytes);
    out.push_back({Role::kMain, name, path});
  }
  return out;
}

Numbers Values(const Recording& r) {
  Numbers out;
  const auto n = static_cast<int64_t>(r.units.size());
  const CountView view{r.counts.data(), r.counts.dtype, r.counts.bins, static_cast<int>(n)};
  for (int64_t i = 0; i < view.bins * n; ++i) out.push_back(ValueAt(view, i));
  return out;
}

TEST(Matrices, ShapesAreSaid) {
  TempDir dir;
  for (const auto& [shape, words] :
       {std::pair<std::vector<int64_t>, std::string>{{}, "[], 0 dimensions"},
        {{4}, "[4], 1 dimension;"},
        {{1, 2, 2}, "[1, 2, 2], 3 dimensions"}}) {
    const Numbers values(shape.empty() ? 1 : 4);
    const auto got =
        Import({"counts", {0, 0.02}}, Files(dir, {{"counts.npy", MakeNpy(values, shape)}}));
    EXPECT_NE(got.status().message().find(words), std::string::npos) << got.status();
  }
}

TEST(Matrices, NegativeCountsAreRefusedAndNegativeTracesTaken) {
  TempDir dir;
  const auto files = Files(dir, {{"x.npy", MakeNpy({0.5, -1, 2, 3}, {2, 2})}});
  const auto counts = Import({"counts", {0, 0.02}}, files);
  EXPECT_NE(counts.status().message().find("-1 in bin 0, unit 1"), std::string::npos);
  const auto traces = Import({"traces", {10, 0, {{"transpose", "1"}}}}, files);
  ASSERT_TRUE(traces.ok()) << traces.status();
  EXPECT_EQ(Values(traces->recording), (Numbers{0.5, 2, -1, 3}));
  EXPECT_DOUBLE_EQ(traces->recording.counts.bin_width, 0.1);
}

TEST(Matrices, GapsAreUnobserved) {
  TempDir dir;
  const auto files = Files(dir, {{"counts.npy", MakeNpy({1, 2, 3}, {3, 1})},
                                 {"starts.npy", MakeNpy({1, 1.5, 2.5}, {3})}});
  const auto got = Import({"counts", {0, 0, {{"bin_starts", "starts.npy"}}}}, files);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(Values(got->recording), (Numbers{0, 0, 1, 2, 0, 3}));
  EXPECT_EQ(got->recording.observed, (Spans{{1, 2}, {2.5, 3}}));
  EXPECT_DOUBLE_EQ(got->recording.counts.bin_width, 0.5);
}

TEST(Matrices, FramesWithNaNAreUnobservedAndCellsOfNaNLeftOut) {
  TempDir dir;
  const Numbers values = {1, NAN, 5, NAN, NAN, 6, 3, NAN, 7};  // [frames, cells]
  const auto got = Import({"traces", {2}}, Files(dir, {{"x.npy", MakeNpy(values, {3, 3})}}));
  ASSERT_TRUE(got.ok()) << got.status();
  ASSERT_EQ(got->recording.units.size(), 2u);
  EXPECT_EQ(got->recording.units[1].id, 2);
  EXPECT_EQ(Values(got->recording), (Numbers{1, 5, 0, 6, 3, 7}));
  EXPECT_EQ(got->recording.observed, (Spans{{0, 0.5}, {1, 1.5}}));
  EXPECT_EQ(got->warnings.size(), 2u);
}

TEST(Matrices, TextWithAndWithoutAHeader) {
  TempDir dir;
  const auto pandas =
      Import({"counts", {0, 0.1}}, Files(dir, {{"counts.csv", ",4,2\n0,1,2\n1,3,4\n"}}));
  ASSERT_TRUE(pandas.ok()) << pandas.status();
  EXPECT_EQ(pandas->recording.units[0].id, 4);
  EXPECT_EQ(Values(pandas->recording), (Numbers{1, 2, 3, 4}));
  const auto bare = Import({"counts", {0, 0.1}}, Files(dir, {{"counts.csv", "5,6\n1,2\n3,4\n"}}));
  ASSERT_TRUE(bare.ok()) << bare.status();
  EXPECT_EQ(Values(bare->recording), (Numbers{5, 6, 1, 2, 3, 4}));
}

TEST(Matrices, TextOfSpreadsheets) {
  TempDir dir;
  for (const char* text :
       {"sep=;\nu1;u2\n1,0;2,0\n3,0;4,0\n", "# counts\r\"u1\",\"u2\"\r1,2\r3,4\r",
        "\xEF\xBB\xBFu1\tu2\n1\t2\n3\t4\n"}) {
    const auto got = Import({"counts", {0, 0.1}}, Files(dir, {{"counts.csv", text}}));
    ASSERT_TRUE(got.ok()) << text << got.status();
    EXPECT_EQ(Values(got->recording), (Numbers{1, 2, 3, 4})) << text;
  }
  const auto ragged = Import({"counts", {0, 0.1}}, Files(dir, {{"counts.csv", "u1,u2\n1,2\n3\n"}}));
  EXPECT_NE(ragged.status().message().find("line 3"), std::string::npos) << ragged.status();
}

TEST(Matrices, CountsBeyondAFloatAreSaid) {
  TempDir dir;
  const auto got =
      Import({"counts", {0, 0.1}}, Files(dir, {{"counts.npy", MakeNpy({16777217, 1}, {2, 1})}}));
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->warnings[0],
            "counts.npy: 1 count above 2^24 rounded to what a float holds, the first is 16777217 "
            "in bin 0");
}

TEST(Matrices, TimesOfBinsAreStartsOrMiddles) {
  TempDir dir;
  const auto read = [&](const std::string& title, const ImportSpec& spec) {
    const auto text = title + ",u1,u2\n0.05,1,2\n0.15,3,4\n0.45,5,6\n";
    return Import(spec, Files(dir, {{"counts.csv", text}}));
  };
  const auto middles = read("time", {"counts", {}});
  ASSERT_TRUE(middles.ok()) << middles.status();
  EXPECT_EQ(middles->recording.counts.bin_width, 0.1);
  EXPECT_EQ(middles->recording.counts.bins, 5);
  EXPECT_EQ(middles->recording.observed->size(), 2u);
  EXPECT_NE(middles->warnings[1].find("taken as the bins' middles"), std::string::npos);
  ImportSpec starts = {"counts", {}};
  starts.options.values["bin_times"] = "starts";
  const auto said = read("time", starts);
  ASSERT_TRUE(said.ok()) << said.status();
  EXPECT_NE(said->recording.counts.bins, 5);
  EXPECT_NE(read("bin_start", {"counts", {}})->recording.counts.bins, 5) << "called so";
}

TEST(Suite2p, CellsOfTwoPlanes) {
  TempDir dir;
  const std::string spks = MakeNpy({1, 2, 3, 4.5, 5, 6}, {2, 3});  // [cells, frames]
  const std::string one = MakeNpy({1, 0.9, 0, 0.2}, {2, 2}),
                    both = MakeNpy({1, 0.9, 1, 0.8}, {2, 2});
  const auto got = Import({"", {5}}, Files(dir, {{"plane0/spks.npy", spks},
                                                 {"plane0/iscell.npy", one},
                                                 {"plane1/spks.npy", spks},
                                                 {"plane1/iscell.npy", both}}));
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->recording.source, "suite2p");
  EXPECT_EQ(Values(got->recording), (Numbers{1, 1, 4.5, 2, 2, 5, 3, 3, 6}));
  EXPECT_EQ(std::get<Texts>(got->recording.unit_columns.Find("plane")->values),
            (Texts{"plane0", "plane1", "plane1"}));
  EXPECT_EQ(std::get<Numbers>(got->recording.unit_columns.Find("original_id")->values),
            (Numbers{0, 0, 1}));
}

TEST(Suite2p, DeconvolutionThatWasOffNamesTheChoice) {
  TempDir dir;
  const auto files = Files(dir, {{"spks.npy", MakeNpy(Numbers(6), {2, 3})},
                                 {"F.npy", MakeNpy({1, 2, 3, 4, 5, 6}, {2, 3})},
                                 {"iscell.npy", MakeNpy({1, 1}, {2})}});
  EXPECT_NE(Import({"suite2p", {5}}, files).status().message().find("signal=F"), std::string::npos);
  const auto got = Import({"suite2p", {5, 0, {{"signal", "F"}}}}, files);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(Values(got->recording), (Numbers{1, 4, 2, 5, 3, 6}));
}

TEST(Matrices, RealFramesThatJitterAreRefused) {
  const std::string data = RealData();
  if (data.empty()) GTEST_SKIP() << "the real recordings are not there; set SAED_DATA";
  const std::string dir = data + "/mouse_retina_flash/";
  const auto got = Import({"counts", {0, 0, {{"bin_starts", "bin_start_time.npy"}}}},
                          {{Role::kMain, "counts.npy", dir + "counts.npy"},
                           {Role::kMain, "bin_start_time.npy", dir + "bin_start_time.npy"}});
  EXPECT_NE(got.status().message().find("bins off the grid"), std::string::npos) << got.status();
}

}  // namespace
}  // namespace saed::recordings
