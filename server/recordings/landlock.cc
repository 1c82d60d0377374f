#include "server/recordings/landlock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "server/base/status_macros.h"
#include "server/recordings/open_beneath.h"

namespace saed::recordings {
namespace {

// As the kernel has it today; the header of the system may be older than the kernel.
struct Ruleset {
  uint64_t files = 0;
  uint64_t network = 0;
  uint64_t scoped = 0;
};

constexpr uint64_t kTruncate = uint64_t{1} << 14;  // LANDLOCK_ACCESS_FS_TRUNCATE

// Every right over files that the version knows: those that are not given are then refused.
uint64_t AllRights(int version) {
  const int rights = version >= 5 ? 16 : version >= 3 ? 15 : version >= 2 ? 14 : 13;
  return (uint64_t{1} << rights) - 1;
}

absl::Status Failed(const char* what) {
  return absl::InternalError(fmt::format("{}: {}", what, std::strerror(errno)));
}

absl::Status Allow(int ruleset, int descriptor, uint64_t rights) {
  landlock_path_beneath_attr rule{};
  rule.allowed_access = rights;
  rule.parent_fd = descriptor;
  if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0) {
    return absl::OkStatus();
  }
  return Failed("cannot allow a file");
}

}  // namespace

int LandlockVersion() {
  const long version = syscall(SYS_landlock_create_ruleset, nullptr, size_t{0},
                               static_cast<uint32_t>(LANDLOCK_CREATE_RULESET_VERSION));
  return version < 0 ? 0 : static_cast<int>(version);
}

absl::Status RestrictFiles(const std::vector<int>& readable, const std::vector<int>& writable,
                           bool make_folders) {
  const int version = LandlockVersion();
  Ruleset rules;
  rules.files = AllRights(version);
  if (version >= 4) rules.network = 3;  // bind and connect of TCP
  if (version >= 6) rules.scoped = 3;   // abstract sockets and signals
  const size_t size = version >= 6 ? 24 : version >= 4 ? 16 : 8;
  const Descriptor ruleset(
      static_cast<int>(syscall(SYS_landlock_create_ruleset, &rules, size, 0U)));
  if (!ruleset.ok()) return Failed("cannot make rules for files");
  for (const int file : readable) {
    struct stat status {};
    const bool folder = fstat(file, &status) == 0 && S_ISDIR(status.st_mode);
    SAED_RETURN_IF_ERROR(
        Allow(ruleset.get(), file,
              LANDLOCK_ACCESS_FS_READ_FILE | (folder ? LANDLOCK_ACCESS_FS_READ_DIR : uint64_t{0})));
  }
  uint64_t writing = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
                     LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE | kTruncate;
  if (make_folders) writing |= LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_REMOVE_DIR;
  // In a file there is nothing to make or remove.
  const uint64_t writing_file =
      LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | kTruncate;
  for (const int place : writable) {
    struct stat status {};
    const bool folder = fstat(place, &status) == 0 && S_ISDIR(status.st_mode);
    SAED_RETURN_IF_ERROR(
        Allow(ruleset.get(), place, (folder ? writing : writing_file) & rules.files));
  }
  // How much of mapped files is resident, which count_file.cc looks at.
  const Descriptor memory(open("/proc/self/statm", O_PATH | O_CLOEXEC));
  if (memory.ok()) {
    SAED_RETURN_IF_ERROR(Allow(ruleset.get(), memory.get(), LANDLOCK_ACCESS_FS_READ_FILE));
  }
  if (syscall(SYS_landlock_restrict_self, ruleset.get(), 0U) != 0) {
    return Failed("cannot keep to the rules for files");
  }
  return absl::OkStatus();
}

}  // namespace saed::recordings
