#include "server/recordings/system_calls.h"

#include <fcntl.h>
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
                                    "dup",
                                    "flock",
                                    "ftruncate",
                                    "fsync",
                                    "fdatasync",
                                    "fadvise64",
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

// A condition on an argument; the library's own macros are not C++.
scmp_arg_cmp Compared(unsigned argument, scmp_compare how, scmp_datum_t with) {
  return {argument, how, with, 0};
}
scmp_arg_cmp Masked(unsigned argument, scmp_datum_t mask, scmp_datum_t value) {
  return {argument, SCMP_CMP_MASKED_EQ, mask, value};
}

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
  // No files without names, and none that is longer than it says: they would take the disk where
  // nobody sees it.
  constexpr scmp_datum_t kNameless = O_TMPFILE & ~O_DIRECTORY;
  filter.Add(SCMP_ACT_ALLOW, "open", Masked(1, kNameless, 0));
  filter.Add(SCMP_ACT_ALLOW, "openat", Masked(2, kNameless, 0));
  for (const int mode : {0, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE}) {
    filter.Add(SCMP_ACT_ALLOW, "fallocate",
               Compared(1, SCMP_CMP_EQ, static_cast<scmp_datum_t>(mode)));
  }
  // Not who gets signals about a file: they would reach other processes of the user.
  for (const int command : {F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_GETLK, F_SETLK,
                            F_SETLKW, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW}) {
    filter.Add(SCMP_ACT_ALLOW, "fcntl",
               Compared(1, SCMP_CMP_EQ, static_cast<scmp_datum_t>(command)));
  }
  // Memory, but none that could be run.
  filter.Add(SCMP_ACT_ALLOW, "mmap", Masked(2, PROT_EXEC, 0));
  filter.Add(SCMP_ACT_ALLOW, "mprotect", Masked(2, PROT_EXEC, 0));
  // Threads, but no processes. What clone3 is asked for cannot be seen; without it the C library
  // asks clone.
  filter.Add(SCMP_ACT_ALLOW, "clone", Masked(0, CLONE_THREAD, CLONE_THREAD));
  filter.Add(SCMP_ACT_KILL_PROCESS, "clone", Masked(0, CLONE_THREAD, 0));
  filter.Add(SCMP_ACT_ERRNO(ENOSYS), "clone3");
  // abort() signals itself.
  const auto self = static_cast<scmp_datum_t>(getpid());
  filter.Add(SCMP_ACT_ALLOW, "tgkill", Compared(0, SCMP_CMP_EQ, self));
  filter.Add(SCMP_ACT_KILL_PROCESS, "tgkill", Compared(0, SCMP_CMP_NE, self));
  filter.Add(SCMP_ACT_ALLOW, "prctl", Compared(0, SCMP_CMP_EQ, PR_SET_NAME));
  // Its own limits, to be read.
  filter.Add(SCMP_ACT_ALLOW, "prlimit64", Compared(0, SCMP_CMP_EQ, 0), Compared(2, SCMP_CMP_EQ, 0));
  return filter.Load();
}

}  // namespace saed::recordings
