// How many readers run at once: who waits, for how long, and what they are told.
#include "server/recordings/reader_places.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "server/base/faults.h"

namespace saed::recordings {
namespace {

bool Never() { return false; }

TEST(ReaderPlacesTest, NoMoreThanThereArePlacesFor) {
  ReaderPlaces places({100, 2, 8, 0.2});
  const auto one = places.Take(10, Never);
  auto two = places.Take(10, Never);
  ASSERT_TRUE(one.ok() && two.ok());
  const absl::Status third = places.Take(10, Never).status();
  EXPECT_TRUE(absl::IsResourceExhausted(third)) << third;
  EXPECT_EQ(ReasonOf(third), "READERS_BUSY");
  EXPECT_NE(third.message().find("at most 2 imports at once"), std::string::npos) << third;
  *two = nullptr;
  EXPECT_TRUE(places.Take(10, Never).ok());
}

TEST(ReaderPlacesTest, TheSumOfTheirMemoryIsBounded) {
  ReaderPlaces places({100, 9, 8, 0.2});
  auto large = places.Take(1000, Never);
  ASSERT_TRUE(large.ok()) << "alone, whatever it asks for";
  EXPECT_TRUE(absl::IsResourceExhausted(places.Take(1, Never).status()));
  *large = nullptr;
  const auto small = places.Take(60, Never);
  EXPECT_TRUE(small.ok());
  EXPECT_TRUE(absl::IsResourceExhausted(places.Take(60, Never).status()));
  EXPECT_TRUE(places.Take(40, Never).ok());
}

TEST(ReaderPlacesTest, WhoIsStoppedLeavesTheQueue) {
  ReaderPlaces places({100, 1, 1, 60});
  auto one = places.Take(1, Never);
  std::atomic<bool> stop = false, asked = false;
  std::thread waits([&] {
    const auto stopped = [&] {
      asked = true;
      return stop.load();
    };
    EXPECT_TRUE(absl::IsCancelled(places.Take(1, stopped).status()));
  });
  while (!asked) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  const absl::Status full = places.Take(1, Never).status();
  EXPECT_NE(full.message().find("too many imports wait"), std::string::npos) << full;
  stop = true;
  waits.join();
  *one = nullptr;
  EXPECT_TRUE(places.Take(1, Never).ok());
}

TEST(ReaderPlacesTest, AllComeToTheirTurn) {
  ReaderPlaces places({100, 9, 64, 60});
  std::atomic<int> held = 0, most = 0, done = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 12; ++i) {
    threads.emplace_back([&, i] {
      const int bytes = i % 3 == 0 ? 100 : 40;
      const auto place = places.Take(bytes, Never);
      ASSERT_TRUE(place.ok());
      const int now = held += bytes;
      for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      held -= bytes;
      ++done;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(done, 12);
  EXPECT_LE(most, 100);
}

}  // namespace
}  // namespace saed::recordings
