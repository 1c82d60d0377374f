// What a stored recording would take in memory, and which part of it most.
#include "server/recordings/stored_weight.h"

#include <gtest/gtest.h>

#include "server/recordings/store_format.h"
#include "tests/tools/temp_dir.h"

namespace saed::recordings {
namespace {

class StoredWeightTest : public testing::Test {
 protected:
  StoredWeightTest() {
    recording_.units.resize(3);
    recording_.units[1].id = 1;
    recording_.units[2].id = 2;
    recording_.duration = 10;
  }
  absl::StatusOr<StoredWeight> Weigh() const {
    return WeighStored(dir_.Write("stored", Serialise(recording_)));
  }

  test_tools::TempDir dir_;
  Recording recording_;
};

TEST_F(StoredWeightTest, CountsWhatIsSmallInTheFileAndLargeInMemory) {
  constexpr size_t kRows = 10'000;
  IntervalTable table;
  table.table.name = "trials";
  table.table.columns.push_back({"tags", TextLists(kRows)});
  table.start.assign(kRows, 0);
  table.stop.assign(kRows, 1);
  recording_.intervals.push_back(table);
  const auto weight = Weigh();
  ASSERT_TRUE(weight.ok()) << weight.status();
  EXPECT_EQ(weight->largest, "table 'trials'");
  // Two times and an empty list a row.
  EXPECT_GT(weight->largest_bytes, static_cast<int64_t>(kRows * (16 + sizeof(Texts))));
  EXPECT_LT(weight->largest_bytes, static_cast<int64_t>(kRows * (40 + sizeof(Texts))));
  EXPECT_GE(weight->bytes, weight->largest_bytes);
}

TEST_F(StoredWeightTest, NamesTheLargestSeries) {
  for (const auto& [name, samples] : {std::pair("speed", 10), std::pair("position", 1000)}) {
    Series series;
    series.name = name;
    series.channels = {"x"};
    series.timestamps.assign(static_cast<size_t>(samples), 0);
    series.values = series.timestamps;
    recording_.series.push_back(series);
  }
  const auto weight = Weigh();
  ASSERT_TRUE(weight.ok()) << weight.status();
  EXPECT_EQ(weight->largest, "series 'position'");
  EXPECT_GT(weight->largest_bytes, 16'000);
}

TEST_F(StoredWeightTest, SpikesInMemoryWeighInBothForms) {
  recording_.units[0].spike_times.assign(100'000, 1);
  const auto first = Weigh();
  recording_.observed = {{0, 5}};
  const auto second = Weigh();
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_GT(first->bytes, 800'000);
  EXPECT_GT(second->bytes, 800'000);
  EXPECT_EQ(second->largest, "spikes");
}

TEST_F(StoredWeightTest, DamageIsSeen) {
  const std::string whole = Serialise(recording_);
  for (size_t size = 1; size < whole.size(); size += 7) {
    (void)WeighStored(dir_.Write("cut", whole.substr(0, size)));  // ends, whatever it says
  }
  EXPECT_FALSE(WeighStored(dir_.Write("cut", whole.substr(0, 40))).ok());
}

}  // namespace
}  // namespace saed::recordings
