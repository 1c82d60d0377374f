#include <gtest/gtest.h>
#include <matio.h>
#include <zlib.h>

#include <cmath>

#include "server/base/faults.h"
#include "server/recordings/import.h"
#include "server/recordings/readers/matlab_file.h"
#include "server/recordings/readers/matlab_nesting.h"
#include "tests/tools/mat_writer.h"
#include "tests/tools/temp_dir.h"

namespace saed::recordings {
namespace {

using test_tools::Cell;
using test_tools::Column;
using test_tools::Doubles;
using test_tools::Struct;
using test_tools::TempDir;
using test_tools::Text;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// Version 5 plain, version 5 compressed, version 7.3.
class Matlab : public testing::TestWithParam<int> {
 protected:
  void Write(const std::vector<matvar_t*>& variables) {
    mat_t* file = Mat_CreateVer((dir_ / "a.mat").c_str(), nullptr,
                                GetParam() == 2 ? MAT_FT_MAT73 : MAT_FT_MAT5);
    ASSERT_NE(file, nullptr);
    for (matvar_t* v : variables) {
      ASSERT_EQ(
          Mat_VarWrite(file, v, GetParam() == 1 ? MAT_COMPRESSION_ZLIB : MAT_COMPRESSION_NONE), 0);
      Mat_VarFree(v);
    }
    Mat_Close(file);
  }
  absl::StatusOr<Imported> Get(const std::map<std::string, std::string>& values = {},
                               double rate = 0, double bin_width = 0,
                               const std::string& name = "a.mat") {
    ImportSpec spec;
    spec.format = "matlab";
    spec.options = {rate, bin_width, values};
    return Import(spec, {{Role::kMain, name, dir_ / "a.mat"}});
  }
  TempDir dir_;
};

INSTANTIATE_TEST_SUITE_P(Versions, Matlab, testing::Values(0, 1, 2));

std::string Message(const absl::StatusOr<Imported>& got) {
  return std::string(got.status().message());
}

TEST_P(Matlab, CellExplorerByItself) {
  Write({Struct("spikes", {"times", "UID", "region", "shankID"},
                {Cell(nullptr, {Column(nullptr, {0.5, 1.5}), Column(nullptr, {0.25})}),
                 Doubles(nullptr, 1, 2, {4, 9}),
                 Cell(nullptr, {Text(nullptr, "CA1"), Text(nullptr, "CA3")}),
                 Doubles(nullptr, 1, 2, {1, 2})}),
         Column("other", {1, 2, 3})});
  const auto got = Get({}, 0, 0, "a.spikes.cellinfo.mat");
  ASSERT_TRUE(got.ok()) << got.status();
  const Recording& r = got->recording;
  ASSERT_EQ(r.units.size(), 2u);
  EXPECT_EQ(r.units[0].id, 4);
  EXPECT_EQ(r.units[0].spike_times, (Numbers{0.5, 1.5}));
  EXPECT_EQ(r.units[1].id, 9);
  EXPECT_EQ(r.units[1].region, "CA3");
  EXPECT_EQ(std::get<Numbers>(r.unit_columns.Find("shankID")->values), (Numbers{1, 2}));
  EXPECT_TRUE(got->warnings.empty());
}

TEST_P(Matlab, OnlyCellArrayIsTakenWithANote) {
  Write({Cell("trains", {Column(nullptr, {0.5, 1.5}), Column(nullptr, {0.25})}),
         Cell("names", {Text(nullptr, "a"), Text(nullptr, "b")})});
  const auto got = Get({{"unit_ids", "names"}});
  ASSERT_TRUE(got.ok()) << got.status();
  ASSERT_EQ(got->warnings.size(), 2u);
  EXPECT_NE(got->warnings[0].find("trains: is the only cell array"), std::string::npos);
  EXPECT_EQ(got->recording.units[1].id, 1);
  EXPECT_EQ(std::get<Texts>(got->recording.unit_columns.Find("original_id")->values),
            (Texts{"a", "b"}));
}

TEST_P(Matlab, AmbiguousVariablesAreListed) {
  Write({Cell("a", {Column(nullptr, {0.5})}), Cell("b", {Column(nullptr, {0.25})}),
         Doubles("m", 2, 3, {1, 2, 3, 4, 5, 6})});
  const auto got = Get();
  for (const char* seen :
       {"options.spike_times", "a (cell 1x1)", "b (cell 1x1)", "m (double 2x3)"}) {
    EXPECT_NE(Message(got).find(seen), std::string::npos) << Message(got);
  }
  EXPECT_NE(Message(Get({{"spike_times", "nothing"}})).find("nothing is missing"),
            std::string::npos);
}

TEST_P(Matlab, VectorWithClusters) {
  Write({Column("t", {0.1, 0.2, 0.3, 0.4}), Column("c", {7, 2, kNan, 7})});
  const auto got = Get({{"spike_times", "t"}, {"spike_clusters", "c"}});
  ASSERT_TRUE(got.ok()) << got.status();
  ASSERT_EQ(got->recording.units.size(), 2u);
  EXPECT_EQ(got->recording.units[0].id, 2);
  EXPECT_EQ(got->recording.units[1].spike_times, (Numbers{0.1, 0.4}));
  ASSERT_EQ(got->warnings.size(), 1u);
  EXPECT_NE(got->warnings[0].find("t: 1 spike dropped"), std::string::npos) << got->warnings[0];
}

TEST_P(Matlab, MatrixPaddedWithNan) {
  Write({Doubles("rows", 2, 3, {0.1, 0.05, 0.2, kNan, 0.3, kNan}),
         Doubles("columns", 3, 2, {0.1, 0.2, 0.3, 0.05, kNan, kNan}),
         Doubles("either", 2, 2, {0.1, 0.2, 0.3, 0.4})});
  for (const char* name : {"rows", "columns"}) {
    const auto got = Get({{"spike_times", name}});
    ASSERT_TRUE(got.ok()) << got.status();
    ASSERT_EQ(got->recording.units.size(), 2u) << name;
    EXPECT_EQ(got->recording.units[0].spike_times, (Numbers{0.1, 0.2, 0.3}));
    EXPECT_EQ(got->recording.units[1].spike_times, (Numbers{0.05}));
  }
  EXPECT_NE(Message(Get({{"spike_times", "either"}})).find("options.units_in"), std::string::npos);
  const auto got = Get({{"spike_times", "either"}, {"units_in", "rows"}});
  EXPECT_EQ(got->recording.units[0].spike_times, (Numbers{0.1, 0.3}));
}

TEST_P(Matlab, UnitsOfTime) {
  Numbers samples;
  for (int i = 0; i < 30; ++i) samples.push_back(300 * i);
  Write({Cell("s", {Column(nullptr, samples)}), Cell("ms", {Column(nullptr, {1.5, 2.5})})});
  EXPECT_NE(Message(Get({{"spike_times", "s"}})).find("options.time_unit"), std::string::npos);
  EXPECT_NE(Message(Get({{"spike_times", "s"}, {"time_unit", "samples"}})).find("sampling_rate"),
            std::string::npos);
  const auto got = Get({{"spike_times", "s"}}, 30000);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->recording.units[0].spike_times[1], 0.01);
  EXPECT_EQ(got->recording.sampling_rate, 30000);
  const auto ms = Get({{"spike_times", "ms"}, {"time_unit", "ms"}});
  EXPECT_EQ(ms->recording.units[0].spike_times, (Numbers{0.0015, 0.0025}));
  EXPECT_FALSE(Get({{"spike_times", "ms"}, {"time_unit", "hours"}}).ok());
}

TEST_P(Matlab, CountsBothWays) {
  Write({Doubles("n", 3, 2, {0, 1, 2, 3, 4, 300}), Doubles("bad", 1, 2, {1, kNan})});
  const auto got = Get({{"counts", "n"}}, 0, 0.02);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->recording.counts.bins, 3);
  EXPECT_EQ(got->recording.counts.dtype, DType::kU16);
  const auto transposed = Get({{"counts", "n"}, {"transpose", "1"}}, 0, 0.02);
  ASSERT_TRUE(transposed.ok());
  EXPECT_EQ(transposed->recording.counts.bins, 2);
  EXPECT_EQ(transposed->recording.units.size(), 3u);
  const auto* values = reinterpret_cast<const uint16_t*>(transposed->recording.counts.data());
  EXPECT_EQ((std::vector<uint16_t>(values, values + 6)),
            (std::vector<uint16_t>{0, 1, 2, 3, 4, 300}));
  EXPECT_NE(Message(Get({{"counts", "n"}})).find("bin_width"), std::string::npos);
  EXPECT_NE(Message(Get({{"counts", "bad"}}, 0, 0.02)).find("bin 1, unit 2"), std::string::npos);
}

