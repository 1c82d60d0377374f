#include "storage/objects.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <system_error>
#include <vector>

#include "absl/strings/numbers.h"
#include "server/base/sha256.h"
#include "server/base/status_macros.h"

namespace saed::storage {
namespace {

namespace fs = std::filesystem;

constexpr mode_t kMode = 0640;  // of an object

absl::Status DiskError(std::string_view what, const std::string& path, int error) {
  const std::string message = fmt::format("cannot {} {}: {}", what, path, std::strerror(error));
  if (error == ENOSPC || error == EDQUOT) {
    return absl::ResourceExhaustedError(message + "; make room on the data directory's disk");
  }
  return absl::UnavailableError(message);
}

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

absl::Status FlushDirectory(const std::string& path) {
  const FileDescriptor dir(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (dir.get() < 0 || ::fsync(dir.get()) != 0) return DiskError("flush", path, errno);
  return absl::OkStatus();
}

absl::Status WriteDurably(const std::string& path, std::string_view bytes) {
  const FileDescriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, kMode));
  if (file.get() < 0) return DiskError("create", path, errno);
  while (!bytes.empty()) {
    const ssize_t n = ::write(file.get(), bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return DiskError("write", path, errno);
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  if (::fsync(file.get()) != 0) return DiskError("flush", path, errno);
  return absl::OkStatus();
}

absl::Status Flush(const std::string& path) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0 || ::fsync(file.get()) != 0) return DiskError("flush", path, errno);
  return absl::OkStatus();
}

absl::Status Missing(const std::string& digest) {
  return absl::DataLossError(fmt::format("the stored object {} is missing", digest));
}

absl::Status Changed(const std::string& digest) {
  return absl::DataLossError(fmt::format("the stored object {} has changed on disk", digest));
}

}  // namespace

absl::StatusOr<std::string> DigestOf(const std::string& path) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return DiskError("read", path, errno);
  Sha256 digest;
  std::string piece(1 << 20, '\0');
  while (true) {
    const ssize_t n = ::read(file.get(), piece.data(), piece.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return DiskError("read", path, errno);
    if (n == 0) return digest.Hex();
    digest.Update(piece.data(), static_cast<size_t>(n));
  }
}

std::string NewId() {
  static thread_local std::random_device device;
  return fmt::format("{:08x}{:08x}", device(), device());
}

void RemoveTree(const std::string& path) {
  std::error_code ignored;
  fs::remove_all(path, ignored);
}

absl::StatusOr<ObjectStore> ObjectStore::Open(const std::string& root) {
  std::error_code error;
  for (const char* part : {"", "/tmp", "/uploads"}) {
    fs::create_directories(root + part, error);
    if (error) return DiskError("create", root + part, error.value());
  }
  return ObjectStore(root);
}

std::string ObjectStore::PathOf(const std::string& digest) const {
  return fmt::format("{}/{}/{}", root_, digest.substr(0, 2), digest);
}

absl::StatusOr<std::string> ObjectStore::Put(std::string_view bytes) const {
  const std::string digest = Sha256Hex(bytes);
  Keep(digest);
  std::error_code error;
  if (fs::exists(PathOf(digest), error)) return digest;
  const std::string temporary = fmt::format("{}/tmp/{}", root_, NewId());
  absl::Status status = WriteDurably(temporary, bytes);
  if (status.ok()) status = MoveIn(temporary, digest);
  if (!status.ok()) {
    ::unlink(temporary.c_str());
    return status;
  }
  return digest;
}

absl::Status ObjectStore::MoveIn(const std::string& temporary, const std::string& digest) const {
  const std::string path = PathOf(digest), directory = fs::path(path).parent_path();
  std::error_code error;
  if (fs::create_directories(directory, error)) SAED_RETURN_IF_ERROR(FlushDirectory(root_));
  if (error) return DiskError("create", directory, error.value());
  if (::rename(temporary.c_str(), path.c_str()) != 0) return DiskError("rename to", path, errno);
  return FlushDirectory(directory);
}

absl::Status ObjectStore::Adopt(const std::string& path, const std::string& digest) const {
  Keep(digest);
  std::error_code error;
  if (fs::exists(PathOf(digest), error)) return absl::OkStatus();
  // As Put() makes them: other accounts of the machine cannot read them.
  if (::chmod(path.c_str(), kMode) != 0) return DiskError("prepare", path, errno);
  SAED_RETURN_IF_ERROR(Flush(path));
  return MoveIn(path, digest);
}

absl::StatusOr<std::string> ObjectStore::File(const std::string& digest) const {
  const std::string path = PathOf(digest);
  std::error_code error;
  if (!fs::exists(path, error)) return Missing(digest);
  SAED_ASSIGN_OR_RETURN(const std::string found, DigestOf(path));
  if (found != digest) return Changed(digest);
  return path;
}

