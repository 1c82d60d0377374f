// NWB files made to its layout: what is read, what is left out with a note, what is refused.
#include "server/recordings/readers/nwb.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "server/recordings/import.h"
#include "tests/tools/nwb_writer.h"
#include "tests/tools/temp_dir.h"

namespace saed::recordings {
namespace {

using test_tools::NwbWriter;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

class NwbTest : public ::testing::Test {
 protected:
  // Units 3 and 7 with three and two spikes.
  static void Units(NwbWriter& w, const std::string& path = "units") {
    w.Group(path);
    w.Attribute(path, "neurodata_type", {"Units"});
    w.Integers(path + "/id", {3, 7});
    w.Doubles(path + "/spike_times", {0.1, 0.2, 0.9, 0.15, 1.5});
    w.Integers(path + "/spike_times_index", {3, 5}, H5T_STD_U16LE);
  }
  template <class Write>
  absl::StatusOr<Imported> Read(const Write& write, const std::string& table = "") {
    const std::string path = dir_ / "a.nwb";
    {
      NwbWriter writer(path);
      write(writer);
    }
    ImportSpec spec;
    spec.format = "nwb";
    if (!table.empty()) spec.options.values["units_table"] = table;
    return Import(spec, {{Role::kMain, "a.nwb", path}});
  }
  static bool Warns(const Imported& got, const std::string& words) {
    for (const std::string& line : got.warnings) {
      if (line.find(words) != std::string::npos) return true;
    }
    return false;
  }

  test_tools::TempDir dir_;
};

TEST_F(NwbTest, SeveralUnitsTables) {
  const auto write = [](NwbWriter& w) {
    Units(w);
    w.Group("processing");
    w.Group("processing/ecephys");
    w.Group("processing/ecephys/b");
    w.Attribute("processing/ecephys/b", "neurodata_type", {"Units"});
    w.Integers("processing/ecephys/b/id", {3});
    w.Doubles("processing/ecephys/b/spike_times", {0.4});
    w.Integers("processing/ecephys/b/spike_times_index", {1});
  };
  const std::string fault(Read(write).status().message());
  EXPECT_NE(fault.find("units (2 units), processing/ecephys/b (1 units), or all"),
            std::string::npos)
      << fault;
  const auto one = Read(write, "/processing/ecephys/b");
  ASSERT_TRUE(one.ok()) << one.status();
  EXPECT_EQ(one->recording.units.size(), 1u);
  const auto all = Read(write, "all");
  ASSERT_TRUE(all.ok()) << all.status();
  ASSERT_EQ(all->recording.units.size(), 3u);
  EXPECT_EQ(all->recording.units[2].id, 2);
  EXPECT_EQ(std::get<Texts>(all->recording.unit_columns.Find("original_id")->values),
            Texts({"3", "7", "3"}));
  EXPECT_EQ(std::get<Texts>(all->recording.unit_columns.Find("probe")->values)[2],
            "processing/ecephys/b");
}

TEST_F(NwbTest, ColumnsThatMakeNoSenseAreLeftOut) {
  const auto got = Read([](NwbWriter& w) {
    Units(w);
    w.Doubles("units/snr", {1.5, 2.5});
    w.Doubles("units/short", {1});
    w.Doubles("units/square", {1, 2, 3, 4}, {2, 2});
    w.Texts("units/tags", {"a", "b", "c"});
    w.Integers("units/tags_index", {2, 9});
    w.Doubles("units/bursts", {1, 2, 3});
    w.Integers("units/bursts_index", {1, 3});
    w.Integers("units/bursts_index_index", {1, 2});
    w.Doubles("units/amplitudes", {1, 2, 3, 4, 5});
    w.Integers("units/amplitudes_index", {3, 5});
  });
  ASSERT_TRUE(got.ok()) << got.status();
  const auto& columns = got->recording.unit_columns.columns;
  ASSERT_EQ(columns.size(), 1u);
  EXPECT_EQ(columns[0].name, "snr");
  for (const char* words :
       {"units/short: left out: has 1 rows", "units/square: left out: has 2 dimensions",
        "units/tags: left out: units/tags_index [1] is 9", "units/bursts: left out: is a list of",
        "units: amplitudes: a value per spike"}) {
    EXPECT_TRUE(Warns(*got, words)) << words;
  }
}

TEST_F(NwbTest, PaddingAndDuplicateIds) {
  const auto got = Read([](NwbWriter& w) {
    w.Group("units");
    w.Integers("units/id", {5, 5});
    w.Doubles("units/spike_times", {0.1, kNan, 0.3, kNan});
    w.Integers("units/spike_times_index", {2, 4});
  });
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->recording.units[0].spike_times, SpikeTrain({0.1}));
  EXPECT_EQ(got->recording.units[1].spike_times, SpikeTrain({0.3}));
  EXPECT_EQ(got->recording.units[1].id, 1);
  EXPECT_TRUE(Warns(*got, "2 NaN values dropped, the first is [1]"));
  EXPECT_TRUE(Warns(*got, "1 of 2 ids come more than once"));
}

TEST_F(NwbTest, IdsBeyond63BitsKeepTheirDigits) {
  const auto got = Read([](NwbWriter& w) {
    w.Group("units");
    const uint64_t ids[] = {18446744073709551615U, 18446744073709551614U, 5};
    w.Raw("units/id", H5T_NATIVE_UINT64, {3}, ids);
    w.Doubles("units/spike_times", {0.1, 0.2, 0.3});
    w.Integers("units/spike_times_index", {1, 2, 3});
  });
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->recording.units[2].id, 2);
  EXPECT_EQ(std::get<Texts>(got->recording.unit_columns.Find("original_id")->values),
            Texts({"18446744073709551615", "18446744073709551614", "5"}));
  EXPECT_TRUE(Warns(*got, "units/id: are not all below 2^63"));
  EXPECT_FALSE(Warns(*got, "more than once"));
}

