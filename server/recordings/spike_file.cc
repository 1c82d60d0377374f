#include "server/recordings/spike_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

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

size_t PlaceOf(size_t spike) { return kSpikesAt + spike * sizeof(double); }

}  // namespace

std::string& SpikeDirectory() {
  static std::string directory;
  return directory;
}

absl::StatusOr<std::shared_ptr<SpikeFile>> SpikeFile::Create(size_t spikes) {
  const bool named = !SpikeDirectory().empty();
  std::string folder = named ? SpikeDirectory() : CountDirectory();
  if (folder.empty()) folder = std::filesystem::temp_directory_path().string();
  std::string path = folder + "/saed-spikes-XXXXXX";
  const int file = mkstemp(path.data());
  if (file < 0) return Failed("cannot create a file for spikes", errno);
  if (!named) unlink(path.c_str());
  std::shared_ptr<SpikeFile> out(new SpikeFile(file, named ? path : "", spikes));
  // Room is claimed at once: a full disk shows here, before hours of reading.
  const size_t bytes = PlaceOf(spikes);
  if (const int full = posix_fallocate(file, 0, static_cast<off_t>(bytes)); full != 0) {
    return Failed(fmt::format("no room for {} bytes of spikes", bytes), full);
  }
  SAED_ASSIGN_OR_RETURN(out->map_, CountFile::Map(file, bytes, kSpikesAt));
  return out;
}

SpikeFile::~SpikeFile() {
  close(file_);
  if (named()) unlink(path_.c_str());
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

absl::Status SpikeFile::Store(std::string_view before, std::string_view behind,
                              const std::string& path) {
  SAED_RETURN_IF_ERROR(WriteAt(file_, before.data(), before.size(), 0));
  SAED_RETURN_IF_ERROR(WriteAt(file_, behind.data(), behind.size(), PlaceOf(spikes_)));
  if (std::rename(path_.c_str(), path.c_str()) != 0) return Failed("cannot name spikes", errno);
  path_.clear();
  return absl::OkStatus();
}

}  // namespace saed::recordings