absl::StatusOr<std::string> ObjectStore::Get(const std::string& digest) const {
  const std::string path = PathOf(digest);
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  if (!in) return Missing(digest);
  std::string bytes(static_cast<size_t>(in.tellg()), '\0');
  in.seekg(0);
  in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!in) return absl::UnavailableError(fmt::format("cannot read {}", path));
  if (Sha256Hex(bytes) != digest) return Changed(digest);
  return bytes;
}

void ObjectStore::Keep(const std::string& digest) const {
  const std::lock_guard lock(left_->mutex);
  left_->digests.erase(digest);
}

void ObjectStore::Remove(const std::string& digest) const {
  // Under the lock, or what is kept anew in between would be removed later.
  const std::lock_guard lock(left_->mutex);
  if (::unlink(PathOf(digest).c_str()) == 0 || errno == ENOENT) return;
  left_->digests.insert(digest);
}

absl::StatusOr<int64_t> ObjectStore::RemoveLeft() const {
  int64_t removed = 0;
  absl::Status why;
  const std::lock_guard lock(left_->mutex);
  for (auto it = left_->digests.begin(); it != left_->digests.end();) {
    const std::string path = PathOf(*it);
    if (::unlink(path.c_str()) == 0 || errno == ENOENT) {
      ++removed;
      it = left_->digests.erase(it);
    } else {
      why = DiskError("remove", path, errno);
      ++it;
    }
  }
  if (why.ok()) return removed;
  return absl::UnavailableError(fmt::format("{} objects that nothing names stay on the disk: {}",
                                            left_->digests.size(), std::string(why.message())));
}

absl::StatusOr<ObjectStore::Swept> ObjectStore::Sweep(const std::set<std::string>& named,
                                                      int64_t now) const {
  Swept swept;
  std::error_code error;
  for (const char* part : {"/tmp", "/uploads"}) {
    for (const auto& entry : fs::directory_iterator(root_ + part, error)) {
      RemoveTree(entry.path());
      ++swept.unfinished;
    }
    if (error) return DiskError("list", root_ + part, error.value());
  }
  fs::create_directories(Aside(), error);
  if (error) return DiskError("create", Aside(), error.value());
  SAED_RETURN_IF_ERROR(BringBack(named, swept));
  SAED_RETURN_IF_ERROR(SetAside(named, now, swept));
  SAED_RETURN_IF_ERROR(EmptyAside(now, swept));
  return swept;
}

absl::Status ObjectStore::BringBack(const std::set<std::string>& named, Swept& swept) const {
  std::error_code error;
  std::vector<fs::path> found;
  for (auto it = fs::recursive_directory_iterator(Aside(), error);
       !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
    if (it->is_regular_file() && named.contains(it->path().filename())) found.push_back(it->path());
  }
  if (error) return DiskError("list", Aside(), error.value());
  for (const fs::path& path : found) {
    const std::string digest = path.filename();
    if (fs::exists(PathOf(digest), error)) continue;
    SAED_RETURN_IF_ERROR(MoveIn(path, digest));
    ++swept.brought_back;
  }
  return absl::OkStatus();
}

absl::Status ObjectStore::SetAside(const std::set<std::string>& named, int64_t now,
                                   Swept& swept) const {
  std::error_code error;
  const std::string to = fmt::format("{}/{}", Aside(), now / 1'000'000);
  for (const auto& directory : fs::directory_iterator(root_, error)) {
    if (directory.path().filename().string().size() != 2) continue;
    for (const auto& entry : fs::directory_iterator(directory.path(), error)) {
      const std::string name = entry.path().filename();
      if (named.contains(name)) continue;
      std::error_code failed;
      fs::create_directories(to, failed);
      if (!failed) fs::rename(entry.path(), fs::path(to) / name, failed);
      if (failed) return DiskError("set aside", entry.path(), failed.value());
      ++swept.set_aside;
    }
    if (error) return DiskError("list", directory.path(), error.value());
  }
  if (error) return DiskError("list", root_, error.value());
  if (swept.set_aside == 0) return absl::OkStatus();
  SAED_RETURN_IF_ERROR(FlushDirectory(to));
  return FlushDirectory(Aside());
}

absl::Status ObjectStore::EmptyAside(int64_t now, Swept& swept) const {
  constexpr int64_t kSeconds = int64_t{kAsideDays} * 24 * 3600;
  std::error_code error;
  std::vector<fs::path> old;
  for (const auto& entry : fs::directory_iterator(Aside(), error)) {
    int64_t seconds = 0;  // what others put there has another name, and stays
    if (!absl::SimpleAtoi(entry.path().filename().string(), &seconds)) continue;
    if (seconds <= now / 1'000'000 - kSeconds) old.push_back(entry.path());
  }
  if (error) return DiskError("list", Aside(), error.value());
  for (const fs::path& path : old) {
    std::error_code stays;  // until the next start
    fs::remove_all(path, stays);
    if (!stays) ++swept.emptied;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ObjectStore::NewUploadDirectory() const {
  const std::string path = fmt::format("{}/uploads/{}", root_, NewId());
  std::error_code error;
  fs::create_directories(path, error);
  if (error) return DiskError("create", path, error.value());
  return path;
}

}  // namespace saed::storage
