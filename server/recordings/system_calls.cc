#include "server/recordings/system_calls.h"

#include <fmt/format.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "server/base/status_macros.h"

namespace saed::recordings {
namespace {

// Reading and writing files that are open or may be opened, memory, threads, clocks.
constexpr const char* kAllowed[] = {"read",
                                    "pread64",
                                    "readv",
                                    "preadv",
                                    "write",
                                    "pwrite64",
                                    "writev",
                                    "pwritev",
                                    "lseek",
                                    "close",
                                    "open",
                                    "openat",
                                    "fstat",
                                    "stat",
                                    "lstat",
                                    "newfstatat",
                                    "statx",
                                    "access",
                                    "faccessat",
                                    "faccessat2",
                                    "getcwd",
                                    "readlink",
                                    "readlinkat",
                                    "getdents64",
                                    "fcntl",
                                    "dup",
                                    "flock",
                                    "ftruncate",
                                    "fallocate",
                                    "fsync",
                                    "fdatasync",
                                    "fadvise64",
                                    "unlink",
                                    "unlinkat",
                                    "munmap",
                                    "mremap",
                                    "madvise",
                                    "msync",
                                    "brk",
                                    "futex",
                                    "set_robust_list",
                                    "rseq",
                                    "sched_yield",
                                    "sched_getaffinity",
                                    "nanosleep",
                                    "clock_nanosleep",
                                    "clock_gettime",
                                    "clock_getres",
                                    "gettimeofday",
                                    "time",
                                    "poll",
                                    "ppoll",
                                    "getpid",
                                    "gettid",
                                    "getppid",
                                    "getuid",
                                    "geteuid",
                                    "getgid",
                                    "getegid",
                                    "uname",
                                    "sysinfo",
                                    "getrusage",
                                    "getrlimit",
                                    "rt_sigaction",
                                    "rt_sigprocmask",
                                    "rt_sigreturn",
                                    "sigaltstack",
                                    "getrandom",
                                    "exit",
                                    "exit_group",
                                    "restart_syscall"};

// What only an intruder does: it ends there, and the server says so.
constexpr const char* kDeadly[] = {"socket",
                                   "socketpair",
                                   "connect",
                                   "bind",
                                   "listen",
                                   "accept",
                                   "accept4",
                                   "sendto",
                                   "sendmsg",
                                   "recvfrom",
                                   "recvmsg",
                                   "execve",
                                   "execveat",
                                   "fork",
                                   "vfork",
                                   "ptrace",
                                   "process_vm_readv",
                                   "process_vm_writev",
                                   "process_madvise",
                                   "kill",
                                   "tkill",
                                   "rt_sigqueueinfo",
                                   "rt_tgsigqueueinfo",
                                   "pidfd_open",
                                   "pidfd_getfd",
                                   "pidfd_send_signal",
                                   "mount",
                                   "umount2",
                                   "move_mount",
                                   "open_tree",
                                   "fsopen",
                                   "pivot_root",
                                   "chroot",
                                   "unshare",
                                   "setns",
                                   "bpf",
                                   "io_uring_setup",
                                   "io_uring_enter",
                                   "io_uring_register",
                                   "userfaultfd",
                                   "keyctl",
                                   "add_key",
                                   "request_key",
                                   "perf_event_open",
                                   "open_by_handle_at",
                                   "name_to_handle_at",
                                   "memfd_create",
                                   "memfd_secret",
                                   "init_module",
                                   "finit_module",
                                   "delete_module",
                                   "kexec_load",
                                   "kexec_file_load",
                                   "reboot",
                                   "swapon",
                                   "swapoff",
                                   "setuid",
                                   "setgid",
                                   "setreuid",
                                   "setregid",
                                   "setresuid",
                                   "setresgid",
                                   "setgroups",
                                   "capset"};

class Filter {
 public:
  Filter() : context_(seccomp_init(SCMP_ACT_ERRNO(EPERM)), seccomp_release) {}

  // The call, where all conditions hold. One that this kernel's headers do not know is skipped: it
  // is refused like all others.
  template <class... Conditions>
  void Add(uint32_t action, const char* call, Conditions... conditions) {
    const int number = seccomp_syscall_resolve_name(call);
    if (number == __NR_SCMP_ERROR || number < 0 || failed_ != 0) return;
    failed_ = seccomp_rule_add(context_.get(), action, number,
                               static_cast<unsigned>(sizeof...(conditions)), conditions...);
  }

  absl::Status Load() {
    if (failed_ == 0) failed_ = seccomp_load(context_.get());
    if (failed_ == 0) return absl::OkStatus();
    return absl::InternalError(
        fmt::format("cannot filter system calls: {}", std::strerror(-failed_)));
  }

 private:
  std::unique_ptr<void, void (*)(scmp_filter_ctx)> context_;
  int failed_ = 0;
};

}  // namespace

bool HasSystemCallFilter() {
  return seccomp_api_get() >= 2 && prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0;
}

absl::Status RestrictSystemCalls(const std::vector<const char*>& also) {
  Filter filter;
  for (const char* call : kAllowed) filter.Add(SCMP_ACT_ALLOW, call);
  for (const char* call : also) filter.Add(SCMP_ACT_ALLOW, call);
  for (const char* call : kDeadly) filter.Add(SCMP_ACT_KILL_PROCESS, call);
  // Memory, but none that could be run.
  filter.Add(SCMP_ACT_ALLOW, "mmap", SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
  filter.Add(SCMP_ACT_ALLOW, "mprotect", SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
  // Threads, but no processes. What clone3 is asked for cannot be seen; without it the C library
  // asks clone.
  filter.Add(SCMP_ACT_ALLOW, "clone", SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
  filter.Add(SCMP_ACT_KILL_PROCESS, "clone", SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
  filter.Add(SCMP_ACT_ERRNO(ENOSYS), "clone3");
  // abort() signals itself.
  const auto self = static_cast<scmp_datum_t>(getpid());
  filter.Add(SCMP_ACT_ALLOW, "tgkill", SCMP_A0(SCMP_CMP_EQ, self));
  filter.Add(SCMP_ACT_KILL_PROCESS, "tgkill", SCMP_A0(SCMP_CMP_NE, self));
  filter.Add(SCMP_ACT_ALLOW, "prctl", SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME));
  // Its own limits, to be read.
  filter.Add(SCMP_ACT_ALLOW, "prlimit64", SCMP_A0(SCMP_CMP_EQ, 0), SCMP_A2(SCMP_CMP_EQ, 0));
  return filter.Load();
}

}  // namespace saed::recordings
