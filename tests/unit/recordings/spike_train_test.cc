// Spike trains in memory and in files, and the stored form of either.
#include "server/recordings/spike_train.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "server/recordings/store_format.h"
#include "tests/tools/temp_dir.h"

namespace saed::recordings {
namespace {

// Spikes of `units` trains that together take more room than is kept in memory, in turns.
std::vector<SpikeTrain> Many(size_t units, size_t each) {
  auto buffer = SpikeBuffer::Make(std::vector<int64_t>(units, static_cast<int64_t>(each)));
  EXPECT_TRUE(buffer.ok()) << buffer.status();
  for (size_t i = 0; i < each; ++i) {
    for (size_t n = 0; n < units; ++n) {
      buffer->Add(n, static_cast<double>(i) + static_cast<double>(n) / 8);
    }
  }
  return buffer->Take();
}

TEST(SpikeBuffer, KeepsTheOrderOfEachUnit) {
  for (const size_t each : {size_t{1000}, size_t{3'000'000}}) {
    const auto trains = Many(3, each);
    ASSERT_EQ(trains.size(), 3U);
    for (size_t n = 0; n < 3; ++n) {
      ASSERT_EQ(trains[n].size(), each);
      size_t wrong = 0;
      for (size_t i = 0; i < each; ++i) {
        wrong += trains[n][i] != static_cast<double>(i) + static_cast<double>(n) / 8;
      }
      EXPECT_EQ(wrong, 0U);
    }
  }
}

TEST(SpikeBuffer, TakesFewerThanThereIsRoomFor) {
  auto buffer = SpikeBuffer::Make({10'000'000, 10});
  ASSERT_TRUE(buffer.ok()) << buffer.status();
  buffer->Add(1, 4.5);
  const auto trains = buffer->Take();
  EXPECT_TRUE(trains[0].empty());
  EXPECT_EQ(trains[1], (SpikeTrain{4.5}));
}

TEST(StoreFormat, ManySpikesStayInTheFile) {
  test_tools::TempDir dir;
  Recording r;
  const auto trains = Many(3, 3'000'000);
  r.units.resize(3);
  for (size_t n = 0; n < 3; ++n) r.units[n].spike_times = trains[n];
  r.units[1].label = "odd length";
  ASSERT_TRUE(SerialiseTo(dir / "r", r).ok());
  EXPECT_EQ(std::filesystem::file_size(dir / "r"), Serialise(r).size());
  const auto mapped = ParseFile(dir / "r");
  ASSERT_TRUE(mapped.ok()) << mapped.status();
  for (size_t n = 0; n < 3; ++n) EXPECT_EQ(mapped->units[n].spike_times, trains[n]);
  EXPECT_EQ(mapped->units[1].label, "odd length");
  std::filesystem::resize_file(dir / "r", std::filesystem::file_size(dir / "r") - 8);
  EXPECT_EQ(ParseFile(dir / "r").status().code(), absl::StatusCode::kDataLoss);
}

TEST(StoreFormat, ObservedTimesAreKept) {
  Recording r;
  r.units.resize(2);
  r.units[0].spike_times = {1, 2};
  r.units[1].spike_times = {1.5};
  r.units[1].observed = {{1, 1.75}};
  r.observed = {{0, 1}, {1.25, 3}};
  const std::string bytes = Serialise(r);
  const auto again = Parse(bytes);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->observed, r.observed);
  EXPECT_EQ(again->units[1].observed, r.units[1].observed);
  EXPECT_EQ(again->units[1].spike_times, r.units[1].spike_times);
  EXPECT_EQ(Serialise(*again), bytes);
  for (size_t cut = 0; cut < bytes.size(); cut += 3) {
    EXPECT_EQ(Parse(bytes.substr(0, cut)).status().code(), absl::StatusCode::kDataLoss) << cut;
  }
}

// One was once refused from a file and taken from memory: it claimed counts without their width.
TEST(StoreFormat, DamageIsTheSameInMemoryAndInAFile) {
  test_tools::TempDir dir;
  Recording r;
  r.units.resize(2);
  r.units[1].spike_times = {1.5};
  r.observed = {{0, 1}, {1.25, 3}};
  const std::string bytes = Serialise(r);
  for (size_t at = 0; at < bytes.size(); ++at) {
    std::string damaged = bytes;
    damaged[at] = '\x99';
    EXPECT_EQ(ParseFile(dir.Write("r", damaged)).ok(), Parse(damaged).ok()) << at;
  }
}

TEST(StoreFormat, CountsWithObservedTimesAreKept) {
  Recording r;
  r.units.resize(3);
  r.counts = {0.01, DType::kU8, 2, {1, 2, 3, 4, 5, 6}, nullptr};
  r.observed = {{0, 0.01}};
  const auto again = Parse(Serialise(r));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->counts.bytes, r.counts.bytes);
  EXPECT_EQ(again->observed, r.observed);
}

}  // namespace
}  // namespace saed::recordings
