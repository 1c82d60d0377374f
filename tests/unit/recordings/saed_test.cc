#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/base/npy.h"
#include "server/recordings/import.h"
#include "tests/tools/temp_dir.h"

namespace saed::recordings {
namespace {

using saed::test_tools::TempDir;
using testing::ElementsAre;
using testing::HasSubstr;

// A folder as `saectl recordings download` writes it, whose files tests may replace.
class Saed : public testing::Test {
 protected:
  Saed() {
    files_["recording.json"] =
        R"({"saed_recording": 1, "name": "m", "source": "nwb", "sampling_rate": 4, "duration": 12,
            "units": {"name": "units", "columns": [
              {"title": "label_2", "name": "label", "kind": "text"},
              {"title": "amp", "name": "amp", "kind": "number"},
              {"title": "tags", "name": "tags", "kind": "list"}]},
            "electrodes": {"name": "electrodes", "columns": [
              {"title": "x", "name": "x", "kind": "number"}]},
            "intervals": [{"name": "a/b", "file": "intervals/a_b.csv", "columns": [
              {"title": "start_time", "name": "start_time", "kind": "number"},
              {"title": "stop_time", "name": "stop_time", "kind": "number"},
              {"title": "code", "name": "code", "kind": "text"}]}],
            "series": [{"name": "speed", "file": "series/speed.csv", "unit": "m/s",
                        "channels": ["time", "v"]}]})";
    files_["units.csv"] =
        "id,label,region,depth,label_2,amp,tags\n"
        "9,good,CA1,,007,1.5,\"[\"\"a,b\"\",\"\"c\"\"]\"\n"
        "4,, V1 ,20,None,,[]\n";
    files_["spike_times.npy"] = MakeNpy({0.25, 1.5, 7}, {3});
    files_["spike_clusters.npy"] = MakeNpy({9, 9, 9}, {3});
    files_["observed.csv"] = "unit,start_time,stop_time\n,0,8\n4,1,2\n";
    files_["electrodes.csv"] = "x\n1\n2\n";
    files_["intervals/a_b.csv"] = "start_time,stop_time,code\n0,1,01\n2,3,\n";
    files_["series/speed.csv"] = "time,\"time (2)\",v\n0,1,2\n1,3,\n";
  }

  absl::StatusOr<Imported> Read(bool strict = true) {
    std::vector<ImportFile> files;
    for (const auto& [name, bytes] : files_) {
      const std::string path = std::to_string(files.size());
      dir_.Write(path, bytes);
      files.push_back({Role::kMain, name, dir_ / path});
    }
    ImportSpec spec;
    spec.strict = strict;
    return Import(spec, files);
  }

  TempDir dir_;
  std::map<std::string, std::string> files_;
};

TEST_F(Saed, EverythingComesBack) {
  const auto got = Read();
  ASSERT_TRUE(got.ok()) << got.status();
  const Recording& r = got->recording;
  EXPECT_EQ(r.source, "nwb");
  EXPECT_EQ(r.sampling_rate, 4);
  EXPECT_EQ(r.duration, 12);
  ASSERT_EQ(r.units.size(), 2u);
  EXPECT_EQ(r.units[0].id, 9);
  EXPECT_EQ(r.units[0].spike_times, (SpikeTrain{0.25, 1.5, 7}));
  EXPECT_TRUE(r.units[1].spike_times.empty());
  EXPECT_EQ(r.units[1].region, " V1 ");
  EXPECT_EQ(r.units[1].depth, 20);
  EXPECT_EQ(std::get<Texts>(r.unit_columns.Find("label")->values), (Texts{"007", "None"}));
  EXPECT_EQ(std::get<Numbers>(r.unit_columns.Find("amp")->values)[0], 1.5);
  EXPECT_EQ(std::get<TextLists>(r.unit_columns.Find("tags")->values),
            (TextLists{{"a,b", "c"}, {}}));
  EXPECT_EQ(r.observed, (Spans{{0, 8}}));
  EXPECT_EQ(r.units[1].observed, (Spans{{1, 2}}));
  EXPECT_EQ(r.electrodes.columns.at(0).rows(), 2u);
  ASSERT_NE(r.FindIntervals("a/b"), nullptr);
  EXPECT_EQ(std::get<Texts>(r.FindIntervals("a/b")->table.Find("code")->values), (Texts{"01", ""}));
  EXPECT_EQ(r.series.at(0).unit, "m/s");
  EXPECT_THAT(r.series[0].channels, ElementsAre("time", "v"));
  EXPECT_EQ(r.series[0].values[2], 3);
}

// Simulated recordings end at a round number.
TEST_F(Saed, TheDurationIsTheSameToTheBit) {
  for (const char* duration : {"1200.0", "1200.0000000000002", "8"}) {
    std::string& manifest = files_["recording.json"];
    const size_t at = manifest.find("\"duration\": ");
    manifest.replace(at, manifest.find(',', at) - at, std::string("\"duration\": ") + duration);
    const auto got = Read();
    ASSERT_TRUE(got.ok()) << got.status();
    EXPECT_EQ(got->recording.duration, std::stod(duration));
  }
}

TEST_F(Saed, WhatWasEditedIsSaidOrRefused) {
  files_["units.csv"] = "id,label,region,depth,new\n9,,,,1\n";
  files_.erase("observed.csv");
  files_["intervals/a_b.csv"] = "start_time\nx\n";
  files_["spike_times.npy"] = MakeNpy({0.25, 1.6, 7}, {3});
  files_["spike_clusters.npy"] = MakeNpy({9, 8, 9}, {3});
  const auto got = Read(false);
  ASSERT_TRUE(got.ok()) << got.status();
  std::string lines;
  for (const auto& line : got->warnings) lines += line + "\n";
  EXPECT_THAT(lines, HasSubstr("units.csv: 3 columns not there any more"));
  EXPECT_THAT(lines, HasSubstr("1 spikes of units that units.csv does not name left out"));
  EXPECT_THAT(lines, HasSubstr("intervals/a_b.csv: left out"));
  EXPECT_FALSE(Read().ok());
  files_["units.csv"] = "id,label,region,depth\n9,,,\n9,,,\n";
  EXPECT_THAT(std::string(Read(false).status().message()), HasSubstr("each once"));
  files_["recording.json"] = R"({"saed_recording": 2})";
  EXPECT_THAT(std::string(Read(false).status().message()), HasSubstr("later version"));
}

TEST_F(Saed, CountsHaveTheUnitsOfTheTable) {
  files_.erase("spike_times.npy");
  files_.erase("spike_clusters.npy");
  files_["recording.json"] = R"({"saed_recording": 1, "bin_width": 0.5})";
  files_["counts.npy"] = MakeNpy({1, 0, 2, 3, 0, 0}, {3, 2});
  const auto got = Read(false);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->recording.counts.bins, 3);
  EXPECT_EQ(got->recording.units[0].id, 9);
  EXPECT_EQ(got->recording.source, "saed");
}

}  // namespace
}  // namespace saed::recordings
