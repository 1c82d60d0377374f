#include "storage/backup.h"

#include <SQLiteCpp/Backup.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <set>

#include "server/base/status_macros.h"

namespace saed::storage {
namespace {

namespace fs = std::filesystem;

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
  SAED_RETURN_IF_ERROR(Flush(to));
  std::error_code error;
  size.bytes += static_cast<int64_t>(fs::file_size(file, error));
  return size;
}

}  // namespace

absl::StatusOr<BackupSize> Backup(Database& db, const ObjectStore& objects,
                                  const std::string& directory) {
  std::error_code error;
  if (fs::exists(directory, error)) {
    return absl::FailedPreconditionError(
        fmt::format("{} exists already; name a folder that does not", directory));
  }
  // Under another name until it is whole.
  const std::string partial = directory + ".partial";
  fs::remove_all(partial, error);
  if (!fs::create_directories(partial, error)) {
    return absl::FailedPreconditionError(
        fmt::format("cannot make {}: {}", partial, error.message()));
  }
  auto size = BackupInto(db, fs::path(objects.root()).parent_path(), partial);
  if (size.ok()) fs::rename(partial, directory, error);
  if (!size.ok() || error) {
    std::error_code ignored;
    fs::remove_all(partial, ignored);
    if (size.ok()) {
      return absl::UnavailableError(
          fmt::format("cannot rename to {}: {}", directory, error.message()));
    }
  }
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
    if (it->is_regular_file() && !named.contains(name)) {
      faults.push_back(
          fmt::format("{} is named by nothing; the next start removes it", it->path().string()));
    }
  }
  return faults;
}

absl::Status Restore(const std::string& backup, const std::string& data_directory) {
  SAED_ASSIGN_OR_RETURN(const auto faults, CheckDirectory(backup));
  if (!faults.empty()) {
    return absl::DataLossError(
        fmt::format("{} is damaged: {}{}", backup, faults[0],
                    faults.size() == 1 ? "" : fmt::format(" and {} more", faults.size() - 1)));
  }
  std::error_code error;
  if (fs::exists(data_directory, error) && !fs::is_empty(data_directory, error)) {
    return absl::FailedPreconditionError(fmt::format(
        "{} is not empty; restore into a new folder and start the server there", data_directory));
  }
  fs::create_directories(data_directory, error);
  // Copies, not links: what the server does must not reach the backup.
  fs::copy(fs::path(backup) / "objects", fs::path(data_directory) / "objects",
           fs::copy_options::recursive, error);
  if (!error) {
    fs::copy_file(fs::path(backup) / "saed.db", fs::path(data_directory) / "saed.db", error);
  }
  if (error) {
    return absl::UnavailableError(
        fmt::format("cannot copy to {}: {}", data_directory, error.message()));
  }
  SAED_RETURN_IF_ERROR(Flush(fs::path(data_directory) / "saed.db"));
  return Flush(data_directory);
}

}  // namespace saed::storage
