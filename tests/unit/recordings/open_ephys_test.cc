#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "server/base/faults.h"
#include "server/base/npy.h"
#include "server/recordings/import.h"
#include "server/recordings/readers/registry.h"
#include "tests/tools/temp_dir.h"

namespace saed::recordings {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

template <class T>
std::string Npy(const char* descr, const std::vector<T>& values) {
  std::string out = NpyHeader(descr, {static_cast<int64_t>(values.size())});
  return out.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

class OpenEphys : public testing::Test {
 protected:
  void Write(const std::string& name, const std::string& bytes) {
    std::filesystem::create_directories(std::filesystem::path(dir_ / name).parent_path());
    files_.push_back({Role::kMain, name, dir_.Write(name, bytes)});
  }
  void Spikes(const std::string& recording, const std::string& electrode,
              const std::vector<int64_t>& samples, const std::vector<double>& times,
              const std::vector<int32_t>& ids) {
    const std::string folder = recording + "spikes/Sorter-105.Main/" + electrode + "/";
    Write(folder + "sample_numbers.npy", Npy("<i8", samples));
    Write(folder + "timestamps.npy", Npy("<f8", times));
    Write(folder + "clusters.npy", Npy("<i4", ids));
  }
  void Structure(const std::string& recording, const std::string& text = "{}") {
    Write(recording + "structure.oebin", text);
  }
  absl::StatusOr<Imported> Get(std::map<std::string, std::string> values = {},
                               const std::string& format = "") {
    ImportSpec spec;
    spec.format = format;
    spec.options.values = std::move(values);
    return Import(spec, files_);
  }

  test_tools::TempDir dir_;
  std::vector<ImportFile> files_;
};

std::string Field(const absl::Status& status) {
  const auto faults = FaultsOf(status);
  return faults.empty() ? "" : faults[0].field;
}

TEST_F(OpenEphys, UnitsAreElectrodesAndSortedIds) {
  Structure("experiment1/recording1/");
  Spikes("experiment1/recording1/", "A", {1000, 2000, 3000}, {0.1, 0.2, 0.3}, {0, 1, 1});
  Spikes("experiment1/recording1/", "B", {1500}, {0.15}, {1});
  const auto got = Get();
  ASSERT_TRUE(got.ok()) << got.status();
  const Recording& r = got->recording;
  EXPECT_EQ(r.source, "open_ephys");
  ASSERT_EQ(r.units.size(), 3u);
  EXPECT_EQ(r.units[0].label, "unsorted");
  EXPECT_EQ(r.units[1].spike_times, (Numbers{0.2, 0.3}));
  EXPECT_EQ(r.units[2].spike_times, (Numbers{0.15}));
  EXPECT_EQ(std::get<Texts>(r.unit_columns.Find("electrode")->values), (Texts{"A", "A", "B"}));
  EXPECT_EQ(std::get<Texts>(r.unit_columns.Find("original_id")->values), (Texts{"0", "1", "1"}));
}

TEST_F(OpenEphys, HostileNumbersAreDroppedAndSaid) {
  constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();
  Structure(
      "e/recording1/",
      R"({"spikes": [7, {"folder": 3}, {"folder": "Sorter-105.Main/A/", "sample_rate": 30000,)"
      R"( "name": "one"}], "events": {}})");
  Spikes("e/recording1/", "A", {kLeast, -1, std::numeric_limits<int64_t>::max(), 30000},
         {kNan, -1, INFINITY, 1e300}, {1, 1, 1, 1});
  auto got = Get({{"clock", "samples"}});
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->recording.units[0].spike_times, (Numbers{1}));
  EXPECT_NE(got->warnings[0].find("3 spikes without a time"), std::string::npos);
  EXPECT_EQ(std::get<Texts>(got->recording.unit_columns.Find("electrode")->values), (Texts{"one"}));
}

TEST_F(OpenEphys, NamesAreNoPatterns) {
  Structure("a*******************************/recording1/");
  Spikes("a/recording1/", "A", {1, 2}, {0.1, 0.2}, {1, 1});
  EXPECT_EQ(Field(Get({}, "open_ephys").status()), "files");
}

TEST_F(OpenEphys, RatesThatCannotBeSetNoSpan) {
  Structure("recording1/",
            R"({"spikes": [{"folder": "Sorter-105.Main/A", "sample_rate": 1e-300}]})");
  Write("recording1/sync_messages.txt", "Start Time for B (1) - Main @ inf Hz: nan\n@:\n@\n:@ -");
  Spikes("recording1/", "A", {1, 2}, {0.1, 0.2}, {1, 1});
  const auto got = Get();
  ASSERT_TRUE(got.ok()) << got.status();
  ASSERT_TRUE(got->recording.observed);
  ASSERT_EQ(got->recording.observed->size(), 1u);
  EXPECT_EQ((*got->recording.observed)[0], (std::pair{0.1, 0.2}));
}

TEST_F(OpenEphys, NoSampleRateIsRefused) {
  Structure("e/recording1/");
  Spikes("e/recording1/", "A", {1, 2}, {-1, -1}, {1, 1});
  EXPECT_EQ(Field(Get().status()), "sampling_rate");
}

TEST_F(OpenEphys, ClustersThatAreNoWholeNumbersLeaveTheElectrodeOut) {
  Structure("e/recording1/");
  Spikes("e/recording1/", "A", {1, 2}, {0.1, 0.2}, {1, 1});
  Write("e/recording1/spikes/Sorter-105.Main/B/sample_numbers.npy", Npy<int64_t>("<i8", {1}));
  Write("e/recording1/spikes/Sorter-105.Main/B/clusters.npy", MakeNpy({0.5}, {1}));
  const auto got = Get();
  ASSERT_TRUE(got.ok()) << got.status();
  ASSERT_EQ(got->recording.units.size(), 1u);
  EXPECT_NE(got->warnings[0].find("Main/B/"), std::string::npos) << got->warnings[0];
}

TEST_F(OpenEphys, RecordingsFollowOneAnother) {
  for (const int n : {2, 10, 1}) {
    const std::string folder = "e/recording" + std::to_string(n) + "/";
    Structure(folder);
    Write(folder + "sync_messages.txt",
          "Software Time (milliseconds since midnight Jan 1st 1970 UTC): 1\nStart Time for Board "
          "(100) - Main @ 1000 Hz: " +
              std::to_string(n * 1000) + "\n");
    Spikes(folder, "A", {n * 1000 + 500}, {n + 0.5}, {4});
  }
  const auto got = Get();
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->recording.units[0].id, 4);
  EXPECT_EQ(got->recording.units[0].spike_times, (Numbers{1.5, 2.5, 10.5}));
  ASSERT_TRUE(got->recording.observed);
  ASSERT_EQ(got->recording.observed->size(), 3u);
  EXPECT_EQ((*got->recording.observed)[1], (std::pair{2.0, 2.5 + 0.001}));
  EXPECT_EQ((*got->recording.observed)[2].first, 10.0);
}

