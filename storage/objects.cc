#include "storage/objects.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <system_error>

#include "server/base/sha256.h"
#include "server/base/status_macros.h"

namespace saed::storage {
namespace {

namespace fs = std::filesystem;

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
  const FileDescriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640));
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

}  // namespace

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
  const std::string path = PathOf(digest);
  std::error_code error;
  if (fs::exists(path, error)) return digest;
  const std::string directory = fs::path(path).parent_path();
  if (fs::create_directories(directory, error)) SAED_RETURN_IF_ERROR(FlushDirectory(root_));
  if (error) return DiskError("create", directory, error.value());
  const std::string temporary = fmt::format("{}/tmp/{}", root_, NewId());
  absl::Status status = WriteDurably(temporary, bytes);
  if (status.ok() && ::rename(temporary.c_str(), path.c_str()) != 0) {
    status = DiskError("rename to", path, errno);
  }
  if (!status.ok()) {
    ::unlink(temporary.c_str());
    return status;
  }
  SAED_RETURN_IF_ERROR(FlushDirectory(directory));
  return digest;
}

absl::StatusOr<std::string> ObjectStore::Get(const std::string& digest) const {
  const std::string path = PathOf(digest);
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  if (!in) return absl::DataLossError(fmt::format("the stored object {} is missing", digest));
  std::string bytes(static_cast<size_t>(in.tellg()), '\0');
  in.seekg(0);
  in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!in) return absl::UnavailableError(fmt::format("cannot read {}", path));
  if (Sha256Hex(bytes) != digest) {
    return absl::DataLossError(fmt::format("the stored object {} has changed on disk", digest));
  }
  return bytes;
}

void ObjectStore::Remove(const std::string& digest) const { ::unlink(PathOf(digest).c_str()); }

absl::StatusOr<int64_t> ObjectStore::Sweep(const std::set<std::string>& named) const {
  int64_t removed = 0;
  std::error_code error;
  for (const char* part : {"/tmp", "/uploads"}) {
    for (const auto& entry : fs::directory_iterator(root_ + part, error)) {
      RemoveTree(entry.path());
      ++removed;
    }
  }
  for (const auto& directory : fs::directory_iterator(root_, error)) {
    const std::string name = directory.path().filename();
    if (name.size() != 2) continue;
    for (const auto& entry : fs::directory_iterator(directory.path(), error)) {
      if (named.count(entry.path().filename())) continue;
      RemoveTree(entry.path());
      ++removed;
    }
  }
  if (error) return DiskError("list", root_, error.value());
  return removed;
}

absl::StatusOr<std::string> ObjectStore::NewUploadDirectory() const {
  const std::string path = fmt::format("{}/uploads/{}", root_, NewId());
  std::error_code error;
  fs::create_directories(path, error);
  if (error) return DiskError("create", path, error.value());
  return path;
}

}  // namespace saed::storage
