// The folder of a user below the data root.
#include "server/jobs/files_at.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "tests/tools/temp_dir.h"

namespace saed::jobs {
namespace {

namespace fs = std::filesystem;

class FilesAtTest : public testing::Test {
 protected:
  FilesAtTest() {
    fs::create_directories(dir_ / "root/sorted");
    dir_.Write("root/sorted/spike_times.npy", "12345678");
    dir_.Write("root/sorted/notes.docx", "unread");
    dir_.Write("secret.npy", "outside");
  }
  absl::StatusOr<FilesFound> At(const std::string& path) const {
    return FilesAt(dir_ / "root", path, "phy");
  }
  std::string Refusal(const std::string& path) const {
    return std::string(At(path).status().message());
  }

  test_tools::TempDir dir_;
};

TEST_F(FilesAtTest, FindsWhatTheFormatReads) {
  for (const std::string& path : {std::string("sorted"), dir_ / "root/sorted"}) {
    const auto found = At(path);
    ASSERT_TRUE(found.ok()) << found.status();
    ASSERT_EQ(found->files.size(), 1U);
    EXPECT_EQ(found->files[0].name, "spike_times.npy");
    EXPECT_EQ(found->bytes, 8);
    EXPECT_TRUE(found->left_out.empty());
  }
  const auto file = At("sorted/notes.docx");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->files[0].name, "notes.docx");
}

TEST_F(FilesAtTest, LinksThatLeadOutArePassedOverOrRefused) {
  fs::create_symlink("../../secret.npy", dir_ / "root/sorted/raw.dat");
  auto found = At("sorted");
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->left_out.size(), 1U);
  EXPECT_EQ(found->left_out[0], "raw.dat, is a link that leads out of the folder");
  fs::create_symlink("../../secret.npy", dir_ / "root/sorted/spike_clusters.npy");
  EXPECT_NE(Refusal("sorted").find("'spike_clusters.npy', which is a link that leads out"),
            std::string::npos)
      << Refusal("sorted");
  EXPECT_FALSE(At("../secret.npy").ok());
  EXPECT_FALSE(At(dir_ / "secret.npy").ok());
  EXPECT_FALSE(At("sorted/../../secret.npy").ok());
}

TEST_F(FilesAtTest, LinksThatStayInsideAreFollowedOnce) {
  fs::create_directories(dir_ / "root/session");
  fs::create_symlink("../sorted", dir_ / "root/session/link");
  fs::create_symlink("..", dir_ / "root/session/up");
  const auto found = FilesAt(dir_ / "root", "session", "");
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_TRUE(std::any_of(found->left_out.begin(), found->left_out.end(), [](const auto& line) {
    return line.find("a link to a folder that it lies in") != std::string::npos;
  }));
}

TEST_F(FilesAtTest, AFifoIsRefusedWithoutWaiting) {
  ASSERT_EQ(mkfifo((dir_ / "root/sorted/spike_clusters.npy").c_str(), 0600), 0);
  EXPECT_NE(Refusal("sorted").find("is a FIFO"), std::string::npos) << Refusal("sorted");
}

TEST_F(FilesAtTest, DepthIsBounded) {
  std::string path = "root";
  for (int i = 0; i < 20; ++i) path += "/deep";
  fs::create_directories(dir_ / path);
  const auto found = At("");
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->left_out.size(), 1U);
  EXPECT_NE(found->left_out[0].find("more than 12 deep"), std::string::npos);
}

}  // namespace
}  // namespace saed::jobs
