#include "server/recordings/reader_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "server/base/status_macros.h"
#include "server/recordings/open_beneath.h"

namespace saed::recordings {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kLook = std::chrono::milliseconds(50);
// Where libraries and HDF5's filters are looked for, should the keeper have said so.
constexpr const char* kKept[] = {"LD_LIBRARY_PATH", "HDF5_PLUGIN_PATH"};

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

absl::StatusOr<pid_t> Start(const std::string& program, std::vector<std::string>& arguments) {
  std::vector<std::string> environment;
  for (const char* name : kKept) {
    if (const char* value = std::getenv(name))
      environment.push_back(fmt::format("{}={}", name, value));
  }
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    posix_spawn_file_actions_addopen(&files, standard, "/dev/null", O_RDWR, 0);
  }
  pid_t child = 0;
  const int error = posix_spawn(&child, program.c_str(), &files, &attributes,
                                Pointers(arguments).data(), Pointers(environment).data());
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  if (error == 0) return child;
  return absl::UnavailableError(
      fmt::format("cannot start a process that reads the files: {}", std::strerror(error)));
}

// Until the process ends, or for a look's time. `process` is none where the kernel has no such
// descriptors.
void WaitALook(const Descriptor& process) {
  pollfd ends{process.get(), POLLIN, 0};
  if (!process.ok() || poll(&ends, 1, static_cast<int>(kLook.count())) < 0) {
    std::this_thread::sleep_for(kLook);
  }
}

}  // namespace

absl::StatusOr<Ending> RunReader(const std::string& program, std::vector<std::string> arguments,
                                 double seconds, const std::function<bool()>& stop) {
  arguments.insert(arguments.begin(), "saed");
  SAED_ASSIGN_OR_RETURN(const pid_t child, Start(program, arguments));
  const Descriptor process(static_cast<int>(syscall(SYS_pidfd_open, child, 0)));
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  Ending out;
  bool stopped = false;
  while (true) {
    const pid_t ended = waitpid(child, &out.status, WNOHANG);
    if (ended == child) {
      if (stopped) return absl::CancelledError("stopped while reading the files");
      return out;
    }
    if (ended < 0 && errno != EINTR) {
      return absl::InternalError("the process that reads the files is lost");
    }
    if (!stopped && !out.too_long) {
      stopped = stop();
      out.too_long = !stopped && Clock::now() > end;
      if (stopped || out.too_long) kill(child, SIGKILL);
    }
    WaitALook(process);
  }
}

}  // namespace saed::recordings