TEST_P(Matlab, LabelsOfAnotherLengthAreLeftOut) {
  Write({Cell("t", {Column(nullptr, {0.5}), Column(nullptr, {0.25})}),
         Cell("q", {Text(nullptr, "good"), Text(nullptr, "mua")}), Column("r", {1, 2, 3})});
  const auto got = Get({{"spike_times", "t"}, {"labels", "q"}, {"regions", "r"}});
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->recording.units[1].label, "mua");
  EXPECT_EQ(got->recording.units[1].region, "");
  ASSERT_EQ(got->warnings.size(), 1u);
  EXPECT_NE(got->warnings[0].find("r: left out: has 3 values for 2 units"), std::string::npos);
}

TEST_P(Matlab, EveryTruncationEndsWell) {
  Write({Struct("spikes", {"times", "region"},
                {Cell(nullptr, {Column(nullptr, {0.5, 1.5}), Column(nullptr, {0.25})}),
                 Cell(nullptr, {Text(nullptr, "CA1"), Text(nullptr, "CA3")})})});
  const std::string bytes = *ReadFile(dir_ / "a.mat");
  const size_t step = GetParam() == 2 ? 61 : 1;
  for (size_t cut = 0; cut < bytes.size(); cut += step) {
    dir_.Write("a.mat", bytes.substr(0, cut));
    (void)Get();
  }
}