TEST_F(NwbTest, AGroupUnderSeveralPathsCountsOnce) {
  const auto write = [](NwbWriter& w) {
    Units(w);
    w.Group("processing");
    w.Group("processing/ecephys");
    H5Lcreate_soft("/units", w.file(), "processing/ecephys/units", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_hard(w.file(), "/units", w.file(), "processing/ecephys/hard", H5P_DEFAULT,
                   H5P_DEFAULT);
    H5Lcreate_soft("/", w.file(), "processing/loop", H5P_DEFAULT, H5P_DEFAULT);
    w.Group("processing/speed");
    w.Doubles("processing/speed/data", {1, 2});
    w.Doubles("processing/speed/timestamps", {0, 1});
    H5Lcreate_hard(w.file(), "processing/speed", w.file(), "processing/again", H5P_DEFAULT,
                   H5P_DEFAULT);
  };
  for (const char* table : {"", "processing/ecephys/units"}) {
    const auto got = Read(write, table);
    ASSERT_TRUE(got.ok()) << got.status();
    EXPECT_EQ(got->recording.units.size(), 2u);
    ASSERT_EQ(got->recording.series.size(), 1u);
    EXPECT_EQ(got->recording.series[0].name, "again");
    EXPECT_TRUE(Warns(
        *got, "/: 4 links to a group that is read by another path passed over, the first is"));
  }
}

TEST_F(NwbTest, SpikesThatCannotBeToldApartAreRefused) {
  const auto no_index = Read([](NwbWriter& w) {
    w.Group("units");
    w.Integers("units/id", {1, 2});
    w.Doubles("units/spike_times", {0.1, 0.2});
  });
  EXPECT_NE(no_index.status().message().find("units/spike_times_index: is missing"),
            std::string::npos)
      << no_index.status();
  const auto samples = Read([](NwbWriter& w) {
    w.Group("units");
    w.Integers("units/id", {1});
    w.Integers("units/spike_times", {100, 200});
  });
  EXPECT_NE(samples.status().message().find("say the sampling rate"), std::string::npos)
      << samples.status();
}

TEST_F(NwbTest, RegionsByThePeakChannelOfAllen) {
  const auto got = Read([](NwbWriter& w) {
    Units(w);
    w.Integers("units/peak_channel_id", {850'000'002, 850'000'001});
    w.Texts("units/quality", {"good", "noise"});
    w.Group("general");
    w.Group("general/extracellular_ephys");
    const std::string at = "general/extracellular_ephys/electrodes";
    w.Group(at);
    w.Integers(at + "/id", {850'000'001, 850'000'002});
    w.Texts(at + "/location", {"VISp", "LP"});
    w.Doubles(at + "/probe_vertical_position", {40, 80});
  });
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->recording.units[0].region, "LP");
  EXPECT_EQ(got->recording.units[0].depth, 80);
  EXPECT_EQ(got->recording.units[1].label, "noise");
}

TEST_F(NwbTest, ObservedTimeLessInvalidTimes) {
  const auto got = Read([](NwbWriter& w) {
    Units(w);
    w.Doubles("units/obs_intervals", {0, 1, 1.2, 1.5, 0, 1, 1.2, 1.5}, {4, 2});
    w.Integers("units/obs_intervals_index", {2, 4});
    w.Group("intervals");
    w.Group("intervals/invalid_times");
    w.Doubles("intervals/invalid_times/start_time", {0.4, 0.25});
    w.Doubles("intervals/invalid_times/stop_time", {0.5, 0.45});
  });
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->recording.observed, (Spans{{0, 0.25}, {0.5, 1}, {1.2, 1.5}}));
  EXPECT_FALSE(got->recording.units[0].observed);
  EXPECT_NE(got->recording.FindIntervals("invalid_times"), nullptr);
}

