// Folders of SpikeInterface. The acceptance cases in tests/acceptance/field have more of them.
#include <gtest/gtest.h>

#include <cstring>

#include "server/base/faults.h"
#include "server/recordings/import.h"
#include "server/recordings/readers/registry.h"
#include "tests/tools/temp_dir.h"

namespace saed::recordings {
namespace {

using saed::test_tools::TempDir;

struct Spike {
  int64_t sample, unit, segment;
};

std::string SpikesNpy(const std::vector<Spike>& spikes) {
  std::string header =
      "{'descr': [('sample_index', '<i8'), ('unit_index', '<i8'), ('segment_index', '<i8')], "
      "'fortran_order': False, 'shape': (" +
      std::to_string(spikes.size()) + ",), }\n";
  std::string out("\x93NUMPY\x01\x00", 8);
  out += static_cast<char>(header.size());
  out += '\0';
  out += header;
  out.append(reinterpret_cast<const char*>(spikes.data()), spikes.size() * sizeof(Spike));
  return out;
}

class Folder {
 public:
  void Write(const std::string& name, const std::string& bytes) {
    const std::string own = std::to_string(files_.size());
    dir_.Write(own, bytes);
    files_.push_back({Role::kMain, name, dir_ / own});
  }
  absl::StatusOr<Imported> Read() const { return Import({}, files_); }

 private:
  TempDir dir_;
  std::vector<ImportFile> files_;
};

TEST(SpikeInterface, OneSegmentWithItsOwnIds) {
  Folder f;
  f.Write("numpysorting_info.json",
          R"({"sampling_frequency": 1000.0, "unit_ids": [7, 3], "num_segments": 1})");
  f.Write("spikes.npy", SpikesNpy({{10, 0, 0}, {20, 1, 0}, {30, 0, 0}}));
  const auto got = f.Read();
  ASSERT_TRUE(got.ok()) << got.status();
  const Recording& r = got->recording;
  EXPECT_EQ(r.source, "spikeinterface");
  ASSERT_EQ(r.units.size(), 2u);
  EXPECT_EQ(r.units[0].id, 7);
  EXPECT_EQ(r.units[0].spike_times, (SpikeTrain{0.01, 0.03}));
  EXPECT_EQ(r.units[1].spike_times, (SpikeTrain{0.02}));
  EXPECT_TRUE(got->warnings.empty());
}

TEST(SpikeInterface, SegmentsOfAnAnalyzerAreLaidASecondApart) {
  Folder f;
  f.Write("a/spikeinterface_info.json", "{}");
  f.Write("a/sorting/numpysorting_info.json",
          R"({"sampling_frequency": 1000.0, "unit_ids": ["x", "y"], "num_segments": 2})");
  f.Write("a/sorting/spikes.npy",
          SpikesNpy({{10, 0, 0}, {5000, 0, 0}, {20, 1, 1}, {-1, 1, 1}, {30, 9, 1}}));
  f.Write("a/recording_info/recording_attributes.json",
          R"({"sampling_frequency": 1000.0, "num_samples": [2000, 3000], "gain": NaN})");
  f.Write("a/extensions/quality_metrics/metrics.csv", ",snr,kind\ny,2.5,b\nx,,a\n");
  const auto got = f.Read();
  ASSERT_TRUE(got.ok()) << got.status();
  const Recording& r = got->recording;
  EXPECT_EQ(r.units[1].id, 1);
  EXPECT_EQ(std::get<Texts>(r.unit_columns.Find("original_id")->values), (Texts{"x", "y"}));
  EXPECT_EQ(std::get<Texts>(r.unit_columns.Find("kind")->values), (Texts{"a", "b"}));
  EXPECT_EQ(std::get<Numbers>(r.unit_columns.Find("snr")->values)[1], 2.5);
  EXPECT_EQ(r.units[0].spike_times, (SpikeTrain{0.01}));
  EXPECT_EQ(r.units[1].spike_times, (SpikeTrain{3.02}));
  EXPECT_EQ(r.observed, (Spans{{0, 2}, {3, 6}}));
  ASSERT_EQ(r.intervals.size(), 1u);
  EXPECT_EQ(r.intervals[0].start, (Numbers{0, 3}));
}

TEST(SpikeInterface, DifferentRatesAreRefusedWithBoth) {
  Folder f;
  f.Write("sorting/numpysorting_info.json",
          R"({"sampling_frequency": 1000.0, "unit_ids": [1], "num_segments": 1})");
  f.Write("sorting/spikes.npy", SpikesNpy({{10, 0, 0}}));
  f.Write("recording_info/recording_attributes.json", R"({"sampling_frequency": 30000.0})");
  const auto got = f.Read();
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(FaultsOf(got.status())[0].field, "sampling_rate");
}

TEST(SpikeInterface, DamagedInfoIsRefused) {
  for (const char* info : {"", "[", "[]", "{}", R"({"sampling_frequency": 1e999})",
                           R"({"sampling_frequency": 1000, "unit_ids": {}, "num_segments": 1})",
                           R"({"sampling_frequency": 1000, "unit_ids": [[1]], "num_segments": 1})",
                           R"({"sampling_frequency": 1000, "unit_ids": [1], "num_segments": 1e18})",
                           R"({"sampling_frequency": -1, "unit_ids": [1], "num_segments": 1})"}) {
    Folder f;
    f.Write("numpysorting_info.json", info);
    f.Write("spikes.npy", SpikesNpy({{10, 0, 0}}));
    EXPECT_FALSE(f.Read().ok()) << info;
  }
}

}  // namespace
}  // namespace saed::recordings
