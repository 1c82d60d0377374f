#include "server/recordings/probe_reader.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <sstream>

#include "server/base/status_macros.h"
#include "server/base/wire.h"
#include "server/recordings/import_wire.h"
#include "server/recordings/open_beneath.h"
#include "server/recordings/reader_process.h"

namespace saed::recordings {
namespace {

constexpr int kThrough = 0, kUnknown = 2, kRefused = 3, kBroken = 4;
constexpr int64_t kMiB = int64_t{1} << 20;
// Small, so that going beyond them is quick.
constexpr ReaderLimits kLimits = {512 * kMiB, 8192 * kMiB, 1, 8 * kMiB, 64, 16 * kMiB};
// What it may write.
constexpr const char* kMuchFile = "/much";

bool Opens(const char* path, int how) { return Descriptor(open(path, how, 0600)).ok(); }

bool RunsProgram() {
  execl("/bin/true", "true", nullptr);
  return false;
}

bool Forks() {
  const pid_t child = fork();
  if (child == 0) _exit(0);
  return child > 0 && waitpid(child, nullptr, 0) == child;
}

bool ReadsProcess() {
  char byte = 0;
  iovec here{&byte, 1}, there{&byte, 1};
  // Whatever there is of it: the call is made where it says that there is nothing.
  return process_vm_readv(getpid(), &here, 1, &there, 1, 0) == 1;
}

bool MakesCode() {
  void* const page = mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return page != MAP_FAILED;
}

bool TakesMemory() {
  constexpr size_t kBytes = size_t{768} << 20;
  void* const block =
      mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return block != MAP_FAILED;
}

bool TakesAddresses() {
  constexpr size_t kBytes = size_t{16} << 30;
  void* const block = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return block != MAP_FAILED;
}

bool TakesTime() {
  for (rusage used{}; used.ru_utime.tv_sec + used.ru_stime.tv_sec < 4;) {
    getrusage(RUSAGE_SELF, &used);
  }
  return true;
}

bool WritesMuch(const std::string& here) {
  const Descriptor file(open((here + kMuchFile).c_str(), O_WRONLY | O_CLOEXEC));
  return file.ok() && ftruncate(file.get(), kLimits.written_bytes + 1) == 0;
}

// Room behind a file's end, which no limit on its size counts.
bool HoardsBeyondTheEnd(const std::string& here) {
  const Descriptor file(open((here + kMuchFile).c_str(), O_WRONLY | O_CLOEXEC));
  return file.ok() &&
         fallocate(file.get(), FALLOC_FL_KEEP_SIZE, 0, kLimits.written_bytes + kMiB) == 0;
}

bool MakesNameless(const std::string& here) {
  return Descriptor(open(here.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)).ok();
}

bool OpensMany() {
  for (int64_t i = 0; i <= kLimits.open_files; ++i) {
    if (dup(STDIN_FILENO) < 0) return false;
  }
  return true;
}

// The descriptor that who starts this leaves open for it: the first that is not standard.
bool ReadsInherited() {
  char byte = 0;
  return pread(STDERR_FILENO + 1, &byte, 1, 0) == 1 || errno == ESPIPE;
}

bool SignalsParent() { return kill(getppid(), 0) == 0; }

struct Attempt {
  const char* name;
  const char* guards;  // any of them stops it
  bool (*got_through)(const std::string& here);
};

const Attempt kAttempts[] = {
    {"open-file", "landlock", [](const std::string&) { return Opens("/etc/passwd", O_RDONLY); }},
    {"open-environ", "landlock,limits",
     [](const std::string&) { return Opens("/proc/self/environ", O_RDONLY); }},
    {"open-memory", "landlock,limits",
     [](const std::string&) { return Opens("/proc/self/mem", O_RDWR); }},
    {"open-folder", "landlock",
     [](const std::string&) { return Opens("/", O_RDONLY | O_DIRECTORY); }},
    {"open-question", "landlock",
     [](const std::string& here) { return Opens((here + "/../outside").c_str(), O_RDONLY); }},
    {"write-file", "landlock", [](const std::string&) { return Opens("/dev/null", O_WRONLY); }},
    {"make-link", "seccomp,landlock",
     [](const std::string& here) { return symlink("/etc/passwd", (here + "/link").c_str()) == 0; }},
    {"make-fifo", "seccomp,landlock",
     [](const std::string& here) { return mkfifo((here + "/fifo").c_str(), 0600) == 0; }},
    {"socket", "seccomp",
     [](const std::string&) { return Descriptor(socket(AF_INET, SOCK_STREAM, 0)).ok(); }},
    {"unix-socket", "seccomp",
     [](const std::string&) {
       int pair[2];
       return socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0;
     }},
    {"exec", "seccomp,landlock", [](const std::string&) { return RunsProgram(); }},
    {"fork", "seccomp", [](const std::string&) { return Forks(); }},
    {"ptrace", "seccomp",
     [](const std::string&) { return ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0; }},
    {"read-process", "seccomp", [](const std::string&) { return ReadsProcess(); }},
    {"signal", "seccomp,landlock", [](const std::string&) { return SignalsParent(); }},
    {"hidden-file", "seccomp",
     [](const std::string&) { return Descriptor(memfd_create("x", MFD_CLOEXEC)).ok(); }},
    {"code", "seccomp", [](const std::string&) { return MakesCode(); }},
    {"priority", "seccomp",
     [](const std::string&) { return setpriority(PRIO_PROCESS, 0, 19) == 0; }},
    {"memory", "limits", [](const std::string&) { return TakesMemory(); }},
    {"addresses", "limits", [](const std::string&) { return TakesAddresses(); }},
    {"time", "limits", [](const std::string&) { return TakesTime(); }},
    {"large-file", "limits", [](const std::string& here) { return WritesMuch(here); }},
    {"room-beyond-the-end", "seccomp",
     [](const std::string& here) { return HoardsBeyondTheEnd(here); }},
    {"new-file", "landlock",
     [](const std::string& here) { return Opens((here + "/new").c_str(), O_CREAT | O_WRONLY); }},
    {"nameless-file", "seccomp,landlock",
     [](const std::string& here) { return MakesNameless(here); }},
    {"remove-file", "seccomp,landlock",
     [](const std::string& here) { return unlink((here + kMuchFile).c_str()) == 0; }},
    {"many-files", "limits", [](const std::string&) { return OpensMany(); }},
    {"environment", "environment",
     [](const std::string&) { return getenv("SAED_PROBE_SECRET") != nullptr; }},
    {"descriptor", "environment", [](const std::string&) { return ReadsInherited(); }},
    {"server-user", "user", [](const std::string&) { return geteuid() == 0; }},
};

std::set<std::string> Split(const std::string& text) {
  std::set<std::string> out;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, ',');) out.insert(part);
  return out;
}

