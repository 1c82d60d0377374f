#include <gtest/gtest.h>

#include "server/base/npy.h"
#include "server/recordings/import.h"
#include "tests/tools/npz_writer.h"
#include "tests/tools/temp_dir.h"

namespace saed::recordings {
namespace {

using saed::test_tools::TempDir;
using saed::test_tools::WriteNpz;

TEST(Spikes, ArraysOfAnNpz) {
  TempDir dir;
  ASSERT_TRUE(WriteNpz(dir / "s.npz", {{"when.npy", MakeNpy({100, 200, 350}, {3})},
                                       {"who.npy", MakeNpy({9, 2, 9}, {3, 1})}}));
  ImportSpec spec = {"spikes", {1000, 0, {{"times", "when"}, {"clusters", "who"}}}};
  spec.options.values["time_unit"] = "samples";
  const auto got = Import(spec, {{Role::kMain, "s.npz", dir / "s.npz"}});
  ASSERT_TRUE(got.ok()) << got.status();
  ASSERT_EQ(got->recording.units.size(), 2u);
  EXPECT_EQ(got->recording.units[1].id, 9);
  EXPECT_EQ(got->recording.units[1].spike_times, (SpikeTrain{0.1, 0.35}));
  EXPECT_EQ(got->recording.sampling_rate, 1000);
}

TEST(Spikes, ATableWithNamedUnits) {
  TempDir dir;
  dir.Write("s.csv", "unit,time\nb,0.5\na,0.25\nb,1.5\n,2\n");
  const auto got = Import({}, {{Role::kMain, "s.csv", dir / "s.csv"}});
  ASSERT_TRUE(got.ok()) << got.status();
  ASSERT_EQ(got->recording.units.size(), 2u);
  EXPECT_EQ(got->recording.units[0].spike_times, (SpikeTrain{0.5, 1.5}));
  EXPECT_EQ(std::get<Texts>(got->recording.unit_columns.Find("original_id")->values),
            (Texts{"b", "a"}));
  EXPECT_EQ(got->warnings.size(), 2u);  // the row without a unit, the ids
}

TEST(Spikes, TheUnitOfTimeIsNeverGuessed) {
  TempDir dir;
  dir.Write("s.csv", "unit,time\n1,500\n1,900\n");
  const auto got = Import({}, {{Role::kMain, "s.csv", dir / "s.csv"}});
  EXPECT_NE(got.status().message().find("time_unit"), std::string::npos) << got.status();
  const auto ms =
      Import({"spikes", {0, 0, {{"time_unit", "ms"}}}}, {{Role::kMain, "s.csv", dir / "s.csv"}});
  ASSERT_TRUE(ms.ok()) << ms.status();
  EXPECT_EQ(ms->recording.units[0].spike_times, (SpikeTrain{0.5, 0.9}));
}

}  // namespace
}  // namespace saed::recordings
