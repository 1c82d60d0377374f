#include "server/recordings/count_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace saed::recordings {
namespace {

absl::Status Failed(const std::string& what) {
  return errno == ENOSPC || errno == EFBIG
             ? absl::ResourceExhaustedError(fmt::format("{}: {}", what, std::strerror(errno)))
             : absl::UnavailableError(fmt::format("{}: {}", what, std::strerror(errno)));
}

}  // namespace

std::string& CountDirectory() {
  static std::string directory;
  return directory;
}

absl::StatusOr<std::shared_ptr<CountFile>> CountFile::Create(const std::string& directory,
                                                             size_t bytes) {
  std::string path =
      (directory.empty() ? std::filesystem::temp_directory_path().string() : directory) +
      "/saed-counts-XXXXXX";
  const int file = mkstemp(path.data());
  if (file < 0) return Failed("cannot create a file for counts");
  unlink(path.c_str());
  // Room is claimed at once: a full disk shows here, not as a fault while counts are written.
  const int full = posix_fallocate(file, 0, static_cast<off_t>(bytes));
  if (full != 0) {
    close(file);
    errno = full;
    return Failed(fmt::format("no room for {} bytes of counts", bytes));
  }
  void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (data == MAP_FAILED) return Failed("cannot map the counts");
  return std::shared_ptr<CountFile>(new CountFile(static_cast<uint8_t*>(data), bytes, 0));
}

absl::StatusOr<std::shared_ptr<CountFile>> CountFile::Open(const std::string& path, size_t offset) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return Failed(fmt::format("cannot open {}", path));
  struct stat status {};
  if (fstat(file, &status) != 0 || static_cast<size_t>(status.st_size) <= offset) {
    close(file);
    return absl::DataLossError(fmt::format("{} is shorter than {} bytes", path, offset));
  }
  const auto size = static_cast<size_t>(status.st_size);
  void* data = mmap(nullptr, size, PROT_READ, MAP_SHARED, file, 0);
  close(file);
  if (data == MAP_FAILED) return Failed(fmt::format("cannot map {}", path));
  return std::shared_ptr<CountFile>(new CountFile(static_cast<uint8_t*>(data), size, offset));
}

CountFile::~CountFile() { munmap(data_, size_); }

void CountFile::Release() const { madvise(data_, size_, MADV_DONTNEED); }

void CountFile::ReadAtRandom() const { madvise(data_, size_, MADV_RANDOM); }

}  // namespace saed::recordings