TEST_F(NwbTest, AUnitWithoutObservedIntervalsWasNeverObserved) {
  const auto got = Read([](NwbWriter& w) {
    Units(w);
    w.Doubles("units/obs_intervals", {0, 1}, {1, 2});
    w.Integers("units/obs_intervals_index", {0, 1});
  });
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->recording.units[0].observed, Spans{});
  EXPECT_EQ(got->recording.units[1].observed, (Spans{{0, 1}}));
  EXPECT_TRUE(Warns(*got, "observed: 1 unit was never observed"));
  // Of spans that make no sense none is left either.
  const auto senseless = Read([](NwbWriter& w) {
    Units(w);
    w.Doubles("units/obs_intervals", {NAN, NAN, 0, 1}, {2, 2});
    w.Integers("units/obs_intervals_index", {1, 2});
  });
  ASSERT_TRUE(senseless.ok()) << senseless.status();
  EXPECT_EQ(senseless->recording.units[0].observed, Spans{});
  EXPECT_TRUE(Warns(*senseless, "units/obs_intervals: 1 interval dropped"));
}

TEST_F(NwbTest, OneLateSampleOfASeriesCostsOnlyItself) {
  const auto got = Read([](NwbWriter& w) {
    Units(w);
    w.Group("acquisition");
    w.Group("acquisition/x");
    w.Doubles("acquisition/x/timestamps", {0, 900, 0.1, 0.2, 0.3});
    w.Doubles("acquisition/x/data", {0, 9, 1, 2, 3});
  });
  ASSERT_TRUE(got.ok()) << got.status();
  ASSERT_EQ(got->recording.series.size(), 1u);
  EXPECT_EQ(got->recording.series[0].values, (Numbers{0, 1, 2, 3}));
}

TEST_F(NwbTest, IntervalsThatAreNeverClosedLastToTheEnd) {
  const auto got = Read([](NwbWriter& w) {
    Units(w);
    w.Group("processing");
    w.Group("processing/states");
    w.Attribute("processing/states", "neurodata_type", {"IntervalSeries"});
    w.Doubles("processing/states/timestamps", {0.1, 0.2, 0.3});
    w.Integers("processing/states/data", {1, 2, 3});
  });
  ASSERT_TRUE(got.ok()) << got.status();
  const auto* table = got->recording.FindIntervals("states");
  ASSERT_NE(table, nullptr);
  EXPECT_EQ(table->start, (Numbers{0.1, 0.2, 0.3}));
  EXPECT_TRUE(Warns(*got, "states: 3 rows without a stop made to last to the end"));
}

TEST_F(NwbTest, AnnotatedEventsAreARowForEachTime) {
  const auto got = Read([](NwbWriter& w) {
    Units(w);
    w.Group("processing");
    w.Group("processing/events");
    w.Attribute("processing/events", "neurodata_type", {"AnnotatedEventsTable"});
    w.Attribute("processing/events", "colnames", {"event_times", "label"});
    w.Integers("processing/events/id", {0, 1});
    w.Doubles("processing/events/event_times", {0.1, 0.5, 0.2});
    w.Integers("processing/events/event_times_index", {2, 3});
    w.Texts("processing/events/label", {"reward", "lick"});
  });
  ASSERT_TRUE(got.ok()) << got.status();
  const auto* table = got->recording.FindIntervals("events");
  ASSERT_NE(table, nullptr);
  EXPECT_EQ(table->start, (Numbers{0.1, 0.5, 0.2}));
  EXPECT_EQ(table->stop, table->start);
  EXPECT_EQ(std::get<Texts>(table->table.Find("label")->values),
            (Texts{"reward", "reward", "lick"}));
}

TEST_F(NwbTest, WholeNumbersThatADoubleHasNotAreSaid) {
  const auto got = Read([](NwbWriter& w) {
    Units(w);
    w.Integers("units/serial", {9007199254740993, 5});
    w.Integers("units/parts", {9007199254740993, 2, 3});
    w.Integers("units/parts_index", {1, 3});
  });
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_TRUE(Warns(*got, "units/serial: 1 value above 2^53 rounded"));
  EXPECT_EQ(std::get<TextLists>(got->recording.unit_columns.Find("parts")->values),
            (TextLists{{"9007199254740993"}, {"2", "3"}}))
      << "texts keep all digits";
}

