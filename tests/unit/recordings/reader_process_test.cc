#include "server/recordings/reader_process.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <chrono>
#include <csignal>

namespace saed::recordings {
namespace {

using Clock = std::chrono::steady_clock;

bool Never() { return false; }

TEST(ReaderProcess, TellsHowItEnded) {
  const auto ending = RunReader("/bin/sh", {"-c", "exit 3"}, 60, Never);
  ASSERT_TRUE(ending.ok()) << ending.status();
  EXPECT_FALSE(ending->too_long);
  EXPECT_EQ(WEXITSTATUS(ending->status), 3);
}

// One that waits, and one that is stopped, take no time of the processor.
TEST(ReaderProcess, IsEndedWhenItTakesTooLong) {
  for (const char* command : {"sleep 600", "kill -STOP $$"}) {
    const auto begin = Clock::now();
    const auto ending = RunReader("/bin/sh", {"-c", command}, 0.2, Never);
    ASSERT_TRUE(ending.ok()) << ending.status();
    EXPECT_TRUE(ending->too_long) << command;
    EXPECT_TRUE(WIFSIGNALED(ending->status) && WTERMSIG(ending->status) == SIGKILL) << command;
    EXPECT_LT(Clock::now() - begin, std::chrono::seconds(60)) << command;
  }
}

TEST(ReaderProcess, IsEndedWhenNobodyWaits) {
  const auto ending = RunReader("/bin/sh", {"-c", "kill -STOP $$"}, 600, [] { return true; });
  EXPECT_TRUE(absl::IsCancelled(ending.status())) << ending.status();
}

}  // namespace
}  // namespace saed::recordings