std::string Words(std::initializer_list<uint32_t> values) {
  return {reinterpret_cast<const char*>(values.begin()), values.size() * 4};
}

// A variable of cells in cells, of which only the innermost is empty. `told`: bytes that each says
// it has; 0: as many as it has.
std::string NestedCells(int depth, uint32_t told = 0) {
  std::string out;
  for (int level = 0; level < depth; ++level) {
    const auto within = static_cast<uint32_t>(40 + 48 * (depth - 1 - level));
    out += Words(
        {14, told == 0 ? within : told, 6, 8, 1, 0, 5, 8, 1, level + 1 < depth ? 1U : 0U, 1, 0});
  }
  return out;
}

std::string Mat5File(const std::string& variables) {
  std::string out(128, ' ');
  out.replace(124, 4, std::string("\0\1IM", 4));
  return out + variables;
}

std::string CompressedVariable(const std::string& variable) {
  std::string packed(compressBound(variable.size()), '\0');
  uLongf size = packed.size();
  EXPECT_EQ(compress(reinterpret_cast<Bytef*>(packed.data()), &size,
                     reinterpret_cast<const Bytef*>(variable.data()), variable.size()),
            Z_OK);
  const uint32_t tag[] = {15, static_cast<uint32_t>(size)};
  return std::string(reinterpret_cast<const char*>(tag), sizeof tag) + packed.substr(0, size);
}