TEST_F(NwbTest, InvalidTimesOverAllAreNoObservedTime) {
  const auto got = Read([](NwbWriter& w) {
    Units(w);
    w.Group("intervals");
    w.Group("intervals/invalid_times");
    w.Doubles("intervals/invalid_times/start_time", {0});
    w.Doubles("intervals/invalid_times/stop_time", {1000});
  });
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->recording.observed, Spans{});
  EXPECT_TRUE(Warns(*got, "intervals/invalid_times: covers the whole recording"));
}

TEST_F(NwbTest, EventsAreIntervalsWithoutLength) {
  const auto got = Read([](NwbWriter& w) {
    Units(w);
    w.Group("acquisition");
    w.Group("acquisition/pokes");
    w.Attribute("acquisition/pokes", "neurodata_type", {"LabeledEvents"});
    w.Doubles("acquisition/pokes/timestamps", {0.1, 0.2, 0.3});
    w.Integers("acquisition/pokes/data", {0, 1, 9});
    w.Attribute("acquisition/pokes/data", "labels", {"left", "right"});
    w.Group("acquisition/moves");
    w.Attribute("acquisition/moves", "neurodata_type", {"IntervalSeries"});
    w.Doubles("acquisition/moves/timestamps", {0.1, 0.2, 0.3});
    w.Integers("acquisition/moves/data", {1, -1, -1});
  });
  ASSERT_TRUE(got.ok()) << got.status();
  const IntervalTable* pokes = got->recording.FindIntervals("pokes");
  ASSERT_NE(pokes, nullptr);
  EXPECT_EQ(pokes->start, pokes->stop);
  EXPECT_EQ(std::get<Texts>(pokes->table.Find("label")->values), Texts({"left", "right", "9"}));
  const IntervalTable* moves = got->recording.FindIntervals("moves");
  ASSERT_NE(moves, nullptr);
  EXPECT_EQ(moves->start, Numbers({0.1}));
  EXPECT_EQ(moves->stop, Numbers({0.2}));
  EXPECT_TRUE(Warns(*got, "acquisition/moves: 1 value that neither start"));
}

TEST_F(NwbTest, SeriesLoseTheSamplesWhoseTimesMakeNoSense) {
  const auto got = Read([](NwbWriter& w) {
    Units(w);
    w.Group("acquisition");
    w.Group("acquisition/x");
    w.Doubles("acquisition/x/data", {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, {6, 1, 2});
    w.Doubles("acquisition/x/timestamps", {-1.5e9, 0, 1, 0.5, kNan, 2});
    w.Group("acquisition/y");
    w.Doubles("acquisition/y/data", {1, 2, 3});
    w.Doubles("acquisition/y/timestamps", {3, 2, 1});
    w.Group("acquisition/z");
    w.Attribute("acquisition/z", "neurodata_type", {"ElectricalSeries"});
    w.Doubles("acquisition/z/data", {1, 2, 3});
    w.Doubles("acquisition/z/timestamps", {0, 1, 2});
  });
  ASSERT_TRUE(got.ok()) << got.status();
  ASSERT_EQ(got->recording.series.size(), 1u);
  const Series& x = got->recording.series[0];
  EXPECT_EQ(x.timestamps, Numbers({0, 1, 2}));
  EXPECT_EQ(x.values, Numbers({2, 3, 4, 5, 10, 11}));
  EXPECT_EQ(x.channels, Texts({"0,0", "0,1"}));
  EXPECT_TRUE(Warns(
      *got, "acquisition/x: 2 samples dropped, as their times are no numbers or out of order"));
  EXPECT_TRUE(Warns(*got, "acquisition/y: 2 of 3 times"));
  EXPECT_TRUE(Warns(*got, "acquisition/z: left out: ElectricalSeries"));
}

TEST_F(NwbTest, ATableInAnotherFileIsLeftOut) {
  const std::string other = dir_ / "other.h5";
  { NwbWriter(other).Group("trials"); }
  const auto got = Read([&](NwbWriter& w) {
    Units(w);
    w.Group("intervals");
    H5Lcreate_external(other.c_str(), "/trials", w.file(), "intervals/trials", H5P_DEFAULT,
                       H5P_DEFAULT);
  });
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_TRUE(Warns(*got, "intervals/trials: left out: is an external link"));
  const auto refused = Read([&](NwbWriter& w) {
    w.Group("units");
    w.Integers("units/id", {1});
    H5Lcreate_external(other.c_str(), "/x", w.file(), "units/spike_times", H5P_DEFAULT,
                       H5P_DEFAULT);
  });
  EXPECT_NE(refused.status().message().find("units/spike_times: is an external link"),
            std::string::npos)
      << refused.status();
}

}  // namespace
}  // namespace saed::recordings
