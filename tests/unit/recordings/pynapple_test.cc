#include <gtest/gtest.h>

#include "server/base/npy.h"
#include "server/recordings/import.h"
#include "tests/tools/npz_writer.h"
#include "tests/tools/temp_dir.h"

namespace saed::recordings {
namespace {

using saed::test_tools::TempDir;
using saed::test_tools::WriteNpz;

TEST(Pynapple, GroupWithAnIntervalSetBeside) {
  TempDir dir;
  std::string pickle = MakeNpy({1}, {});
  pickle.replace(pickle.find("'<f8'"), 5, "'|O' ");
  ASSERT_TRUE(WriteNpz(dir / "units.npz", {{"t.npy", MakeNpy({0.1, 0.2, 0.3, 0.4}, {4})},
                                           {"index.npy", MakeNpy({7, 3, 7, 9}, {4})},
                                           {"keys.npy", MakeNpy({7, 3, 5}, {3})},
                                           {"rate.npy", MakeNpy({2, 1, 0}, {3})},
                                           {"start.npy", MakeNpy({-1, 0.3}, {2})},
                                           {"end.npy", MakeNpy({0.25, 0.5}, {2})},
                                           {"_metadata.npy", pickle}}));
  ASSERT_TRUE(WriteNpz(dir / "epochs.npz",
                       {{"start.npy", MakeNpy({0, 1}, {2})}, {"end.npy", MakeNpy({1, 2}, {2})}}));
  const auto got = Import({}, {{Role::kMain, "units.npz", dir / "units.npz"},
                               {Role::kMain, "epochs.npz", dir / "epochs.npz"}});
  ASSERT_TRUE(got.ok()) << got.status();
  const Recording& r = got->recording;
  ASSERT_EQ(r.units.size(), 3u);
  EXPECT_EQ(r.units[0].id, 3);
  EXPECT_EQ(r.units[0].spike_times, (SpikeTrain{0.2}));
  EXPECT_TRUE(r.units[1].spike_times.empty());
  EXPECT_EQ(r.units[2].spike_times, (SpikeTrain{0.1, 0.3}));
  EXPECT_EQ(std::get<Numbers>(r.unit_columns.Find("rate")->values), (Numbers{1, 0, 2}));
  EXPECT_EQ(r.observed, (Spans{{0, 0.25}, {0.3, 0.5}}));
  ASSERT_EQ(r.intervals.size(), 1u);
  EXPECT_EQ(r.intervals[0].table.name, "epochs");
  EXPECT_EQ(r.intervals[0].stop, (Numbers{1, 2}));
  // One spike of no key, and the pickle; then what is said of so short a recording.
  ASSERT_GE(got->warnings.size(), 2u);
  EXPECT_NE(got->warnings[0].find("1 spikes"), std::string::npos);
  EXPECT_NE(got->warnings[1].find("_metadata"), std::string::npos);
}

TEST(Pynapple, ASupportOfNothingIsNeverObserved) {
  TempDir dir;
  ASSERT_TRUE(WriteNpz(dir / "units.npz", {{"t.npy", MakeNpy({0.1, 0.2}, {2})},
                                           {"index.npy", MakeNpy({7, 3}, {2})},
                                           {"start.npy", MakeNpy({NAN}, {1})},
                                           {"end.npy", MakeNpy({0.25}, {1})}}));
  const auto got = Import({}, {{Role::kMain, "units.npz", dir / "units.npz"}});
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->recording.observed, Spans{});
  EXPECT_NE(got->warnings[0].find("1 rows of the time support left out"), std::string::npos)
      << got->warnings[0];
}

}  // namespace
}  // namespace saed::recordings
