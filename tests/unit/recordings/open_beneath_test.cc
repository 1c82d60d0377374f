// Opening what lies below a folder: links, FIFOs and ways out.
#include "server/recordings/open_beneath.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "tests/tools/temp_dir.h"

namespace saed::recordings {
namespace {

namespace fs = std::filesystem;
using absl::StatusCode;

class OpenBeneathTest : public testing::TestWithParam<bool> {
 protected:
  OpenBeneathTest() {
    fs::create_directories(dir_ / "root/inner/deep");
    dir_.Write("root/inner/file", "inside");
    dir_.Write("secret", "outside");
    root_ = *OpenFolder(dir_ / "root");
  }
  // By the kernel, or part by part.
  absl::StatusOr<Opened> Open(const std::string& path) {
    return GetParam() ? OpenBeneath(root_.get(), path) : OpenBeneathByParts(root_.get(), path);
  }
  StatusCode CodeOf(const std::string& path) { return Open(path).status().code(); }
  void Link(const std::string& to, const std::string& name) {
    fs::create_symlink(to, dir_ / ("root/" + name));
  }

  test_tools::TempDir dir_;
  Descriptor root_;
};

TEST_P(OpenBeneathTest, OpensFilesAndFolders) {
  const auto file = Open("inner/file");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->size, 6);
  char bytes[6];
  ASSERT_EQ(read(file->descriptor.get(), bytes, 6), 6);
  EXPECT_EQ(std::string(bytes, 6), "inside");
  EXPECT_TRUE(Open("inner")->is_folder);
  EXPECT_TRUE(Open("")->is_folder);
  EXPECT_EQ(CodeOf("inner/none"), StatusCode::kNotFound);
  EXPECT_EQ(CodeOf("inner/file/none"), StatusCode::kNotFound);
}

TEST_P(OpenBeneathTest, NoWayLeadsOut) {
  Link("../secret", "link");
  Link(dir_ / "secret", "absolute");
  Link("..", "up");
  Link("/", "top");
  Link("loop", "loop");
  Link("/proc/self/root", "magic");
  for (const char* path : {"../secret", "inner/../../secret", "/etc/passwd", "link", "absolute",
                           "up/secret", "top/etc/passwd", "loop", "magic/etc/passwd"}) {
    EXPECT_EQ(CodeOf(path), StatusCode::kOutOfRange) << path;
  }
  EXPECT_EQ(CodeOf(std::string("inner/file\0x", 12)),
            GetParam() ? StatusCode::kNotFound : StatusCode::kOutOfRange);
}

TEST_P(OpenBeneathTest, OnlyFilesAndFoldersAndWithoutWaiting) {
  ASSERT_EQ(mkfifo((dir_ / "root/fifo").c_str(), 0600), 0);
  const auto fifo = Open("fifo");
  EXPECT_EQ(fifo.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(fifo.status().message().find("is a FIFO"), std::string::npos) << fifo.status();
}

INSTANTIATE_TEST_SUITE_P(Ways, OpenBeneathTest, testing::Bool());

TEST(OpenBeneathByKernelTest, LinksThatStayInsideAreFollowed) {
  const test_tools::TempDir dir;
  fs::create_directories(dir / "root/inner");
  dir.Write("root/file", "inside");
  fs::create_symlink("../file", dir / "root/inner/link");
  const auto root = OpenFolder(dir / "root");
  const auto opened = OpenBeneath(root->get(), "inner/link");
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ(opened->size, 6);
}

TEST(OpenOwnTest, FollowsNoLink) {
  const test_tools::TempDir dir;
  dir.Write("file", "x");
  fs::create_symlink("file", dir / "link");
  EXPECT_TRUE(OpenOwn(dir / "file").ok());
  EXPECT_FALSE(OpenOwn(dir / "link").ok());
  EXPECT_FALSE(OpenOwn(dir.path()).ok());
}

}  // namespace
}  // namespace saed::recordings
