// Spike trains in memory and in files, and the stored form of either.
#include "server/recordings/spike_train.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <utility>

#include "server/base/sha256.h"
#include "server/recordings/check_stored.h"
#include "server/recordings/clean.h"
#include "server/recordings/silence.h"
#include "server/recordings/store_format.h"
#include "server/recordings/validate.h"
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
  auto trains = buffer->Take();
  EXPECT_TRUE(trains.ok()) << trains.status();
  return *std::move(trains);
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
  ASSERT_TRUE(trains.ok()) << trains.status();
  EXPECT_TRUE((*trains)[0].empty());
  EXPECT_EQ((*trains)[1], (SpikeTrain{4.5}));
}

// More spikes than were counted before: the files were changed in between.
TEST(SpikeBuffer, RefusesMoreThanThereIsRoomFor) {
  for (const int64_t each : {int64_t{3}, int64_t{5'000'000}}) {
    auto buffer = SpikeBuffer::Make({each, each});
    ASSERT_TRUE(buffer.ok()) << buffer.status();
    for (int64_t i = 0; i <= each; ++i) buffer->Add(0, static_cast<double>(i));
    buffer->Add(1, 7);
    const auto trains = buffer->Take();
    EXPECT_EQ(trains.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_NE(trains.status().message().find("changed while it was read"), std::string::npos);
  }
}

TEST(SpikeBuffer, SeesWhatItTakes) {
  auto buffer = SpikeBuffer::Make({9'000'000, 5, 5, 5, 5});
  ASSERT_TRUE(buffer.ok()) << buffer.status();
  buffer->Add(1, std::vector<double>{0, 1, 1, 2, 2});
  buffer->Add(2, std::vector<double>{3, 2});
  buffer->Add(3, std::vector<double>{1, NAN});
  buffer->Add(4, std::vector<double>{-1, 1});
  const auto trains = buffer->Take();
  ASSERT_TRUE(trains.ok()) << trains.status();
  const TrainLook& good = *(*trains)[1].look();
  EXPECT_TRUE(good.good);
  EXPECT_EQ(good.twice, 2);
  EXPECT_EQ(good.first_twice, 2);
  EXPECT_EQ((*trains)[1].front(), 0);
  EXPECT_EQ((*trains)[1].back(), 2);
  EXPECT_TRUE((*trains)[0].look()->good);  // empty
  for (int n = 2; n < 5; ++n) EXPECT_FALSE((*trains)[n].look()->good) << n;
}

TEST(SortTimes, SortsWhateverTheOrder) {
  std::mt19937 random(1);
  for (const size_t size : {0, 1, 2, 7, 100, 1000}) {
    for (const size_t swaps : {0, 1, 3, 50, 1000}) {
      std::vector<double> times(size);
      for (size_t i = 0; i < size; ++i) times[i] = static_cast<double>(i / 3);
      for (size_t i = 0; i < swaps && size > 0; ++i) {
        std::swap(times[random() % size], times[random() % size]);
      }
      std::vector<double> sorted = times;
      std::sort(sorted.begin(), sorted.end());
      SortTimes(times);
      EXPECT_EQ(times, sorted) << size << " " << swaps;
    }
  }
}

// Many() with damage of every kind, and the recording that mending has to make of it.
struct Damaged {
  Recording damaged, mended;
};

Damaged ManyDamaged() {
  constexpr int64_t kEach = 5'000'000;
  auto buffer = SpikeBuffer::Make({kEach, kEach, 2});
  EXPECT_TRUE(buffer.ok()) << buffer.status();
  Damaged out;
  out.damaged.units.resize(3);
  out.mended.units.resize(3);
  for (size_t n = 0; n < 2; ++n) {
    std::vector<double> times(kEach);
    for (size_t i = 0; i < times.size(); ++i) times[i] = static_cast<double>(i) / 1000;
    if (n == 0) {
      std::swap(times[10], times[11]);
      std::swap(times[20], times[4'999'999]);
      times[30] = -1;
      times[40] = NAN;
      times[50] = times[49];
    }
    buffer->Add(n, times);
    std::erase_if(times, [](double t) { return !(t >= 0); });
    std::sort(times.begin(), times.end());
    out.mended.units[n].spike_times = std::move(times);
  }
  auto trains = buffer->Take();
  EXPECT_TRUE(trains.ok()) << trains.status();
  for (size_t n = 0; n < 3; ++n) out.damaged.units[n].spike_times = (*trains)[n];
  return out;
}

TEST(CleanSpikes, ManyDamagedStayInAFile) {
  auto [r, mended] = ManyDamaged();
  Notes notes;
  ASSERT_TRUE(CleanSpikes(INFINITY, r, notes).ok());
  for (size_t n = 0; n < 3; ++n) {
    EXPECT_TRUE(r.units[n].spike_times.in_file());
    EXPECT_EQ(r.units[n].spike_times, mended.units[n].spike_times) << n;
  }
  const Texts lines = notes.Lines();
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_NE(lines[0].find("2 spikes in 1 unit dropped, the first is spike 31"), std::string::npos);
  EXPECT_NE(lines[1].find("in 1 unit out of order and sorted"), std::string::npos) << lines[1];
}

std::string BytesOf(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

TEST(CleanSpikes, MendsInTheFileThatIsStored) {
  test_tools::TempDir dir;
  const int file = open((dir / "a").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  PutSpikesInto({file});
  {
    auto [r, mended] = ManyDamaged();
    Notes notes;
    ASSERT_TRUE(CleanSpikes(INFINITY, r, notes).ok());
    r.duration = mended.duration = 5001;
    const SpikeFile& gathered = *r.units[0].spike_times.gathered();
    EXPECT_EQ(gathered.spikes(), 9'999'998U);
    EXPECT_TRUE(gathered.activity().NeverSilent(5000, 1));
    for (const double least : {0.5, 1e-4}) {
      EXPECT_EQ(Silences(r, least), Silences(mended, least)) << least;
    }
    const std::string bytes = Serialise(mended);
    EXPECT_TRUE(Serialise(r) == bytes);
    const auto complete = CompleteInPlace(r);
    ASSERT_TRUE(complete.ok() && *complete);
    r = Recording();
    EXPECT_TRUE(BytesOf(dir / "a") == bytes);
  }
  PutSpikesInto({});
  close(file);
}

// A train that somebody else has too is not written.
TEST(CleanSpikes, LeavesCopiesAlone) {
  auto [r, mended] = ManyDamaged();
  const SpikeTrain copy = r.units[0].spike_times;
  Notes notes;
  ASSERT_TRUE(CleanSpikes(INFINITY, r, notes).ok());
  EXPECT_EQ(copy[30], -1);
  EXPECT_EQ(copy.size(), 5'000'000U);
  for (size_t n = 0; n < 3; ++n) {
    EXPECT_EQ(r.units[n].spike_times, mended.units[n].spike_times) << n;
  }
}

// Spikes past a known end, in the middle of what is else good, and places that nobody took.
TEST(CleanSpikes, CutsAtTheEndInPlace) {
  Recording r;
  r.units.resize(3);
  std::vector<double> times(4'999'000);
  for (size_t i = 0; i < times.size(); ++i) times[i] = static_cast<double>(i) / 1000;
  {
    auto buffer = SpikeBuffer::Make({5'000'000, 5'000'000, 100});
    ASSERT_TRUE(buffer.ok()) << buffer.status();
    for (size_t n = 0; n < 2; ++n) buffer->Add(n, times);
    buffer->Add(2, std::vector<double>{1, 1, 2000});
    auto trains = buffer->Take();
    ASSERT_TRUE(trains.ok()) << trains.status();
    for (size_t n = 0; n < 3; ++n) r.units[n].spike_times = (*trains)[n];
  }
  Notes notes;
  ASSERT_TRUE(CleanSpikes(4000, r, notes).ok());
  times.resize(4'000'001);
  EXPECT_EQ(r.units[0].spike_times, SpikeTrain(times));
  EXPECT_EQ(r.units[1].spike_times, SpikeTrain(times));
  EXPECT_EQ(r.units[2].spike_times, (SpikeTrain{1, 1, 2000}));
  ASSERT_EQ(notes.Lines().size(), 1U);
  EXPECT_NE(notes.Lines()[0].find("1997998 spikes in 2 units dropped, the first is spike 4000002"),
            std::string::npos)
      << notes.Lines()[0];
  ASSERT_NE(r.units[0].spike_times.gathered(), nullptr);
  EXPECT_EQ(r.units[0].spike_times.gathered()->spikes(), 8'000'005U);
}

TEST(Silences, AreTheSameWhetherSeenOrRead) {
  for (const double pause : {0.0, 100.0}) {
    auto buffer = SpikeBuffer::Make({9'000'000, 0});
    ASSERT_TRUE(buffer.ok()) << buffer.status();
    for (int i = 0; i < 9'000'000; ++i) {
      buffer->Add(0, i / 1000.0 + (i < 4'000'000 ? 0 : pause));
    }
    auto trains = buffer->Take();
    ASSERT_TRUE(trains.ok()) << trains.status();
    Recording gathered, plain;
    for (Recording* r : {&gathered, &plain}) {
      r->units.resize(2);
      r->duration = 9000 + pause;
    }
    gathered.units[0].spike_times = (*trains)[0];
    plain.units[0].spike_times = std::vector<double>((*trains)[0].begin(), (*trains)[0].end());
    EXPECT_EQ(gathered.units[0].spike_times.gathered()->activity().NeverSilent(9000 + pause, 1),
              pause == 0);
    EXPECT_EQ(Silences(gathered, 1), Silences(plain, 1));
    EXPECT_EQ(Silences(gathered, 1).size(), pause == 0 ? 0U : 1U);
    EXPECT_EQ(Silences(gathered, 1e-4), Silences(plain, 1e-4));  // finer than what was seen
  }
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

// Spikes gathered in a file that was lent are stored where they are, as the same bytes.
TEST(StoreFormat, GatheredSpikesAreStoredInPlace) {
  test_tools::TempDir dir;
  Recording r;
  r.units.resize(3);
  r.duration = 3'000'001;
  const auto open_new = [&](const char* name) {
    return open((dir / name).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  };
  const int a = open_new("a"), b = open_new("b");
  PutSpikesInto({a, b});
  auto given_back = Many(3, 3'000'000);
  given_back.clear();
  auto trains = Many(3, 3'000'000);
  for (size_t n = 0; n < 3; ++n) r.units[n].spike_times = std::move(trains[n]);
  const std::string bytes = Serialise(r);
  ASSERT_TRUE(SerialiseTo(dir / "r", r).ok());
  EXPECT_TRUE(BytesOf(dir / "r") == bytes);
  const auto complete = CompleteInPlace(r);
  ASSERT_TRUE(complete.ok() && *complete);
  r = Recording();
  PutSpikesInto({});
  close(a);
  close(b);
  EXPECT_TRUE(BytesOf(dir / "a") + BytesOf(dir / "b") == bytes);  // one of them is empty
  const auto again = ParseFile(BytesOf(dir / "a").empty() ? dir / "b" : dir / "a");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->units[2].spike_times.size(), 3'000'000U);
}

// What another process left is not believed.
TEST(StoreFormat, StoredTrainsAreChecked) {
  test_tools::TempDir dir;
  for (const int fault : {0, 1, 2, 3, 4}) {
    Recording r;
    r.units.resize(3);
    r.duration = 3'000'001;
    const auto trains = Many(3, 3'000'000);
    for (size_t n = 0; n < 3; ++n) {
      std::vector<double> times(trains[n].begin(), trains[n].end());
      if (n == 1 && fault == 1) times[2'000'000] = 5;
      if (n == 1 && fault == 2) times[2'000'000] = NAN;
      if (n == 0 && fault == 3) times[0] = -1;
      if (n == 2 && fault == 4) times.back() = 4e6;
      r.units[n].spike_times = std::move(times);
    }
    ASSERT_TRUE(SerialiseTo(dir / "r", r).ok());
    const auto parsed = ParseFile(dir / "r");
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    const auto stored = CheckStored(dir / "r", *parsed);
    EXPECT_EQ(stored.ok(), fault == 0) << fault << " " << stored.status();
    if (!stored.ok()) continue;
    const std::string bytes = BytesOf(dir / "r");
    EXPECT_EQ(stored->bytes, static_cast<int64_t>(bytes.size()));
    EXPECT_EQ(stored->digest, Sha256Hex(bytes));
  }
}

// The second form with as many spikes as now make the third.
TEST(StoreFormat, ManySpikesOfTheSecondFormAreRead) {
  test_tools::TempDir dir;
  Recording r;
  r.units.resize(1);
  r.units[0].spike_times = std::vector<double>(12'345, 1.5);
  r.observed = {{0, 2}};
  std::string bytes = Serialise(r);
  const auto wire = [](uint64_t n) { return std::string(reinterpret_cast<char*>(&n), sizeof n); };
  const size_t at = bytes.find(wire(12'345));
  ASSERT_NE(at, std::string::npos);
  const std::vector<double> times(9'000'000, 2.5);
  bytes.replace(at, 8, wire(times.size()));
  bytes.resize(bytes.size() - size_t{12'345} * 8);
  bytes.append(reinterpret_cast<const char*>(times.data()), times.size() * 8);
  std::ofstream(dir / "r", std::ios::binary) << bytes;
  const auto parsed = ParseFile(dir / "r");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_TRUE(parsed->units[0].spike_times.in_file());
  EXPECT_EQ(parsed->units[0].spike_times, SpikeTrain(times));
  EXPECT_EQ(parsed->observed, r.observed);
  EXPECT_EQ(Parse(bytes)->units[0].spike_times, SpikeTrain(times));
  EXPECT_TRUE(absl::IsInternal(CheckStored(dir / "r", *parsed).status()));  // its duration is 0
}

TEST(StoreFormat, ObservedTimesAreKept) {
  Recording r;
  r.units.resize(2);
  r.units[0].spike_times = {1, 2};
  r.units[1].spike_times = {1.5};
  r.units[1].observed = Spans{{1, 1.75}};
  r.observed = Spans{{0, 1}, {1.25, 3}};
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

TEST(StoreFormat, NeverObservedIsNotAllTheTime) {
  Recording r;
  r.duration = 3;
  r.units.resize(3);
  for (int n = 0; n < 3; ++n) r.units[n].id = n;
  r.units[0].spike_times = {1, 2};
  const std::string always = Serialise(r);
  EXPECT_EQ(always.substr(8, 8), "SAEDREC1") << "as ever";
  r.units[1].observed = Spans{};
  auto again = Parse(Serialise(r));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_FALSE(again->observed);
  EXPECT_FALSE(again->units[0].observed);
  EXPECT_EQ(again->units[1].observed, Spans{});
  EXPECT_EQ(again->units[0].spike_times, r.units[0].spike_times);
  EXPECT_EQ(Serialise(*again), Serialise(r));
  EXPECT_TRUE(Validate(*again).ok()) << Validate(*again);
  r.observed = Spans{};
  again = Parse(Serialise(r));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->observed, Spans{});
}

// One was once refused from a file and taken from memory: it claimed counts without their width.
TEST(StoreFormat, DamageIsTheSameInMemoryAndInAFile) {
  test_tools::TempDir dir;
  Recording r;
  r.units.resize(2);
  r.units[1].spike_times = {1.5};
  r.observed = Spans{{0, 1}, {1.25, 3}};
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
  r.observed = Spans{{0, 0.01}};
  const auto again = Parse(Serialise(r));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->counts.bytes, r.counts.bytes);
  EXPECT_EQ(again->observed, r.observed);
}

}  // namespace
}  // namespace saed::recordings
