#include "server/recordings/plausible.h"

#include <gtest/gtest.h>

#include <cmath>

#include "server/recordings/import.h"
#include "server/recordings/silence.h"

namespace saed::recordings {
namespace {

using Lines = std::vector<std::string>;

// One unit that fires every 0.1 s from `start` to `stop`.
Recording Regular(double start, double stop) {
  Recording r;
  r.units.resize(1);
  Numbers times;
  for (int i = 0; start + 0.1 * i < stop; ++i) times.push_back(start + 0.1 * i);
  r.units[0].spike_times = times;
  return r;
}

void AddRows(const std::string& name, Numbers start, Numbers stop, Recording& r) {
  IntervalTable t;
  t.table = {name, {{"start_time", start}, {"stop_time", stop}}};
  t.start = std::move(start);
  t.stop = std::move(stop);
  r.intervals.push_back(std::move(t));
}

Lines Said(Recording& r) {
  Notes notes(true);
  EXPECT_TRUE(Finish(r, notes).ok());
  EXPECT_TRUE(notes.Strict().ok()) << "what is only unlikely is never refused";
  return notes.Lines();
}

TEST(Plausible, ATableInMillisecondsDoesNotLengthenTheRecording) {
  Recording r = Regular(0, 100);
  AddRows("trials", {0, 50'000}, {1000, 99'000}, r);
  r.series = {{"speed", "", {"v"}, {0, 105}, {1, 2}}};
  const Lines said = Said(r);
  EXPECT_NEAR(r.duration, 105, 1e-9) << "a series that ends a little later does";
  ASSERT_EQ(said.size(), 1U);
  EXPECT_EQ(said[0],
            "trials: ends at 99000 s, long after the spikes, which end at 99.9 s: are they "
            "milliseconds or samples instead of seconds? What comes after the spikes does "
            "not lengthen the recording");
}

TEST(Plausible, TablesThatAllEndEarlyAreSaid) {
  Recording r = Regular(0, 100);
  AddRows("trials", {0}, {0.099}, r);
  AddRows("rest", {1}, {40}, r);
  EXPECT_EQ(Said(r), Lines{"rest: ends at 40 s, the last of all tables and series, long before the "
                           "spikes, which end at 99.9 s; does one of them count time in another "
                           "unit than seconds?"});
  AddRows("after", {45}, {50}, r);
  EXPECT_EQ(Said(r), Lines{});
}

TEST(Plausible, RowsOutsideTheRecordingAreSaid) {
  Recording r = Regular(0, 100);
  AddRows("trials", {-5, 150}, {-4, 160}, r);
  AddRows("early", {-5}, {-4}, r);
  r.duration = 100;
  const double activity = ActivityEnd(r);
  Notes notes;
  SayWhatIsUnlikely(r, activity, notes);
  EXPECT_EQ(notes.Lines(),
            (Lines{"trials: has 2 rows, and all lie outside the recording (0 to 100 s); the first "
                   "is from -5 to -4 s",
                   "early: has 1 rows, and all lie outside the recording (0 to 100 s); the first "
                   "is from -5 to -4 s"}));
}

TEST(Plausible, LengthRatesAndBins) {
  Recording r;
  r.units.resize(3);
  r.units[0].spike_times = [] {
    Numbers t;
    for (int i = 0; i < 2500; ++i) t.push_back(i * 0.0004);
    return t;
  }();
  for (int n = 0; n < 3; ++n) r.units[n].id = 7 + n;
  r.units[1].spike_times = Numbers{0.5};
  EXPECT_EQ(Said(r), (Lines{"units: 1 of 3 fire more than 1000 times a second: are the times in "
                            "seconds?; the first is unit 7 with 2.5e+03 Hz",
                            "units: 1 of 3 fire less than once in 1000 s; the first is unit 9 with "
                            "0 Hz"}));
  Recording bins;
  bins.units.resize(1);
  bins.counts = {20, DType::kU8, 40'000, std::vector<uint8_t>(40'000, 1), nullptr};
  EXPECT_EQ(Said(bins), (Lines{"recording: lasts 800000 s, which is 9.3 days: are its times in "
                               "seconds from its start?",
                               "bin_width: is 20 s; are they milliseconds instead of seconds?"}));
}

TEST(Plausible, RatesAreOfObservedTime) {
  Recording r = Regular(0, 2);
  r.units[0].spike_times = [] {
    Numbers t;
    for (int i = 0; i < 2200; ++i) t.push_back(i * 0.0005);  // 2 kHz in 1.1 s
    return t;
  }();
  r.observed = Spans{{0, 1}};
  r.duration = 10;
  EXPECT_EQ(Said(r), Lines{"units: 1 of 1 fire more than 1000 times a second: are the times in "
                           "seconds?; the first is unit 0 with 2e+03 Hz"});
}

TEST(Silence, IsLongAgainstWhatChanceWouldLeave) {
  EXPECT_DOUBLE_EQ(LongestExpectedSilence(1000, 100), std::log(1000) / 10);
  EXPECT_EQ(LongestExpectedSilence(1, 100), INFINITY);
}

TEST(Silence, IsSaidWithWhatLeavesItOut) {
  Recording r = Regular(0, 100);
  const Recording late = Regular(400, 500);
  Numbers times(r.units[0].spike_times.begin(), r.units[0].spike_times.end());
  times.insert(times.end(), late.units[0].spike_times.begin(), late.units[0].spike_times.end());
  r.units[0].spike_times = times;
  EXPECT_EQ(Said(r),
            Lines{"units: all are silent from 99.9 to 400 s, where chance at their rates "
                  "would leave 1.9 s at most; if nothing was recorded then, a table of the "
                  "times that were recorded (--intervals NAME=FILE.csv at the import, then "
                  "saectl train --mask NAME) would leave it out"});
  AddRows("runs", {0, 400}, {99.9, 500}, r);
  r.duration = 0;
  const Lines said = Said(r);
  ASSERT_EQ(said.size(), 1U);
  EXPECT_NE(said[0].find("saectl train --mask 'runs' would leave it out"), std::string::npos);
  r.observed = Spans{{0, 100}, {400, 501}};
  EXPECT_EQ(Said(r), Lines{}) << "what was not observed is no silence";
}

TEST(Silence, AtTheStartAndTheEnd) {
  Recording r = Regular(500, 700);
  AddRows("session", {0}, {1200}, r);
  const Lines said = Said(r);
  ASSERT_EQ(said.size(), 1U);
  EXPECT_NE(said[0].find("silent 2 times, 1000.1 s in all, the longest from 699.9 to 1200 s"),
            std::string::npos)
      << said[0];
  EXPECT_NE(said[0].find("saectl train --start 500 --stop 699.9 would leave them out"),
            std::string::npos)
      << said[0];
}

TEST(Silence, OfManyUnitsIsWhatAllAreSilentIn) {
  Recording r = Regular(0, 200);
  r.units.push_back(Regular(300, 400).units[0]);
  r.units.push_back(Regular(150, 290).units[0]);
  r.duration = 400;
  const Spans silences = Silences(r, 5);
  ASSERT_EQ(silences.size(), 1U);
  EXPECT_DOUBLE_EQ(silences[0].first, r.units[2].spike_times.back());
  EXPECT_EQ(silences[0].second, 300);
}

TEST(Silence, OfCounts) {
  Recording r;
  r.units.resize(2);
  r.counts = {0.5, DType::kU8, 200, std::vector<uint8_t>(400, 0), nullptr};
  r.duration = 100;
  for (int bin = 0; bin < 200; ++bin) {
    if (bin < 40 || bin >= 100) r.counts.bytes[2 * bin + bin % 2] = 1;
  }
  EXPECT_EQ(Silences(r, 5), (Spans{{20, 50}}));
  EXPECT_EQ(Silences(r, 30), Spans{});
}

}  // namespace
}  // namespace saed::recordings
