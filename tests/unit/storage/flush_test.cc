// What a backup and its restoring have written is on the disk before they say that it is there.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <mutex>
#include <set>

#include "storage/backup.h"
#include "tests/tools/temp_dir.h"

namespace {

std::mutex mutex;
std::set<ino_t> flushed;  // by all threads of this program

void Note(int fd) {
  struct stat file {};
  if (::fstat(fd, &file) != 0) return;
  const std::lock_guard lock(mutex);
  flushed.insert(file.st_ino);
}

}  // namespace

// Takes the place of the C library's in this program and in SQLite.
extern "C" int fsync(int fd) {
  static const auto real = reinterpret_cast<int (*)(int)>(dlsym(RTLD_NEXT, "fsync"));
  Note(fd);
  return real(fd);
}
extern "C" int fdatasync(int fd) {
  static const auto real = reinterpret_cast<int (*)(int)>(dlsym(RTLD_NEXT, "fdatasync"));
  Note(fd);
  return real(fd);
}

namespace saed::storage {
namespace {

namespace fs = std::filesystem;

bool IsFlushed(const fs::path& path) {
  struct stat file {};
  EXPECT_EQ(::stat(path.c_str(), &file), 0) << path;
  const std::lock_guard lock(mutex);
  return flushed.count(file.st_ino) == 1;
}

// The folder, all below it, and where it is named.
void ExpectFlushed(const fs::path& root) {
  EXPECT_TRUE(IsFlushed(root)) << root;
  EXPECT_TRUE(IsFlushed(root.parent_path())) << root.parent_path();
  int entries = 0;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    EXPECT_TRUE(IsFlushed(entry.path())) << entry.path();
    ++entries;
  }
  EXPECT_GE(entries, 6) << "saed.db, objects, two folders and two objects";
}

TEST(BackupsOnDisk, AreThereWhenTheySaySo) {
  const test_tools::TempDir dir;
  fs::create_directories(dir / "data");
  fs::create_directories(dir / "backups");
  fs::create_directories(dir / "restored");
  const auto db = *Database::Open(dir / "data/saed.db");
  const ObjectStore objects = *ObjectStore::Open(dir / "data/objects");
  std::string sql;
  for (const char* text : {"alpha", "gamma"}) {
    const std::string digest = *objects.Put(text);
    sql +=
        "INSERT INTO recordings (id, digest, name, source, created_at, duration, unit_count, "
        "spike_count, bytes, summary) VALUES ('" +
        digest.substr(0, 8) + "', '" + digest + "', '', '', 1, 1, 1, 1, 5, '{}');";
  }
  ASSERT_TRUE(db->Write([&](SQLite::Database& to) -> absl::Status {
                  to.exec(sql);
                  return absl::OkStatus();
                }).ok());
  {
    const std::lock_guard lock(mutex);
    std::set<ino_t> kept;  // objects are linked, and were flushed as they were stored
    for (const auto& entry : fs::recursive_directory_iterator(dir / "data/objects")) {
      struct stat file {};
      ASSERT_EQ(::stat(entry.path().c_str(), &file), 0);
      if (entry.is_regular_file() && flushed.count(file.st_ino) == 1) kept.insert(file.st_ino);
    }
    flushed = kept;
  }
  const auto done = Backup(*db, objects, dir / "backups/monday");
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_EQ(done->objects, 2);
  ExpectFlushed(dir / "backups/monday");
  {
    const std::lock_guard lock(mutex);
    flushed.clear();
  }
  const absl::Status restored = Restore(dir / "backups/monday", dir / "restored/data");
  ASSERT_TRUE(restored.ok()) << restored;
  ExpectFlushed(dir / "restored/data");
}

}  // namespace
}  // namespace saed::storage
