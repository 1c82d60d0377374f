#include "server/recordings/sandbox.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "server/base/status_macros.h"
#include "server/recordings/landlock.h"
#include "server/recordings/system_calls.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SAED_SHADOW_MEMORY
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define SAED_SHADOW_MEMORY
#endif

namespace saed::recordings {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20, kGiB = int64_t{1} << 30;
constexpr int64_t kMostBytes = int64_t{1} << 50;

absl::Status Failed(const std::string& what) {
  return absl::InternalError(fmt::format("{}: {}", what, std::strerror(errno)));
}

absl::Status Active(Guard& guard, const std::string& what) {
  guard.active = true;
  guard.detail = what;
  return absl::OkStatus();
}

absl::Status Missing(Guard& guard, const std::string& why) {
  guard.detail = why;
  return absl::OkStatus();
}

absl::Status DropEnvironment(Guard& guard) {
  for (char** e = environ; e != nullptr && *e != nullptr; ++e) {
    std::memset(*e, 0, std::strlen(*e));  // /proc/self/environ is that memory
  }
  clearenv();
  return Active(guard, "has no variable and no descriptor of the server's");
}

absl::Status Limit(__rlimit_resource which, int64_t soft, int64_t hard, const char* what) {
  rlimit limit{};
  if (getrlimit(which, &limit) != 0) return Failed(what);
  limit.rlim_max = std::min(limit.rlim_max, static_cast<rlim_t>(hard));
  limit.rlim_cur = std::min(limit.rlim_max, static_cast<rlim_t>(soft));
  return setrlimit(which, &limit) == 0 ? absl::OkStatus() : Failed(what);
}

absl::Status SetLimits(const ReaderLimits& l, Guard& guard) {
  SAED_RETURN_IF_ERROR(Limit(RLIMIT_CORE, 0, 0, "cannot forbid core dumps"));
  // SIGXCPU tells why; SIGKILL follows where it is ignored.
  SAED_RETURN_IF_ERROR(
      Limit(RLIMIT_CPU, l.cpu_seconds, l.cpu_seconds + 2, "cannot limit processor time"));
  SAED_RETURN_IF_ERROR(
      Limit(RLIMIT_FSIZE, l.written_bytes, l.written_bytes, "cannot limit written files"));
  SAED_RETURN_IF_ERROR(Limit(RLIMIT_NOFILE, l.open_files, l.open_files, "cannot limit open files"));
#ifndef SAED_SHADOW_MEMORY
  SAED_RETURN_IF_ERROR(
      Limit(RLIMIT_DATA, l.memory_bytes, l.memory_bytes, "cannot limit private memory"));
  SAED_RETURN_IF_ERROR(
      Limit(RLIMIT_AS, l.mapped_bytes, l.mapped_bytes, "cannot limit mapped memory"));
#endif
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return Failed("cannot forbid being traced");
  return Active(guard, "memory, processor time, written bytes and open files are limited");
}

// HDF5 walks to a file by its real name, through folders that another user may not enter.
absl::Status KeepUser(Guard& guard) {
  return Missing(guard,
                 "the reader has the server's user, as whom it must be able to walk to files");
}

absl::Status RestrictFiles(const Confinement& c, Guard& guard) {
  const int version = LandlockVersion();
  if (version == 0) {
    return Missing(
        guard, "the kernel has no Landlock (Linux 5.13 or later, with landlock among its lsm=)");
  }
  std::vector<int> readable;
  for (const auto& file : c.files) readable.push_back(file.descriptor);
  SAED_RETURN_IF_ERROR(recordings::RestrictFiles(readable, c.writable));
  return Active(guard, fmt::format("opens the import's own files alone (version {})", version));
}

absl::Status RestrictCalls(Guard& guard) {
  if (!HasSystemCallFilter()) {
    return Missing(guard, "the kernel does not filter system calls (CONFIG_SECCOMP_FILTER)");
  }
  SAED_RETURN_IF_ERROR(RestrictSystemCalls());
  return Active(guard, "no network, no programs, no other processes");
}

}  // namespace

int64_t AddSizes(int64_t a, int64_t b) {
  return std::min(std::clamp<int64_t>(a, 0, kMostBytes) + std::clamp<int64_t>(b, 0, kMostBytes),
                  kMostBytes);
}

ReaderLimits LimitsFor(int64_t bytes, size_t files) {
  ReaderLimits out;
  bytes = AddSizes(bytes, 0);
  // The files' arrays, the recording made of them, its stored form; text is larger when parsed.
  out.memory_bytes = std::max(kGiB, 512 * kMiB + 4 * bytes);
  out.written_bytes = 2 * kGiB + 8 * bytes;  // zeros compress well
  out.disk_bytes = 2 * out.written_bytes;
  // Files and counts are mapped, and the program itself is.
  out.mapped_bytes = out.memory_bytes + 2 * bytes + 2 * out.written_bytes + 2 * kGiB;
  out.cpu_seconds = 60 + bytes / (2 * kMiB);
  out.open_files = static_cast<int64_t>(files) + 64;
  return out;
}

int64_t RoomOnDisk(int directory) {
  struct statvfs disk {};
  if (fstatvfs(directory, &disk) != 0) return kMostBytes;
  const auto free =
      static_cast<int64_t>(std::min<uint64_t>(uint64_t{disk.f_bavail} * disk.f_frsize, kMostBytes));
  return free - free / 10;
}

std::string PathOf(int descriptor) { return fmt::format("/proc/self/fd/{}", descriptor); }

const std::vector<std::string>& GuardNames() {
  static const std::vector<std::string> names = {"landlock", "seccomp", "limits", "user",
                                                 "environment"};
  return names;
}

absl::StatusOr<std::vector<Guard>> Confine(const Confinement& c,
                                           const std::set<std::string>& without) {
  std::vector<Guard> out;
  // In an order in which none needs what an earlier one took away.
  const auto put_up = [&](const std::string& name, const auto& how) -> absl::Status {
    Guard& guard = out.emplace_back();
    guard.name = name;
    return without.contains(name) ? Missing(guard, "left out for a probe") : how(guard);
  };
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return Failed("cannot give up new privileges");
  SAED_RETURN_IF_ERROR(put_up("environment", DropEnvironment));
  SAED_RETURN_IF_ERROR(put_up("user", KeepUser));
  SAED_RETURN_IF_ERROR(put_up("limits", [&](Guard& guard) { return SetLimits(c.limits, guard); }));
  SAED_RETURN_IF_ERROR(put_up("landlock", [&](Guard& guard) { return RestrictFiles(c, guard); }));
  SAED_RETURN_IF_ERROR(put_up("seccomp", RestrictCalls));
  return out;
}

}  // namespace saed::recordings
