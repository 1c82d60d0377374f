#include <gtest/gtest.h>
#include <matio.h>

#include "server/base/faults.h"
#include "server/recordings/import.h"
#include "server/recordings/readers/registry.h"
#include "tests/tools/mat_writer.h"
#include "tests/tools/temp_dir.h"

namespace saed::recordings {
namespace {

using test_tools::Doubles;
using test_tools::Struct;

matvar_t* Text(const std::string& text) { return test_tools::Text(nullptr, text); }
matvar_t* Cell(const std::vector<matvar_t*>& cells) { return test_tools::Cell(nullptr, cells); }

// Of version 5 and of version 7.3.
class CellExplorer : public testing::TestWithParam<mat_ft> {
 protected:
  void Write(const std::string& name, matvar_t* variable) {
    mat_t* file = Mat_CreateVer((dir_ / name).c_str(), nullptr, GetParam());
    ASSERT_NE(file, nullptr);
    ASSERT_EQ(Mat_VarWrite(file, variable, MAT_COMPRESSION_NONE), 0);
    Mat_VarFree(variable);
    Mat_Close(file);
    files_.push_back({Role::kMain, name, dir_ / name});
  }
  void WriteSpikes(const std::string& base, const Numbers& ids = {4, 9}) {
    Write(base + ".spikes.cellinfo.mat",
          Struct("spikes", {"times", "UID", "shankID"},
                 {Cell({Doubles(nullptr, 2, 1, {0.5, 1.5}), Doubles(nullptr, 1, 1, {0.25})}),
                  Doubles(nullptr, 1, 2, ids), Doubles(nullptr, 1, 2, {1, 2})}));
  }
  absl::StatusOr<Imported> Get(std::map<std::string, std::string> values = {}) {
    ImportSpec spec;
    spec.options.values = std::move(values);
    return Import(spec, files_);
  }

  test_tools::TempDir dir_;
  std::vector<ImportFile> files_;
};

INSTANTIATE_TEST_SUITE_P(Versions, CellExplorer, testing::Values(MAT_FT_MAT5, MAT_FT_MAT73));

TEST_P(CellExplorer, SessionWithMetricsEpochsAndEvents) {
  WriteSpikes("rat");
  Write("rat.cell_metrics.cellinfo.mat",
        Struct("cell_metrics", {"UID", "brainRegion", "putativeCellType"},
               {Doubles(nullptr, 1, 2, {4, 9}), Cell({Text("CA1"), Text("CA3")}),
                Cell({Text("Pyramidal Cell"), Text("Interneuron")})}));
  const auto epoch = [](const char* name, double start) {
    return Struct(
        nullptr, {"name", "startTime", "stopTime"},
        {Text(name), Doubles(nullptr, 1, 1, {start}), Doubles(nullptr, 1, 1, {start + 1})});
  };
  Write("rat.session.mat",
        Struct("session", {"epochs"}, {Cell({epoch("pre", 0), epoch("maze", 1)})}));
  Write("rat.ripples.events.mat",
        Struct("ripples", {"timestamps", "peaks"},
               {Doubles(nullptr, 2, 2, {0.5, 1, 0.75, 1.25}), Doubles(nullptr, 2, 1, {0.6, 1.1})}));
  const auto got = Get();
  ASSERT_TRUE(got.ok()) << got.status();
  const Recording& r = got->recording;
  EXPECT_EQ(r.source, "cellexplorer");
  ASSERT_EQ(r.units.size(), 2u);
  EXPECT_EQ(r.units[1].id, 9);
  EXPECT_EQ(r.units[1].region, "CA3");
  EXPECT_EQ(r.units[0].spike_times, (Numbers{0.5, 1.5}));
  EXPECT_EQ(std::get<Texts>(r.unit_columns.Find("putativeCellType")->values)[1], "Interneuron");
  EXPECT_EQ(std::get<Numbers>(r.unit_columns.Find("shankID")->values), (Numbers{1, 2}));
  const IntervalTable* epochs = r.FindIntervals("epochs");
  ASSERT_NE(epochs, nullptr);
  EXPECT_EQ(epochs->stop, (Numbers{1, 2}));
  EXPECT_EQ(std::get<Texts>(epochs->table.Find("name")->values), (Texts{"pre", "maze"}));
  const IntervalTable* ripples = r.FindIntervals("ripples");
  ASSERT_NE(ripples, nullptr);
  EXPECT_EQ(ripples->start, (Numbers{0.5, 1}));
  EXPECT_EQ(std::get<Numbers>(ripples->table.Find("peaks")->values), (Numbers{0.6, 1.1}));
}

TEST_P(CellExplorer, MetricsOfOtherUnitsAreLeftOut) {
  WriteSpikes("rat");
  Write("rat.cell_metrics.cellinfo.mat",
        Struct("cell_metrics", {"UID", "brainRegion"},
               {Doubles(nullptr, 1, 2, {9, 4}), Cell({Text("CA1"), Text("CA3")})}));
  const auto got = Get();
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->recording.units[0].region, "");
  EXPECT_NE(got->warnings[0].find("rat.cell_metrics.cellinfo.mat"), std::string::npos);
}

TEST_P(CellExplorer, SessionsAreToldApart) {
  WriteSpikes("a");
  WriteSpikes("b", {1, 2});
  const auto refused = Get();
  EXPECT_EQ(FaultsOf(refused.status())[0].field, "options.session") << refused.status();
  const auto got = Get({{"session", "b"}});
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->recording.units[0].id, 1);
}

TEST_P(CellExplorer, AloneItIsAMatlabFile) {
  WriteSpikes("rat");
  EXPECT_EQ(Get()->recording.source, "matlab");
}

}  // namespace
}  // namespace saed::recordings
