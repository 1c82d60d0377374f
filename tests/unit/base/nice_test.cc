#include "server/base/nice.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <stdexcept>
#include <thread>

#include "server/base/on_behalf.h"

namespace saed {
namespace {

int Niceness() { return getpriority(PRIO_PROCESS, 0); }

TEST(NiceTest, TheThreadThatWaitsStaysAsItWas) {
  const int before = Niceness();
  int within = 0;
  std::thread::id other;
  RunNicely([&] {
    within = Niceness();
    other = std::this_thread::get_id();
  });
  EXPECT_GE(within, 10);
  EXPECT_NE(other, std::this_thread::get_id());
  EXPECT_EQ(Niceness(), before);
}

TEST(NiceTest, ItWorksForTheSameCallAndPassesOnWhatItThrows) {
  const OnBehalf call("ada", [] { return absl::CancelledError("gone"); });
  std::string who;
  absl::Status wanted;
  RunNicely([&] {
    who = OnBehalf::Current()->who();
    wanted = StillWanted();
  });
  EXPECT_EQ(who, "ada");
  EXPECT_TRUE(absl::IsCancelled(wanted));
  EXPECT_THROW(RunNicely([] { throw std::runtime_error("no"); }), std::runtime_error);
}

}  // namespace
}  // namespace saed