// The library would call itself for each level until its stack is full.
TEST(MatlabFile, DeepNestingIsRefused) {
  TempDir dir;
  const auto check = [&](const std::string& variables) {
    dir.Write("a.mat", Mat5File(variables));
    return CheckMatNesting("a.mat", dir / "a.mat");
  };
  const std::string flat = NestedCells(1) + NestedCells(3);
  EXPECT_TRUE(check(NestedCells(64)).ok());
  EXPECT_TRUE(check(CompressedVariable(NestedCells(64)) + flat).ok());
  for (const std::string& deep :
       {NestedCells(65), flat + NestedCells(50'000), NestedCells(50'000, 40),
        flat + CompressedVariable(NestedCells(65)), CompressedVariable(NestedCells(50'000))}) {
    const absl::Status status = check(deep);
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(FaultsOf(status)[0].field, "a.mat");
    EXPECT_NE(status.message().find("more than 64 deep"), std::string::npos) << status;
    const auto got = Import({"matlab"}, {{Role::kMain, "a.mat", dir / "a.mat"}});
    EXPECT_EQ(got.status().message(), status.message());
    // Cut anywhere, it is the same or another refusal.
    dir.Write("a.mat", Mat5File(deep.substr(0, deep.size() / 2)));
    (void)CheckMatNesting("a.mat", dir / "a.mat");
  }
  // Structs, and as many variables beside one another as there may be.
  std::string many;
  for (int i = 0; i < 1000; ++i) many += NestedCells(2);
  EXPECT_TRUE(check(many).ok());
  for (const int depth : {60, 70}) {
    matvar_t* inner = Doubles(nullptr, 1, 1, {1});
    for (int i = 0; i < depth; ++i) inner = Struct(i + 1 < depth ? "a" : "top", {"a"}, {inner});
    mat_t* file = Mat_CreateVer((dir / "s.mat").c_str(), nullptr, MAT_FT_MAT5);
    ASSERT_EQ(Mat_VarWrite(file, inner, MAT_COMPRESSION_ZLIB), 0);
    Mat_VarFree(inner);
    Mat_Close(file);
    EXPECT_EQ(CheckMatNesting("s.mat", dir / "s.mat").ok(), depth == 60);
  }
}

// A variable: a 1 x `many` struct of one field, or such a cell, with nothing in it.
std::string Hollow(bool cells, uint32_t many) {
  std::string out = Words({6, 8, cells ? 1U : 2U, 0, 5, 8, 1, many, 1, 0});
  if (!cells) out += Words({0x40005, 8, 1, 8, 'a', 0});
  return Words({14, static_cast<uint32_t>(out.size())}) + out;
}

// The library makes room for each before it looks whether there is one.
TEST(MatlabFile, ArraysThatAreNotThereAreRefused) {
  TempDir dir;
  for (const bool cells : {true, false}) {
    for (const bool packed : {true, false}) {
      const auto check = [&](uint32_t many) {
        const std::string hollow = Hollow(cells, many);
        dir.Write("a.mat", Mat5File(packed ? CompressedVariable(hollow) : hollow));
        return CheckMatNesting("a.mat", dir / "a.mat");
      };
      EXPECT_TRUE(check(kMaxMatLacking).ok());
      for (const uint32_t many : {100'001U, 1U << 26}) {
        const absl::Status status = check(many);
        ASSERT_FALSE(status.ok());
        EXPECT_EQ(FaultsOf(status)[0].field, "a.mat");
        EXPECT_NE(status.message().find("arrays more than there are"), std::string::npos) << status;
      }
    }
  }
  // The library reads a stream to its end, whatever the tag says of its size.
  std::string short_tag = CompressedVariable(Hollow(true, 1U << 26));
  short_tag.replace(4, 4, std::string(4, '\0'));
  dir.Write("a.mat", Mat5File(short_tag));
  EXPECT_FALSE(CheckMatNesting("a.mat", dir / "a.mat").ok());
  // Names that the file's end cuts off, and as many sizes as nothing else has.
  std::string cut = Words({14, 1000, 6, 8, 2, 0, 5, 8, 1, 1'000, 1, 0, 0x40005, 1, 1, 8'000});
  dir.Write("a.mat", Mat5File(cut));
  EXPECT_FALSE(CheckMatNesting("a.mat", dir / "a.mat").ok());
  // A name that the library does not pass over, as it is not of characters.
  const std::string cell = Words({14, 1000, 6, 8, 1, 0, 5, 8, 1, 1U << 26, 9, 1U << 31});
  dir.Write("a.mat", Mat5File(Words({14, 2000, 6, 8, 1, 0, 5, 8, 1, 1, 1, 0}) + cell));
  EXPECT_FALSE(CheckMatNesting("a.mat", dir / "a.mat").ok());
  std::string sizes = Words({14, 1000, 6, 8, 1, 0, 5, 160});
  for (int i = 0; i < 40; ++i) sizes += Words({i < 20 ? 2U : 1U});
  dir.Write("a.mat", Mat5File(sizes + Words({1, 0})));
  EXPECT_FALSE(CheckMatNesting("a.mat", dir / "a.mat").ok());
}

TEST(MatlabFile, OtherFilesAreRefusedByName) {
  TempDir dir;
  dir.Write("a.mat", "just text");
  const auto got = Import({"matlab"}, {{Role::kMain, "a.mat", dir / "a.mat"}});
  EXPECT_EQ(FaultsOf(got.status())[0].field, "a.mat");
}

TEST(MatlabFile, CharactersBeyondTheBasicPlane) {
  EXPECT_EQ(MatRows({0xD83E, 0xDDE0, 'a'}, 1), (Texts{"\xF0\x9F\xA7\xA0"
                                                      "a"}));
  EXPECT_EQ(MatRows({'a', 'c', 'b', ' '}, 2), (Texts{"ab", "c"}));
  EXPECT_EQ(MatRows({0xD83E}, 1), (Texts{"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"}));
}

}  // namespace
}  // namespace saed::recordings