TEST_F(OpenEphys, RecordingsOfOtherClocksAreRefused) {
  for (const char* folder : {"e/recording1/", "e/recording2/"}) {
    Structure(folder);
    Spikes(folder, "A", {500, 900}, {0.5, 0.9}, {4, 4});
  }
  EXPECT_EQ(Field(Get().status()), "options.recording");
  EXPECT_TRUE(Get({{"recording", "e/recording2"}}).ok());
}

TEST_F(OpenEphys, LinesOfTwoSourcesKeepTheirNames) {
  Structure("recording1/");
  Spikes("recording1/", "A", {1, 2}, {0.1, 5}, {1, 1});
  for (const char* source : {"Board-100.Main", "NI-DAQ-101.NI 6133"}) {
    const std::string folder = std::string("recording1/events/") + source + "/TTL/";
    Write(folder + "sample_numbers.npy", Npy<int64_t>("<i8", {1, 2}));
    Write(folder + "timestamps.npy", Npy<double>("<f8", {1, 2}));
    Write(folder + "states.npy", Npy<int16_t>("<i2", {3, -3}));
  }
  const auto got = Get();
  ASSERT_TRUE(got.ok()) << got.status();
  ASSERT_EQ(got->recording.intervals.size(), 2u);
  EXPECT_EQ(got->recording.intervals[0].table.name, "Board_100_Main_TTL_3");
  EXPECT_EQ(got->recording.intervals[1].table.name, "NI_DAQ_101_NI_6133_TTL_3");
  EXPECT_EQ(got->recording.intervals[1].stop, (Numbers{2}));
}

// Another format's files inside: neither is taken for the other.
TEST_F(OpenEphys, ASortingInsideIsSaid) {
  Structure("e/recording1/");
  Spikes("e/recording1/", "A", {1, 2}, {0.1, 0.2}, {1, 1});
  Write("e/recording1/kilosort4/spike_times.npy", Npy<int64_t>("<i8", {300}));
  Write("e/recording1/kilosort4/spike_clusters.npy", Npy<int32_t>("<i4", {5}));
  Write("e/recording1/kilosort4/params.py", "sample_rate = 30000.\n");
  const auto got = Get();
  EXPECT_EQ(Field(got.status()), "format");
  EXPECT_NE(got.status().message().find("open_ephys, phy"), std::string::npos) << got.status();
  EXPECT_TRUE(Get({}, "open_ephys").ok());
  files_.erase(std::remove_if(
                   files_.begin(), files_.end(),
                   [](const ImportFile& f) { return f.name.find("spikes/") != std::string::npos; }),
               files_.end());
  EXPECT_EQ(Get()->recording.source, "phy");
}

}  // namespace
}  // namespace saed::recordings
