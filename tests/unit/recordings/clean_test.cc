#include "server/recordings/clean.h"

#include <gtest/gtest.h>

#include <cmath>

#include "server/base/text.h"
#include "server/recordings/import.h"

namespace saed::recordings {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
using Lines = std::vector<std::string>;

Recording Trains(const std::vector<Numbers>& trains) {
  Recording r;
  for (size_t n = 0; n < trains.size(); ++n) {
    Unit unit;
    unit.id = static_cast<int64_t>(10 + n);
    unit.spike_times = trains[n];
    r.units.push_back(std::move(unit));
  }
  return r;
}

Numbers Of(const Unit& unit) { return {unit.spike_times.begin(), unit.spike_times.end()}; }

IntervalTable Rows(const std::string& name, Numbers start, Numbers stop) {
  IntervalTable t;
  t.table.name = name;
  t.table.columns = {{"start_time", start}, {"stop_time", stop}};
  t.start = std::move(start);
  t.stop = std::move(stop);
  return t;
}

TEST(CleanSpikes, SortsAndSaysHowManyWereOutOfOrder) {
  Recording r = Trains({{0.1, 0.2}, {1, 3, 2, 2.5, 4}, {2, 1}});
  Notes notes;
  ASSERT_TRUE(CleanSpikes(INFINITY, r, notes).ok());
  EXPECT_EQ(Of(r.units[0]), (Numbers{0.1, 0.2}));
  EXPECT_EQ(Of(r.units[1]), (Numbers{1, 2, 2.5, 3, 4}));
  EXPECT_EQ(Of(r.units[2]), (Numbers{1, 2}));
  EXPECT_EQ(notes.Lines(), Lines{"spike_times: 3 spikes in 2 units out of order and sorted, the "
                                 "first is spike 3 of unit 11 at 2 s"});
}

TEST(CleanSpikes, DropsWhatIsNoTimeOrOutsideTheRecording) {
  Recording r = Trains({{-1, -0.5, 0, 0.5}, {0.25, kNan, 10, 10.5, INFINITY}});
  Notes notes;
  ASSERT_TRUE(CleanSpikes(10, r, notes).ok());
  EXPECT_EQ(Of(r.units[0]), (Numbers{0, 0.5}));
  EXPECT_EQ(Of(r.units[1]), (Numbers{0.25, 10})) << "one exactly at the end belongs to it";
  EXPECT_EQ(notes.Lines(), Lines{"spike_times: 5 spikes in 2 units dropped, the first is spike 1 "
                                 "of unit 10 at -1 s, before the recording's start"});
  r = Trains({{1, 11}});
  Notes late;
  ASSERT_TRUE(CleanSpikes(10, r, late).ok());
  EXPECT_EQ(late.Lines(), Lines{"spike_times: 1 spike in 1 unit dropped, the first is spike 2 of "
                                "unit 10 at 11 s, past the recording's end at 10 s"});
}

TEST(CleanSpikes, KeepsDuplicatesAndSaysThemOnlyWhereTheyAreMany) {
  Numbers train;
  for (int i = 0; i < 100; ++i) train.push_back(i);
  train.push_back(99);
  Recording r = Trains({train});
  Notes few;
  ASSERT_TRUE(CleanSpikes(INFINITY, r, few).ok());
  EXPECT_EQ(few.Lines(), Lines{}) << "1 of 101 is not more than 1 %";
  train.push_back(99);
  r = Trains({train});
  Notes many(true);
  ASSERT_TRUE(CleanSpikes(INFINITY, r, many).ok());
  EXPECT_EQ(Of(r.units[0]).size(), 102U);
  EXPECT_EQ(many.Lines(),
            Lines{"spike_times: 2 spikes in 1 unit at the time of another of the same "
                  "unit, 2.0 % of all, and kept, the first is spike 101 of unit 10 "
                  "at 99 s"});
  EXPECT_TRUE(many.Strict().ok()) << "nothing was mended";
}

TEST(CleanUnitIds, NumbersUnitsWhoseIdsComeTwice) {
  Recording r = Trains({{1}, {2}, {3}});
  r.units[2].id = 10;
  Notes notes;
  CleanUnitIds(r, notes);
  for (int n = 0; n < 3; ++n) EXPECT_EQ(r.units[n].id, n);
  ASSERT_EQ(r.unit_columns.columns.size(), 1U);
  EXPECT_EQ(r.unit_columns.columns[0].name, "original_id");
  EXPECT_EQ(std::get<Texts>(r.unit_columns.columns[0].values), (Texts{"10", "11", "10"}));
  ASSERT_EQ(notes.Lines().size(), 1U);
  EXPECT_NE(notes.Lines()[0].find("the first is 10"), std::string::npos);
  Notes none;
  CleanUnitIds(r, none);
  EXPECT_EQ(none.Lines(), Lines{});
}

TEST(CleanTables, DropsRowsAndTellsTablesOfOneNameApart) {
  Recording r = Trains({{1}});
  r.intervals = {Rows("trials", {0, 5, kNan, 7, 8}, {1, 4, 6, kNan, 8}), Rows("trials", {0}, {1}),
                 Rows("trials_2", {2}, {3}), Rows("half", {0, 1}, {1})};
  r.intervals[0].table.columns.push_back({"side", Texts{"a", "b", "c", "d", "e"}});
  r.intervals[0].table.columns.push_back({"short", Numbers{1, 2}});
  r.unit_columns.columns.push_back({"amp", Numbers{1, 2}});
  Notes notes;
  CleanTables(r, notes);
  ASSERT_EQ(r.intervals.size(), 3U);
  EXPECT_EQ(r.intervals[0].start, (Numbers{0, 8}));
  EXPECT_EQ(r.intervals[0].stop, (Numbers{1, 8})) << "a row without a length stays";
  EXPECT_EQ(std::get<Texts>(r.intervals[0].table.Find("side")->values), (Texts{"a", "e"}));
  EXPECT_EQ(std::get<Numbers>(r.intervals[0].table.Find("start_time")->values), (Numbers{0, 8}));
  EXPECT_EQ(r.intervals[0].table.Find("short"), nullptr);
  EXPECT_EQ(r.intervals[1].table.name, "trials_3");
  EXPECT_TRUE(r.unit_columns.columns.empty());
  EXPECT_EQ(notes.Lines(),
            (Lines{"units/amp: left out, as it has 2 values for 1 rows",
                   "trials/short: left out, as it has 2 values for 5 rows",
                   "trials: 3 rows dropped, as they have no start or a stop before it, the first "
                   "is row 2 from 5 to 4 s",
                   "half: left out, as it has 2 starts and 1 stops",
                   "trials: is the name of two tables; the later one is called trials_3"}));
}

TEST(CleanTables, TellsColumnsOfOneNameApart) {
  Recording r = Trains({{1}});
  r.unit_columns.columns = {{"a\xff", Numbers{1}}, {"a\xfe", Numbers{2}}, {"b", Numbers{3}}};
  r.electrodes.columns = {{"x", Numbers{1}}, {"x", Numbers{2}}};
  r.intervals = {Rows("trials", {0}, {1})};
  r.intervals[0].table.columns.push_back({"x\xff", Numbers{1}});
  r.intervals[0].table.columns.push_back({"x\xfe", Numbers{2}});
  Notes notes;
  CleanTables(r, notes);
  EXPECT_EQ(r.unit_columns.columns[1].name, "a\uFFFD_2");
  EXPECT_EQ(r.electrodes.columns[1].name, "x_2");
  EXPECT_EQ(std::get<Numbers>(r.intervals[0].table.Find("x\uFFFD_2")->values), (Numbers{2}));
  EXPECT_EQ(notes.Lines(),
            (Lines{"units/a\uFFFD: is the name of two columns; the later one is called a\uFFFD_2",
                   "electrodes/x: is the name of two columns; the later one is called x_2",
                   "trials/x\uFFFD: is the name of two columns; the later one is called "
                   "x\uFFFD_2"}));
}

// The store repeats them for every unit.
TEST(CleanTables, LongNamesAndTextsOfUnitColumnsAreLeftOut) {
  Recording r = Trains({{1}, {2}});
  r.unit_columns.columns = {{std::string(201, 'x'), Numbers{1, 2}},
                            {"fine", Numbers{1, 2}},
                            {"long", Texts{std::string(size_t{65} << 20, 'y'), ""}}};
  Notes notes;
  CleanTables(r, notes);
  ASSERT_EQ(r.unit_columns.columns.size(), 1U);
  EXPECT_EQ(r.unit_columns.columns[0].name, "fine");
  ASSERT_EQ(notes.Lines().size(), 2U);
  EXPECT_NE(notes.Lines()[0].find("201 bytes"), std::string::npos);
  EXPECT_NE(notes.Lines()[1].find("'long' left out"), std::string::npos);
}

TEST(CleanTables, LongNamesAreCutBetweenLetters) {
  Recording r = Trains({{0.5}});
  std::string name = "a";
  for (int i = 0; i < 100; ++i) name += "\u00b5";
  r.unit_columns.columns = {{name, Texts{"x"}}};
  Notes notes;
  CleanTables(r, notes);
  ASSERT_EQ(notes.Lines().size(), 1U);
  EXPECT_EQ(ValidUtf8(notes.Lines()[0]), notes.Lines()[0]);
}

TEST(CleanSeries, DropsAsFewSamplesAsItCan) {
  Recording r = Trains({{1}});
  // One clock reading far ahead does not make all later ones wrong.
  r.series = {{"x",
               "m",
               {"a", "b"},
               {0, 1, 900, 2, 2, kNan, 1.5, 3},
               {0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7}},
              {"bad", "", {"v"}, {3, 2, 1, kNan}, {1, 2, 3, 4}},
              {"odd", "", {"v"}, {0, 1}, {1, 2, 3}}};
  Notes notes;
  CleanSeries(r, notes);
  ASSERT_EQ(r.series.size(), 1U);
  EXPECT_EQ(r.series[0].timestamps, (Numbers{0, 1, 2, 2, 3}));
  EXPECT_EQ(r.series[0].values, (Numbers{0, 0, 1, 1, 3, 3, 4, 4, 7, 7}));
  EXPECT_EQ(notes.Lines(),
            (Lines{"x: 3 samples dropped, as their times are no numbers or out of order, the first "
                   "is sample 3 at 900 s",
                   "bad: 3 of 4 times are no numbers or go backward, so it was left out, the first "
                   "is sample 2 at 2 s",
                   "odd: left out, as it has 3 values for 2 samples of 1 channels"}));
}

TEST(CleanSamples, OneLateSampleCostsOnlyItself) {
  Series s{"x", "", {"0"}, {-1, 0, 1, 900, 2, 3, 4}, {9, 0, 1, 8, 2, 3, 4}};
  Notes notes;
  ASSERT_TRUE(CleanSamples("lab/x", s, notes));
  EXPECT_EQ(s.timestamps, (Numbers{0, 1, 2, 3, 4}));
  EXPECT_EQ(s.values, (Numbers{0, 1, 2, 3, 4}));
  EXPECT_EQ(notes.Lines(),
            (Lines{"lab/x: 1 sample dropped, as their times are no numbers or out of order, the "
                   "first is sample 4 at 900 s",
                   "lab/x: 1 sample before the recording dropped, the first is sample 1 at -1 s"}));
}

TEST(CleanObserved, CutsAndJoinsSpans) {
  Recording r = Trains({{1}, {2}});
  r.duration = 10;
  r.observed = Spans{{8, INFINITY}, {-1, 2}, {2, 3}, {5, 4}};
  r.units[1].observed = Spans{{20, 30}};
  Notes notes;
  CleanObserved(r, notes);
  EXPECT_EQ(r.observed, (Spans{{0, 3}, {8, 10}}));
  EXPECT_EQ(r.units[1].observed, Spans{}) << "never, not always";
  EXPECT_FALSE(r.units[0].observed) << "whenever the recording was";
  ASSERT_EQ(notes.Lines().size(), 3U);
  EXPECT_EQ(notes.Lines()[0],
            "observed: 1 span left out, as they do not begin before they stop, "
            "the first is observed span 4 from 5 to 4 s");
  EXPECT_EQ(notes.Lines()[2],
            "observed: 1 unit was never observed, by what the files say, the first is unit 11; "
            "views leave them out unless unit_ids names them, which leaves no bin (1 of them with "
            "spikes, which are kept)");
}

TEST(Finish, MendsAndSetsTheDuration) {
  Recording r = Trains({{0.5, 3, 2}});
  Notes notes;
  ASSERT_TRUE(Finish(r, notes).ok());
  EXPECT_EQ(r.duration, std::nextafter(3.0, 4.0));
  EXPECT_EQ(notes.Strict().code(), absl::StatusCode::kOk) << "not asked for";
  Notes strict(true);
  r = Trains({{0.5, 3, 2}});
  ASSERT_TRUE(Finish(r, strict).ok());
  EXPECT_NE(strict.Strict().message().find("spike 3 of unit 10"), std::string::npos);
  r.units.clear();
  EXPECT_FALSE(Finish(r, notes).ok());
}

TEST(Finish, TakesTheEndThatTheReaderKnew) {
  Recording r = Trains({{1, 2, 9}});
  r.duration = 5;
  Notes notes;
  ASSERT_TRUE(Finish(r, notes).ok());
  EXPECT_EQ(Of(r.units[0]), (Numbers{1, 2}));
  EXPECT_EQ(r.duration, std::nextafter(5.0, 6.0));
}

}  // namespace
}  // namespace saed::recordings
