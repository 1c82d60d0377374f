// The confinement from inside: in a child of its own, what is allowed works and the rest does not.
#include "server/recordings/sandbox.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <functional>

#include "server/recordings/landlock.h"
#include "server/recordings/open_beneath.h"
#include "tests/tools/temp_dir.h"

namespace saed::recordings {
namespace {

class SandboxTest : public testing::Test {
 protected:
  // What waitpid says of a child that is confined and then ends with whether `act` succeeded (0).
  int Confined(const std::function<bool()>& act) {
    const pid_t child = fork();
    if (child == 0) {
      Confinement confinement;
      confinement.files.push_back({inside_.get(), false});
      confinement.writable = {answer_.get()};
      confinement.limits = LimitsFor(100, 1);
      if (!Confine(confinement, {"environment"}).ok()) _exit(9);
      _exit(act() ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return status;
  }
  static bool Reads(const std::string& path) {
    std::string bytes;
    std::ifstream in(path);
    return static_cast<bool>(in >> bytes);
  }

  test_tools::TempDir dir_;
  std::string outside_ = dir_.Write("outside", "secret");
  Descriptor inside_{open(dir_.Write("inside", "data").c_str(), O_RDONLY)};
  test_tools::TempDir exchange_dir_;
  Descriptor exchange_{open(exchange_dir_.path().c_str(), O_RDONLY | O_DIRECTORY)};
  Descriptor answer_{open(exchange_dir_.Write("answer", "").c_str(), O_RDWR)};
};

TEST_F(SandboxTest, ReadsItsFilesAndWritesItsAnswer) {
  EXPECT_EQ(Confined([&] { return Reads(PathOf(inside_.get())); }), 0);
  EXPECT_EQ(Confined([&] {
              std::ofstream out(PathOf(exchange_.get()) + "/answer");
              out << "answer" << std::flush;
              return static_cast<bool>(out);
            }),
            0);
  EXPECT_TRUE(Reads(exchange_dir_ / "answer"));
}

TEST_F(SandboxTest, OpensNothingElse) {
  if (LandlockVersion() == 0) GTEST_SKIP() << "this kernel has no Landlock";
  ASSERT_TRUE(Reads(outside_));
  for (const std::string& path :
       {outside_, std::string("/etc/passwd"), std::string("/proc/self/environ"),
        PathOf(inside_.get()) + "/../outside", PathOf(exchange_.get()) + "/../passwd"}) {
    EXPECT_EQ(WEXITSTATUS(Confined([&] { return Reads(path); })), 1) << path;
  }
}

TEST_F(SandboxTest, TakesTheDiskOnlyWhereItIsSeen) {
  const std::string here = PathOf(exchange_.get());
  const auto refused = [&](const std::function<bool()>& act) {
    return WEXITSTATUS(Confined(act)) == 1;
  };
  if (LandlockVersion() > 0) {
    EXPECT_TRUE(
        refused([&] { return open((here + "/new").c_str(), O_CREAT | O_RDWR, 0600) >= 0; }));
  }
  EXPECT_TRUE(refused([&] { return open(here.c_str(), O_TMPFILE | O_RDWR, 0600) >= 0; }));
  EXPECT_TRUE(refused([&] { return unlink((here + "/answer").c_str()) == 0; }));
  EXPECT_TRUE(
      refused([&] { return fallocate(answer_.get(), FALLOC_FL_KEEP_SIZE, 0, 1 << 20) == 0; }));
  EXPECT_FALSE(refused([&] { return fallocate(answer_.get(), 0, 0, 1 << 20) == 0; }));
  EXPECT_EQ(WTERMSIG(Confined([&] {
              return fallocate(answer_.get(), 0, 0, LimitsFor(100, 1).written_bytes + 1) == 0;
            })),
            SIGXFSZ);
}

TEST_F(SandboxTest, CallsNothingElse) {
  const auto signal_of = [](int status) { return WIFSIGNALED(status) ? WTERMSIG(status) : 0; };
  EXPECT_EQ(signal_of(Confined([] { return socket(AF_INET, SOCK_STREAM, 0) >= 0; })), SIGSYS);
  EXPECT_EQ(signal_of(Confined([] { return fork() >= 0; })), SIGSYS);
  EXPECT_EQ(signal_of(Confined([] { return execl("/bin/true", "true", nullptr) == 0; })), SIGSYS);
  EXPECT_EQ(signal_of(Confined([] { return kill(getppid(), 0) == 0; })), SIGSYS);
  EXPECT_EQ(signal_of(Confined([] {
              std::abort();
              return true;
            })),
            SIGABRT)
      << "may still abort";
}

TEST(ReaderLimitsTest, GrowWithTheFilesAndNeverOverflow) {
  EXPECT_EQ(LimitsFor(0, 1).memory_bytes, int64_t{1} << 30);
  EXPECT_EQ(LimitsFor(int64_t{1} << 30, 1).memory_bytes, (int64_t{4} << 30) + (int64_t{512} << 20));
  EXPECT_EQ(LimitsFor(0, 1).cpu_seconds, 60);
  EXPECT_GT(LimitsFor(INT64_MAX, 1).mapped_bytes, 0);
  EXPECT_GT(AddSizes(INT64_MAX, INT64_MAX), 0);
}

}  // namespace
}  // namespace saed::recordings
