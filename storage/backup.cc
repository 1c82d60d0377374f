#include "storage/backup.h"

#include <SQLiteCpp/Backup.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <set>

#include "server/base/status_macros.h"

namespace saed::storage {
namespace {

namespace fs = std::filesystem;

constexpr const char* kAside = "aside";  // objects that the last starts set aside

absl::Status Flush(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const bool good = fd >= 0 && ::fsync(fd) == 0;
  if (fd >= 0) ::close(fd);
  if (good) return absl::OkStatus();
  return absl::UnavailableError(fmt::format("cannot flush {} to the disk", path.string()));
}

fs::path Place(const fs::path& root, const std::string& digest) {
  return root / "objects" / digest.substr(0, 2) / digest;
}

// Every directory from `root` down, deepest last; files too where `files`.
absl::Status FlushTree(const fs::path& root, bool files) {
  std::error_code error;
  for (auto it = fs::recursive_directory_iterator(root, error);
       !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
    if (files || it->is_directory()) SAED_RETURN_IF_ERROR(Flush(it->path()));
  }
  if (error) {
    return absl::UnavailableError(
        fmt::format("cannot list {}: {}", root.string(), error.message()));
  }
  return Flush(root);
}

// Without links, "..", and a slash at the end, also where nothing is there yet.
fs::path Plain(const fs::path& path) {
  std::error_code error;
  fs::path out = fs::weakly_canonical(fs::absolute(path, error), error).lexically_normal();
  return out.has_filename() ? out : out.parent_path();
}

bool LiesIn(const fs::path& path, const fs::path& root) {
  return std::mismatch(root.begin(), root.end(), path.begin(), path.end()).first == root.end();
}

bool IsThere(const fs::path& path) {
  std::error_code error;
  return fs::symlink_status(path, error).type() != fs::file_type::not_found;
}

// Fails where `to` has come to be, even as an empty folder.
absl::Status RenameToNew(const fs::path& from, const fs::path& to) {
  int failed = ::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE);
  // Some network file systems cannot promise that.
  if (failed != 0 && (errno == EINVAL || errno == ENOSYS) && !IsThere(to)) {
    failed = ::rename(from.c_str(), to.c_str());
  }
  if (failed == 0) return Flush(to.parent_path());
  return absl::UnavailableError(
      fmt::format("cannot rename to {}: {}", to.string(), std::strerror(errno)));
}

struct NamedObject {
  std::string digest;
  bool checkpoint = false;
};

std::vector<NamedObject> Named(SQLite::Database& db) {
  std::vector<NamedObject> out;
  SQLite::Statement s(db,
                      "SELECT digest, 0 FROM recordings UNION SELECT checkpoint, 1 FROM jobs WHERE "
                      "checkpoint IS NOT NULL");
  while (s.executeStep()) {
    out.push_back({s.getColumn(0).getString(), s.getColumn(1).getInt() != 0});
  }
  return out;
}

// False where the object is not there any more.
absl::StatusOr<bool> CopyObject(const fs::path& from, const fs::path& to, BackupSize& size) {
  std::error_code error;
  fs::create_directories(to.parent_path(), error);
  if (error) {
    return absl::UnavailableError(
        fmt::format("cannot write to {}: {}", to.string(), error.message()));
  }
  fs::create_hard_link(from, to, error);
  if (error) {
    error.clear();
    fs::copy_file(from, to, error);
    if (error && !fs::exists(from)) return false;
    if (error) {
      return absl::ResourceExhaustedError(
          fmt::format("cannot copy to {}: {}", to.string(), error.message()));
    }
    SAED_RETURN_IF_ERROR(Flush(to));
  }
  ++size.objects;
  size.bytes += static_cast<int64_t>(fs::file_size(to, error));
  return true;
}

absl::StatusOr<BackupSize> BackupInto(Database& db, const fs::path& source, const fs::path& to) {
  BackupSize size;
  const std::string file = (to / "saed.db").string();
  try {
    SQLite::Database copy(file, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    // In one snapshot of a reader, so that writers go on.
    SAED_RETURN_IF_ERROR(db.Read([&](SQLite::Database& from) -> absl::Status {
      SQLite::Backup backup(copy, from);
      backup.executeStep(-1);
      return absl::OkStatus();
    }));
    for (const NamedObject& object : Named(copy)) {
      SAED_ASSIGN_OR_RETURN(const bool there, CopyObject(Place(source, object.digest),
                                                         Place(to, object.digest), size));
      if (there) continue;
      if (!object.checkpoint) {
        return absl::AbortedError(
            fmt::format("the object {} was removed during the backup; make "
                        "it again",
                        object.digest));
      }
      SQLite::Statement s(copy,
                          "UPDATE jobs SET checkpoint = NULL, checkpoint_step = 0 WHERE checkpoint "
                          "= ?");
      s.bind(1, object.digest);
      s.exec();
    }
    copy.exec("PRAGMA journal_mode = DELETE");  // one file, whole in itself
  } catch (const SQLite::Exception& e) {
    return FromException(e);
  }
  SAED_RETURN_IF_ERROR(Flush(file));
  SAED_RETURN_IF_ERROR(FlushTree(to, false));  // the objects are flushed already
  std::error_code error;
  size.bytes += static_cast<int64_t>(fs::file_size(file, error));
  return size;
}

}  // namespace

absl::StatusOr<BackupSize> Backup(Database& db, const ObjectStore& objects,
                                  const std::string& directory) {
  const fs::path source = Plain(fs::path(objects.root()).parent_path()), to = Plain(directory);
  if (LiesIn(to, source)) {
    return absl::FailedPreconditionError(
        fmt::format("{} lies in the data directory {}; name a folder outside of it", directory,
                    source.string()));
  }
  if (IsThere(directory) || IsThere(to)) {
    return absl::FailedPreconditionError(
        fmt::format("{} exists already; name a folder that does not", directory));
  }
  // Under a name of its own until it is whole: what others left there is not touched.
  const fs::path partial = fmt::format("{}.partial-{}", to.string(), NewId());
  std::error_code error;
  fs::create_directories(to.parent_path(), error);
  // As closed to other accounts of the machine as the data directory is.
  if (error || ::mkdir(partial.c_str(), S_IRWXU) != 0) {
    return absl::FailedPreconditionError(fmt::format(
        "cannot make {}: {}", partial.string(), error ? error.message() : std::strerror(errno)));
  }
  auto size = BackupInto(db, source, partial);
  if (size.ok()) {
    if (absl::Status s = RenameToNew(partial, to); !s.ok()) size = std::move(s);
  }
  if (!size.ok()) fs::remove_all(partial, error);
  return size;
}

absl::StatusOr<std::vector<std::string>> CheckDirectory(const std::string& directory) {
  std::error_code error;
  const fs::path root(directory);
  if (!fs::is_regular_file(root / "saed.db", error)) {
    return absl::NotFoundError(fmt::format("{} has no saed.db", directory));
  }
  std::vector<std::string> faults;
  SAED_ASSIGN_OR_RETURN(const ObjectStore objects, ObjectStore::Open((root / "objects").string()));
  std::set<std::string> named;
  try {
    SQLite::Database db((root / "saed.db").string(), SQLite::OPEN_READONLY);
    SQLite::Statement integrity(db, "PRAGMA integrity_check");
    while (integrity.executeStep()) {
      const std::string line = integrity.getColumn(0).getString();
      if (line != "ok") faults.push_back("database: " + line);
    }
    SQLite::Statement references(db, "PRAGMA foreign_key_check");
    while (references.executeStep()) {
      faults.push_back(fmt::format("a row of {} names a missing row of {}",
                                   references.getColumn(0).getString(),
                                   references.getColumn(2).getString()));
    }
    for (const NamedObject& object : Named(db)) {
      named.insert(object.digest);
      const auto bytes = objects.Get(object.digest);
      if (!bytes.ok()) faults.emplace_back(bytes.status().message());
    }
  } catch (const SQLite::Exception& e) {
    faults.push_back(fmt::format("database: {}", e.what()));
  }
  for (auto it = fs::recursive_directory_iterator(root / "objects", error);
       !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (it.depth() == 0 && name == kAside) it.disable_recursion_pending();
    if (it->is_regular_file() && !named.contains(name)) {
      faults.push_back(
          fmt::format("{} is named by nothing; the next start sets it aside", it->path().string()));
    }
  }
  return faults;
}

absl::Status Restore(const std::string& backup, const std::string& data_directory) {
  const fs::path to = Plain(data_directory), from = Plain(backup);
  if (LiesIn(to, from)) {
    return absl::FailedPreconditionError(
        fmt::format("{} lies in the backup {}; restore into a new folder outside of it",
                    data_directory, backup));
  }
  SAED_ASSIGN_OR_RETURN(const auto faults, CheckDirectory(backup));
  if (!faults.empty()) {
    return absl::DataLossError(
        fmt::format("{} is damaged: {}{}", backup, faults[0],
                    faults.size() == 1 ? "" : fmt::format(" and {} more", faults.size() - 1)));
  }
  std::error_code error;
  if (IsThere(to) && !fs::is_empty(to, error)) {
    return absl::FailedPreconditionError(fmt::format(
        "{} is not empty; restore into a new folder and start the server there", data_directory));
  }
  fs::create_directories(to, error);
  // Copies, not links: what the server does must not reach the backup.
  fs::copy(from / "objects", to / "objects", fs::copy_options::recursive, error);
  if (!error) fs::copy_file(from / "saed.db", to / "saed.db.partial", error);
  if (error) {
    return absl::UnavailableError(
        fmt::format("cannot copy to {}: {}", data_directory, error.message()));
  }
  // The database last, when all that it names is on the disk.
  SAED_RETURN_IF_ERROR(FlushTree(to, true));
  SAED_RETURN_IF_ERROR(RenameToNew(to / "saed.db.partial", to / "saed.db"));
  return Flush(to.parent_path());
}

}  // namespace saed::storage