absl::StatusOr<std::vector<Guard>> ShutIn(int directory, const std::set<std::string>& without) {
  Confinement confinement;
  std::vector<Descriptor> files;
  for (const char* name : {kAnswerFile, kMuchFile}) {
    files.emplace_back(openat(directory, name + 1, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    confinement.writable.push_back(files.back().get());
  }
  confinement.limits = kLimits;
  return Confine(confinement, without);
}

// Leaves the guards for the server, once each has been seen to hold.
int Report(const Descriptor& directory) {
  auto guards = ShutIn(directory.get(), {});
  if (!guards.ok()) return kBroken;
  WireWriter out;
  for (Guard& guard : *guards) {
    const bool fails = (guard.name == "landlock" && Opens("/etc/passwd", O_RDONLY)) ||
                       (guard.name == "limits" && TakesMemory()) ||
                       (guard.name == "seccomp" && MakesCode()) ||
                       (guard.name == "user" && geteuid() == 0);
    if (guard.active && fails) {
      guard.active = false;
      guard.detail = "was put up but does not hold on this system";
    }
    out.Text(guard.name);
    out.Value<uint8_t>(guard.active);
    out.Text(guard.detail);
  }
  return Save(PathOf(directory.get()) + kAnswerFile, out.Take()).ok() ? kThrough : kBroken;
}

}  // namespace

int Probe(const std::vector<std::string>& arguments) {
  const std::set<std::string> without = arguments.size() > 2 ? Split(arguments[2]) : Split("");
  if (arguments.empty()) return kUnknown;
  if (!without.contains("environment")) close_range(STDERR_FILENO + 1, ~0U, 0);
  if (arguments.size() > 1 && arguments[1] == "list") {
    for (const Attempt& a : kAttempts) std::printf("%s %s\n", a.name, a.guards);
    return kThrough;
  }
  // Above the descriptor that "descriptor" looks for.
  auto directory = OpenFolder(arguments[0]);
  if (!directory.ok()) return kBroken;
  const Descriptor high(fcntl(directory->get(), F_DUPFD_CLOEXEC, 10));
  *directory = Descriptor();
  if (arguments.size() == 1) return Report(high);
  for (const Attempt& attempt : kAttempts) {
    if (arguments[1] != attempt.name) continue;
    if (!ShutIn(high.get(), without).ok()) return kBroken;
    return attempt.got_through(PathOf(high.get())) ? kThrough : kRefused;
  }
  return kUnknown;
}

absl::StatusOr<std::vector<Guard>> ProbeReader(const std::string& program,
                                               const std::string& directory) {
  SAED_ASSIGN_OR_RETURN(const Ending ending, RunReader(program, {"--probe-reader", directory}, 30,
                                                       [] { return false; }));
  if (!WIFEXITED(ending.status) || WEXITSTATUS(ending.status) != kThrough) {
    return absl::InternalError("the process that reads files cannot shut itself in");
  }
  SAED_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(directory + kAnswerFile));
  WireReader in(bytes);
  std::vector<Guard> out;
  while (!in.done() && !in.failed()) {
    Guard guard;
    guard.name = in.Text();
    guard.active = in.Value<uint8_t>() != 0;
    guard.detail = in.Text();
    out.push_back(std::move(guard));
  }
  if (in.failed()) return absl::InternalError("the process that reads files left half an answer");
  return out;
}

}  // namespace saed::recordings
