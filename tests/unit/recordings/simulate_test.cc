#include "server/recordings/simulate.h"

#include <gtest/gtest.h>

#include "server/base/sha256.h"
#include "server/recordings/import.h"
#include "server/recordings/view.h"
#include "tests/tools/spike_count.h"

namespace saed::recordings {
namespace {

using saed::test_tools::SpikeCount;

TEST(Simulate, RatHasThePublishedSpikes) {
  const auto spikes = RatSpikeMatrix();
  EXPECT_EQ(Sha256Hex({reinterpret_cast<const char*>(spikes.data()), spikes.size()}),
            "49e1d369cd8ff6068e4aa57cd12fd9331dc43fae641afc41a16870ebd544aa08");
}

TEST(Simulate, RatRecordingIsWholeAndBinsBackToItsSpikes) {
  Recording r = SimulateRat();
  Notes notes;
  EXPECT_TRUE(Finish(r, notes).ok());
  EXPECT_EQ(SpikeCount(r), 192631);
  DataView view;
  view.bin_width = 0.01;
  const auto v = BuildView(SimulateRat(), view);
  ASSERT_TRUE(v.ok());
  EXPECT_EQ(v->bins, 60000);
  const auto spikes = RatSpikeMatrix();
  for (int64_t i = 0; i < 60000; ++i) {
    for (int64_t n = 0; n < 100; ++n) ASSERT_EQ(v->bytes[i * 100 + n], spikes[n * 60000 + i]);
  }
}

TEST(Simulate, PlantedEasyHasTheStatedStatistics) {
  const auto spec = PlantedLevel("easy");
  ASSERT_TRUE(spec.ok());
  const Recording r = SimulatePlanted(*spec);
  DataView view;
  const auto v = BuildView(r, view);
  ASSERT_TRUE(v.ok());
  EXPECT_EQ(v->bins, 60000);
  int64_t zeros = 0;
  for (uint8_t c : v->bytes) zeros += c == 0;
  EXPECT_NEAR(static_cast<double>(zeros) / v->bytes.size(), 0.87, 0.01);
  double on = 0;
  for (size_t i = 0; i < r.intervals[0].rows(); ++i) {
    on += r.intervals[0].stop[i] - r.intervals[0].start[i];
  }
  EXPECT_NEAR(on / r.duration, 2.0, 0.1);  // mean number of features on
  EXPECT_EQ(r.unit_columns.columns.size(), 40u);
}

TEST(Simulate, ValidatesItsSpec) {
  PlantedSpec spec;
  spec.units_per_feature = 1000;
  spec.probability = 1;
  EXPECT_FALSE(Validate(spec).ok());
  EXPECT_FALSE(PlantedLevel("impossible").ok());
}

}  // namespace
}  // namespace saed::recordings
