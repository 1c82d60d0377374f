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

absl::StatusOr<Imported> ReadText(const char* name, const std::string& bytes) {
  TempDir dir;
  dir.Write(name, bytes);
  return Import({}, {{Role::kMain, name, dir / name}});
}

TEST(Spikes, TextsAsAllTablesAre) {
  for (const char* text :
       {"unit;time\n7;0,5\n7;1,25\n", "# from the lab\runit,time\r7,0.5\r7,1.25\r",
        "\"unit\",\"time\"\n\"7\",\"0.5\"\n\"7\",\"1.25\"\n",
        "\xEF\xBB\xBFunit,time\n7,0.5\n7,1.25\n", "Unit,Time\n7.0,0.5\n7,1.25\n",
        ",unit,time\n0,7,0.5\n1,7,1.25\n2,NA,2.5\n"}) {
    const auto got = ReadText("s.csv", text);
    ASSERT_TRUE(got.ok()) << text << got.status();
    ASSERT_EQ(got->recording.units.size(), 1u) << text;
    EXPECT_EQ(got->recording.units[0].id, 7) << text;
    EXPECT_EQ(got->recording.units[0].spike_times, (SpikeTrain{0.5, 1.25})) << text;
  }
}

TEST(Spikes, IdsOfTextKeepAllTheirDigits) {
  const auto got = ReadText("s.csv", "unit,time\n9007199254740993,0.5\n9007199254740992,0.75\n");
  ASSERT_TRUE(got.ok()) << got.status();
  ASSERT_EQ(got->recording.units.size(), 2u);
  EXPECT_EQ(got->recording.units[1].id, 9007199254740993);
}

TEST(Spikes, OneColumnThatIsCalledSoIsOneUnit) {
  const auto named = ReadText("session.csv", "spike_times\n0.5\n1.25\n");
  ASSERT_TRUE(named.ok()) << named.status();
  EXPECT_EQ(named->recording.units[0].spike_times, (SpikeTrain{0.5, 1.25}));
  const auto file = ReadText("spikes.txt", "0.5\n1.25\n");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->recording.units[0].spike_times, (SpikeTrain{0.5, 1.25}));
}

TEST(Spikes, ASeriesIsNoSpikes) {
  for (const char* text : {"time,x\n0.5,1\n1.5,2\n", "time,x,y\n0,0.25,1\n0.1,0.5,1\n",
                           "start_time,stop_time,choice\n0,1,1\n1,2,0\n"}) {
    const auto got = ReadText("behaviour.csv", text);
    ASSERT_FALSE(got.ok()) << text;
    EXPECT_NE(got.status().message().find("behaviour.csv (with the columns "), std::string::npos)
        << got.status();
    EXPECT_NE(got.status().message().find("spike_clusters.npy"), std::string::npos);
  }
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

TEST(Beside, TablesAreFoundByTheirNames) {
  TempDir dir;
  std::vector<ImportFile> files;
  const auto add = [&](const std::string& name, const std::string& bytes) {
    const std::string path = std::to_string(files.size());
    dir.Write(path, bytes);
    files.push_back({Role::kMain, name, dir / path});
  };
  add("spike_times.npy", MakeNpy({0.5, 1.25, 9.5}, {3}));
  add("spike_clusters.npy", MakeNpy({3, 5, 3}, {3}));
  add("units.csv", "id,region\n3,CA1\n4,\n5,V1\n");
  add("trials.csv", "start_time,stop_time\n0,4\n4,9\n");
  add("intervals/laps.tsv", "start\tstop\n1\t2\n");
  add("intervals/bad.csv", "a,b\n1,2\n");
  add("series/speed.csv", "time,v\n0,1\n1,2\n");
  add("notes.csv", "who,what\na,b\n");
  const auto got = Import({}, files);
  ASSERT_TRUE(got.ok()) << got.status();
  const Recording& r = got->recording;
  ASSERT_EQ(r.units.size(), 3u);
  EXPECT_EQ(r.units[1].id, 4);
  EXPECT_EQ(r.units[2].region, "V1");
  EXPECT_EQ(r.FindIntervals("trials")->rows(), 2u);
  EXPECT_EQ(r.FindIntervals("laps")->rows(), 1u);
  EXPECT_EQ(r.series.at(0).name, "speed");
  std::string lines;
  for (const auto& line : got->warnings) lines += line + "\n";
  EXPECT_NE(lines.find("intervals/bad.csv: left out"), std::string::npos) << lines;
  EXPECT_NE(lines.find("notes.csv: lies beside the data and is not read"), std::string::npos);
  // One that is given too is read, and so is one whose name a table of the recording has.
  dir.Write(std::to_string(files.size() - 1), "start,stop\n1,2\n");
  dir.Write("same bytes", "start,stop\n1,2\n");
  dir.Write("others", "start,stop\n1,2.5\n");
  const std::pair<std::string, std::string> ways[] = {{"mine", "same bytes"}, {"notes", "others"}};
  for (const auto& [table, file] : ways) {
    auto with = files;
    with.push_back({Role::kIntervals, table, dir / file});
    const auto known = Import({}, with);
    ASSERT_TRUE(known.ok()) << known.status();
    for (const auto& line : known->warnings) EXPECT_EQ(line.find("notes.csv"), line.npos) << line;
  }
  // What was given counts.
  dir.Write("given", "start,stop\n1,2\n");
  files.push_back({Role::kIntervals, "trials", dir / "given"});
  const auto again = Import({}, files);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->recording.FindIntervals("trials")->rows(), 1u);
}

}  // namespace
}  // namespace saed::recordings
