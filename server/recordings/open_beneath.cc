#include "server/recordings/open_beneath.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "server/base/status_macros.h"

namespace saed::recordings {
namespace {

// O_NONBLOCK: opening a FIFO must not wait for who writes into it.
constexpr int kReading = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;

absl::Status Failed(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return absl::NotFoundError("is not there; must be a file or a folder");
    case EXDEV:
    case ELOOP:
      return absl::OutOfRangeError("is a link that leads out of the folder; must lie inside it");
    case EACCES:
    case EPERM:
      return absl::PermissionDeniedError("may not be read by the server; must be readable");
    case ENXIO:
    case ENODEV:
      return absl::FailedPreconditionError(
          "is a socket or a device; must be a regular file or a folder");
    case EMFILE:
    case ENFILE:
      return absl::ResourceExhaustedError("cannot be opened beside so many other files");
    default:
      return absl::UnavailableError(fmt::format("cannot be opened: {}", std::strerror(error)));
  }
}

// By what was opened, which no one can exchange any more.
absl::StatusOr<Opened> Look(Descriptor descriptor) {
  struct stat status {};
  if (fstat(descriptor.get(), &status) != 0) return Failed(errno);
  Opened out;
  out.is_folder = S_ISDIR(status.st_mode);
  if (!out.is_folder && !S_ISREG(status.st_mode)) {
    return absl::FailedPreconditionError(fmt::format("is a {}; must be a regular file or a folder",
                                                     S_ISFIFO(status.st_mode)   ? "FIFO"
                                                     : S_ISSOCK(status.st_mode) ? "socket"
                                                                                : "device"));
  }
  out.size = out.is_folder ? 0 : status.st_size;
  out.device = status.st_dev;
  out.inode = status.st_ino;
  out.descriptor = std::move(descriptor);
  return out;
}

}  // namespace

Descriptor::~Descriptor() {
  if (fd_ >= 0) close(fd_);
}

Descriptor& Descriptor::operator=(Descriptor&& o) noexcept {
  std::swap(fd_, o.fd_);
  return *this;
}

int Descriptor::Release() { return std::exchange(fd_, -1); }

absl::StatusOr<Descriptor> OpenFolder(const std::string& path) {
  Descriptor folder(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.ok()) return Failed(errno);
  return folder;
}

absl::StatusOr<Opened> OpenBeneath(int root, const std::string& path) {
  if (path.find('\0') != std::string::npos) return Failed(ENOENT);
  open_how how{};
  how.flags = kReading;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  const std::string asked = path.empty() ? "." : path;
  // EAGAIN: something was renamed meanwhile, and whether the way stayed inside is not known.
  for (int tries = 0; tries < 32; ++tries) {
    const long fd = syscall(SYS_openat2, root, asked.c_str(), &how, sizeof how);
    if (fd >= 0) return Look(Descriptor(static_cast<int>(fd)));
    if (errno == ENOSYS) return OpenBeneathByParts(root, path);
    if (errno != EAGAIN && errno != EINTR) return Failed(errno);
  }
  return Failed(EAGAIN);
}

absl::StatusOr<Opened> OpenBeneathByParts(int root, const std::string& path) {
  if (path.starts_with('/') || path.find('\0') != std::string::npos) return Failed(EXDEV);
  Descriptor at(openat(root, ".", kReading | O_DIRECTORY));
  if (!at.ok()) return Failed(errno);
  for (size_t begin = 0; begin < path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string part = path.substr(begin, end - begin);
    begin = end + 1;
    if (part.empty() || part == ".") continue;
    if (part == "..") return Failed(EXDEV);
    Descriptor next(openat(at.get(), part.c_str(), kReading | O_NOFOLLOW));
    if (!next.ok()) return Failed(errno);
    at = std::move(next);
  }
  return Look(std::move(at));
}

absl::StatusOr<Opened> OpenOwn(const std::string& path) {
  Descriptor file(open(path.c_str(), kReading | O_NOFOLLOW));
  if (!file.ok()) return Failed(errno);
  SAED_ASSIGN_OR_RETURN(Opened opened, Look(std::move(file)));
  if (opened.is_folder) {
    return absl::FailedPreconditionError("is a folder; must be a regular file");
  }
  return opened;
}

}  // namespace saed::recordings
