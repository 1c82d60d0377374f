// Opening what lies below a folder, and nothing that does not, whatever links and names are there.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace saed::recordings {

// Closes itself.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor();
  Descriptor(Descriptor&& o) noexcept : fd_(o.fd_) { o.fd_ = -1; }
  Descriptor& operator=(Descriptor&& o) noexcept;
  int get() const { return fd_; }
  bool ok() const { return fd_ >= 0; }
  // The caller closes it.
  int Release();

 private:
  int fd_ = -1;
};

// A regular file or a folder, open for reading.
struct Opened {
  Descriptor descriptor;
  bool is_folder = false;
  int64_t size = 0;  // bytes, of a file
  uint64_t device = 0, inode = 0;
};

// The folder itself; it may be named by links. NOT_FOUND where it is none.
absl::StatusOr<Descriptor> OpenFolder(const std::string& path);

// What lies at `path`, relative to `root`. Links are followed as long as none leads out of the
// root; an absolute one does. Never blocks on a FIFO or a device. NOT_FOUND where there is nothing,
// PERMISSION_DENIED where it may not be read, OUT_OF_RANGE where the way leads out, and
// FAILED_PRECONDITION where it is neither a file nor a folder; the messages go on from the name:
// "leads out of …".
absl::StatusOr<Opened> OpenBeneath(int root, const std::string& path);

// A regular file at a path of our own, which is no link. Errors as above.
absl::StatusOr<Opened> OpenOwn(const std::string& path);

// OpenBeneath() as kernels before Linux 5.6 allow it: part by part, following no link at all.
absl::StatusOr<Opened> OpenBeneathByParts(int root, const std::string& path);

}  // namespace saed::recordings
