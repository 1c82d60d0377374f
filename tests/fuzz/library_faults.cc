#include "tests/fuzz/library_faults.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <sanitizer/asan_interface.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// Of the sanitizer's allocator, whose header GCC does not install.
extern "C" {
size_t __sanitizer_get_current_allocated_bytes();
int __sanitizer_install_malloc_and_free_hooks(void (*taken)(const volatile void*, size_t),
                                              void (*given)(const volatile void*));
}

namespace saed::fuzz {
namespace {

constexpr std::string_view kLibraries[] = {"libhdf5", "libmatio"};

bool IsLibrary(std::string_view file) {
  return std::any_of(std::begin(kLibraries), std::end(kLibraries), [&](std::string_view library) {
    return file.find(library) != std::string_view::npos;
  });
}

// Addresses of the first stack behind `at`: lines "    #0 0x7f… …".
std::vector<uintptr_t> Stack(std::string_view report, size_t at) {
  std::vector<uintptr_t> out;
  while ((at = report.find(" #", at)) != std::string_view::npos) {
    const std::string_view frame = report.substr(at + 2, 40);
    if (frame.starts_with("0 ") && !out.empty()) break;  // another stack
    const size_t address = frame.find("0x");
    if (address == std::string_view::npos) break;
    out.push_back(std::strtoull(std::string(frame.substr(address)).c_str(), nullptr, 16));
    at += 2;
  }
  return out;
}

// The first frame that is neither the sanitizer's nor of libc (memcpy) lies in one of the
// libraries. The sanitizer is a library, or is what a program exports.
bool InLibrary(std::span<const uintptr_t> stack) {
  for (const uintptr_t address : stack) {
    Dl_info info{};
    if (dladdr(reinterpret_cast<void*>(address), &info) == 0) return false;
    const std::string_view file = info.dli_fname;
    if (IsLibrary(file)) return true;
    const bool below = file.find("libasan") != std::string_view::npos ||
                       file.find("libc.so") != std::string_view::npos;
    if (!below && info.dli_sname == nullptr) return false;
  }
  return false;
}

void End() {
  constexpr std::string_view kWords =
      "the file broke a library: the reading process would have ended\n";
  (void)!write(STDERR_FILENO, kWords.data(), kWords.size());
  syscall(SYS_exit_group, kLibraryBroke);  // past the sanitizer, which would look at its stack
}

// What a library reads far from any buffer that is alive is where a broken file sent it: the block
// that the report names only lies near. A write, and what begins at the end of a buffer, may be for
// want of room in one that we gave.
bool ReadsAstray(std::string_view report) {
  if (report.find("\nREAD of size") == std::string_view::npos) return false;
  if (report.find("freed by thread") != std::string_view::npos) return true;
  const size_t place = report.find(" is located ");
  return place != std::string_view::npos &&
         !report.substr(place).starts_with(" is located 0 bytes");
}

void LookAtReport(const char* text) {
  const std::string_view report = text;
  if (!InLibrary(Stack(report, 0))) return;
  const size_t allocated = report.find("allocated by thread");
  if (allocated == std::string_view::npos || ReadsAstray(report) ||
      InLibrary(Stack(report, allocated))) {
    End();
  }
}

// The frames behind the handler that is looking: from the first of `file` on.
std::vector<uintptr_t> StackFrom(std::string_view file) {
  void* frames[64];
  const int n = backtrace(frames, static_cast<int>(std::size(frames)));
  std::vector<uintptr_t> out;
  for (int i = 0; i < n; ++i) {
    Dl_info info{};
    const bool begins = dladdr(frames[i], &info) != 0 &&
                        std::string_view(info.dli_fname).find(file) != std::string_view::npos;
    if (!out.empty() || begins) out.push_back(reinterpret_cast<uintptr_t>(frames[i]));
  }
  return out;
}

// libc ends a program whose library would write past a buffer, without a report of the sanitizer's.
void LookAtAbort(int) {
  if (InLibrary(StackFrom("libc.so"))) End();
  __builtin_trap();  // for libFuzzer
}

// More than the reading process may hold for files as small as these. Less than libFuzzer's limit,
// whose report needs system calls that are shut off here.
constexpr size_t kMostMemory = size_t{2} << 30;
constexpr size_t kLarge = size_t{64} << 10;    // each allocation of so many bytes is looked at,
constexpr unsigned kSmallBetweenLooks = 1024;  // and one in so many smaller ones

void LookAtMemory(const volatile void*, size_t size) {
  static thread_local unsigned small = 0;
  if (size < kLarge && ++small % kSmallBetweenLooks != 0) return;
  if (__sanitizer_get_current_allocated_bytes() < kMostMemory) return;
  if (InLibrary(StackFrom("libasan"))) End();
  __builtin_trap();  // for libFuzzer
}

constexpr suseconds_t kLook = 500'000;  // µs of processor time between two looks
constexpr int kPatience = 2;            // looks at one input

// Where the same input still keeps a library busy. Nothing is allocated: the signal may have come
// while the sanitizer holds its locks.
void LookAtTime(int, siginfo_t*, void* context) {
  static std::sig_atomic_t last = -1;
  static int looks = 0;
  looks = inputs == last ? looks + 1 : 0;
  last = inputs;
  if (looks < kPatience) return;
  const auto at =
      static_cast<uintptr_t>(static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP]);
  if (InLibrary({&at, 1})) End();
}

}  // namespace

void EndQuietlyInLibraries() {
  __asan_set_error_report_callback(LookAtReport);
  struct sigaction action {};
  action.sa_sigaction = LookAtTime;
  action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
  sigaction(SIGPROF, &action, nullptr);
  void* loaded[1];
  backtrace(loaded, 1);  // its library, which the guards would not let it load
  __sanitizer_install_malloc_and_free_hooks(LookAtMemory, [](const volatile void*) {});
  struct sigaction abort {};
  abort.sa_handler = LookAtAbort;
  sigaction(SIGABRT, &abort, nullptr);
  const itimerval every = {{0, kLook}, {0, kLook}};
  setitimer(ITIMER_PROF, &every, nullptr);
}

}  // namespace saed::fuzz
