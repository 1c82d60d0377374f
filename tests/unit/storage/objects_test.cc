#include "storage/objects.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/tools/temp_dir.h"

namespace saed::storage {
namespace {

TEST(Objects, StoreCheckSweep) {
  saed::test_tools::TempDir dir;
  const auto store = ObjectStore::Open(dir / "objects");
  ASSERT_TRUE(store.ok());
  const auto a = store->Put("alpha"), b = store->Put("beta");
  EXPECT_EQ(*store->Put("alpha"), *a);
  EXPECT_EQ(*store->Get(*a), "alpha");
  ASSERT_TRUE(store->NewUploadDirectory().ok());
  const auto swept = store->Sweep({*a}, 0);
  ASSERT_TRUE(swept.ok()) << swept.status();
  EXPECT_EQ(swept->unfinished, 1);
  EXPECT_EQ(swept->set_aside, 1);
  EXPECT_TRUE(absl::IsDataLoss(store->Get(*b).status()));
  std::ofstream(dir / ("objects/" + a->substr(0, 2) + "/" + *a)) << "changed";
  EXPECT_TRUE(absl::IsDataLoss(store->Get(*a).status()));
}

TEST(Objects, AFileIsMovedInAndFoundAgain) {
  saed::test_tools::TempDir dir;
  const auto store = ObjectStore::Open(dir / "objects");
  ASSERT_TRUE(store.ok());
  const auto upload = store->NewUploadDirectory();
  std::string bytes(3'000'000, 'x');
  bytes += "end";
  const std::string path = *upload + "/recording";
  std::ofstream(path) << bytes;
  const auto digest = DigestOf(path);
  ASSERT_TRUE(digest.ok());
  EXPECT_EQ(*digest, *store->Put(bytes)) << "of the same content";
  store->Remove(*digest);
  EXPECT_TRUE(absl::IsDataLoss(store->File(*digest).status()));
  ASSERT_TRUE(store->Adopt(path, *digest).ok());
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_EQ(*store->Get(*digest), bytes);
  const auto file = store->File(*digest);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(std::filesystem::status(*file).permissions() & std::filesystem::perms::others_all,
            std::filesystem::perms::none);
  EXPECT_EQ(*DigestOf(*file), *digest);
  std::ofstream(*file, std::ios::app) << "more";
  EXPECT_TRUE(absl::IsDataLoss(store->File(*digest).status()));
  EXPECT_TRUE(absl::IsUnavailable(DigestOf(dir / "none").status()));
  EXPECT_FALSE(store->Adopt(dir / "none", std::string(64, '0')).ok());
}

TEST(Objects, WhatTheDiskKeepsIsToldAndTriedAgain) {
  saed::test_tools::TempDir dir;
  const auto store = ObjectStore::Open(dir / "objects");
  ASSERT_TRUE(store.ok());
  const std::string a = *store->Put("alpha"), b = *store->Put("beta"), c = *store->Put("gamma");
  const auto path = [&](const std::string& digest) {
    return std::filesystem::path(dir / ("objects/" + digest.substr(0, 2) + "/" + digest));
  };
  // Nobody, root neither, unlinks a folder.
  for (const std::string& digest : {a, b}) {
    std::filesystem::rename(path(digest), dir / digest);
    std::filesystem::create_directory(path(digest));
  }
  for (const std::string& digest : {a, b, c}) store->Remove(digest);
  EXPECT_FALSE(std::filesystem::exists(path(c)));
  const absl::Status stays = ObjectStore(*store).RemoveLeft().status();
  EXPECT_TRUE(absl::IsUnavailable(stays)) << stays;
  EXPECT_NE(stays.message().find("2 objects that nothing names stay on the disk: cannot remove " +
                                 (dir / "objects")),
            std::string::npos)
      << stays;
  for (const std::string& digest : {a, b}) {
    std::filesystem::remove(path(digest));
    std::filesystem::rename(dir / digest, path(digest));
  }
  EXPECT_EQ(*store->Put("beta"), b);  // wanted again
  EXPECT_EQ(*store->RemoveLeft(), 1);
  EXPECT_FALSE(std::filesystem::exists(path(a)));
  EXPECT_EQ(*store->Get(b), "beta");
  EXPECT_EQ(*store->RemoveLeft(), 0);
}

}  // namespace
}  // namespace saed::storage
