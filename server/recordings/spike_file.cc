#include "server/recordings/spike_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <utility>

#include "server/base/status_macros.h"

namespace saed::recordings {
namespace {

absl::Status Failed(const std::string& what, int error) {
  const std::string message = fmt::format("{}: {}", what, std::strerror(error));
  return error == ENOSPC || error == EFBIG || error == EDQUOT
             ? absl::ResourceExhaustedError(message)
             : absl::UnavailableError(message);
}

absl::Status WriteAt(int file, const void* data, size_t size, size_t at) {
  const auto* from = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t n = pwrite(file, from, size, static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Failed("cannot store spikes", errno);
    from += n;
    at += static_cast<size_t>(n);
    size -= static_cast<size_t>(n);
  }
  return absl::OkStatus();
}

// The files of PutSpikesInto() that are free.
std::vector<int>& Lent() {
  static std::vector<int> descriptors;
  return descriptors;
}

absl::StatusOr<int> MakeNameless() {
  std::string folder = CountDirectory();
  if (folder.empty()) folder = std::filesystem::temp_directory_path().string();
  std::string path = folder + "/saed-spikes-XXXXXX";
  const int file = mkstemp(path.data());
  if (file < 0) return Failed("cannot create a file for spikes", errno);
  unlink(path.c_str());
  return file;
}

size_t PlaceOf(size_t spike) { return kSpikesAt + spike * sizeof(double); }

}  // namespace

void PutSpikesInto(std::vector<int> descriptors) { Lent() = std::move(descriptors); }

absl::StatusOr<std::shared_ptr<SpikeFile>> SpikeFile::Create(size_t spikes) {
  const bool lent = !Lent().empty();
  int file = -1;
  if (lent) {
    file = Lent().back();
    Lent().pop_back();
  } else {
    SAED_ASSIGN_OR_RETURN(file, MakeNameless());
  }
  std::shared_ptr<SpikeFile> out(new SpikeFile(file, lent, spikes));
  // Room is claimed at once: a full disk shows here, before hours of reading.
  const size_t bytes = PlaceOf(spikes);
  if (const int full = posix_fallocate(file, 0, static_cast<off_t>(bytes)); full != 0) {
    return Failed(fmt::format("no room for {} bytes of spikes", bytes), full);
  }
  SAED_ASSIGN_OR_RETURN(out->map_, CountFile::Map(file, bytes, kSpikesAt));
  return out;
}

SpikeFile::~SpikeFile() {
  if (!lent_) {
    close(file_);
  } else if (!complete_) {
    map_.reset();
    // What cannot be emptied cannot be lent again.
    if (ftruncate(file_, 0) == 0) Lent().push_back(file_);
  }
}

absl::Status SpikeFile::Write(size_t first, std::span<const double> times) {
  return WriteAt(file_, times.data(), times.size_bytes(), PlaceOf(first));
}

absl::Status SpikeFile::Read(size_t first, std::span<double> times) const {
  auto* to = reinterpret_cast<char*>(times.data());
  size_t at = PlaceOf(first);
  for (size_t size = times.size_bytes(); size > 0;) {
    const ssize_t n = pread(file_, to, size, static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return Failed("cannot read spikes again", n < 0 ? errno : EIO);
    to += n;
    at += static_cast<size_t>(n);
    size -= static_cast<size_t>(n);
  }
  return absl::OkStatus();
}

std::span<double> SpikeFile::Mapped(size_t first, size_t count) {
  return {reinterpret_cast<double*>(map_->data()) + first, count};
}

absl::Status SpikeFile::Complete(std::string_view before, std::string_view behind) {
  SAED_RETURN_IF_ERROR(WriteAt(file_, before.data(), before.size(), 0));
  SAED_RETURN_IF_ERROR(WriteAt(file_, behind.data(), behind.size(), PlaceOf(spikes_)));
  const size_t end = PlaceOf(spikes_) + behind.size();
  if (ftruncate(file_, static_cast<off_t>(end)) != 0) return Failed("cannot store spikes", errno);
  complete_ = true;
  return absl::OkStatus();
}

}  // namespace saed::recordings
