#include "server/recordings/import_apart.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <new>
#include <thread>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/base/wire.h"
#include "server/recordings/store_format.h"

namespace saed::recordings {
namespace {

constexpr const char* kQuestion = "/question";
constexpr const char* kAnswer = "/answer";
constexpr const char* kRecording = "/recording";
constexpr auto kLook = std::chrono::milliseconds(50);

absl::Status Save(const std::string& path, const std::string& bytes) {
  std::ofstream out(path, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  if (out) return absl::OkStatus();
  return absl::ResourceExhaustedError("cannot store what was read: is the disk full?");
}

std::string Question(const ImportSpec& spec, const std::vector<ImportFile>& files) {
  WireWriter out;
  out.Text(spec.format);
  out.Value(spec.options.sampling_rate);
  out.Value(spec.options.bin_width);
  out.Value<uint64_t>(spec.options.values.size());
  for (const auto& [name, value] : spec.options.values) {
    out.Text(name);
    out.Text(value);
  }
  out.Value<uint8_t>(spec.strict);
  out.Value<uint64_t>(files.size());
  for (const ImportFile& file : files) {
    out.Value(static_cast<int32_t>(file.role));
    out.Text(file.name);
    out.Text(file.path);
  }
  return out.Take();
}

// A status with all it carries, and the warnings.
std::string Answer(const absl::Status& status, const Texts& warnings) {
  WireWriter out;
  out.Value(static_cast<int32_t>(status.code()));
  out.Text(std::string(status.message()));
  out.Text(status.ok() ? "" : ReasonOf(status));
  const auto faults = FaultsOf(status);
  out.Value<uint64_t>(faults.size());
  for (const FieldFault& fault : faults) {
    out.Text(fault.field);
    out.Text(fault.description);
  }
  out.Value<uint64_t>(warnings.size());
  for (const std::string& warning : warnings) out.Text(warning);
  return out.Take();
}

absl::Status ReadAnswer(const std::string& bytes, Texts& warnings) {
  WireReader in(bytes);
  const auto code = static_cast<absl::StatusCode>(in.Value<int32_t>());
  const std::string message = in.Text(), reason = in.Text();
  Faults faults;
  for (size_t n = in.Count(16); n > 0; --n) {
    const std::string field = in.Text();
    faults.Add(field, in.Text());
  }
  warnings.resize(in.Count(8));
  for (std::string& warning : warnings) warning = in.Text();
  if (in.failed()) return absl::InternalError("the reading process left half an answer");
  if (code == absl::StatusCode::kOk) return absl::OkStatus();
  return WithReason(faults.empty() ? absl::Status(code, message) : faults.ToStatus(), reason);
}

// Starts the program with none of the signals blocked that this process takes by sigwait.
absl::StatusOr<pid_t> Start(const std::string& program, const std::string& directory) {
  std::string flag = "--read-recording", where = directory, name = "saed";
  char* const arguments[] = {name.data(), flag.data(), where.data(), nullptr};
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  pid_t child = 0;
  const int error = posix_spawn(&child, program.c_str(), nullptr, &attributes, arguments, environ);
  posix_spawnattr_destroy(&attributes);
  if (error == 0) return child;
  return absl::UnavailableError(
      fmt::format("cannot start a process that reads the files: {}", std::strerror(error)));
}

// How the process ended; as waitpid has it.
absl::StatusOr<int> WaitFor(pid_t child, const std::function<bool()>& stop) {
  bool stopped = false;
  while (true) {
    int status = 0;
    const pid_t ended = waitpid(child, &status, WNOHANG);
    if (ended == child) {
      if (stopped) return absl::CancelledError("stopped while reading the files");
      return status;
    }
    if (ended < 0 && errno != EINTR) {
      return absl::InternalError("the process that reads the files is lost");
    }
    if (!stopped && stop()) {
      stopped = true;
      kill(child, SIGKILL);
    }
    std::this_thread::sleep_for(kLook);
  }
}

}  // namespace

absl::StatusOr<ImportedApart> ImportApart(const std::string& program, const std::string& directory,
                                          const ImportSpec& spec,
                                          const std::vector<ImportFile>& files,
                                          const std::function<bool()>& stop) {
  SAED_RETURN_IF_ERROR(Save(directory + kQuestion, Question(spec, files)));
  SAED_ASSIGN_OR_RETURN(const pid_t child, Start(program, directory));
  SAED_ASSIGN_OR_RETURN(const int status, WaitFor(child, stop));
  if (WIFSIGNALED(status)) {
    if (WTERMSIG(status) == SIGKILL) {
      return absl::ResourceExhaustedError(
          "reading the files took more memory than the machine has to give");
    }
    return InvalidField(
        "file", fmt::format("broke the reader ({}): it is damaged; if other programs read it, "
                            "write it again with them",
                            strsignal(WTERMSIG(status))));
  }
  if (WEXITSTATUS(status) != 0) {
    return absl::ResourceExhaustedError(
        "the process that reads the files could not leave its answer; is the disk full?");
  }
  SAED_ASSIGN_OR_RETURN(const std::string answer, ReadFile(directory + kAnswer));
  ImportedApart out;
  SAED_RETURN_IF_ERROR(ReadAnswer(answer, out.warnings));
  out.stored = directory + kRecording;
  SAED_ASSIGN_OR_RETURN(out.recording, ParseFile(out.stored));
  return out;
}

int ReadApart(const std::string& directory) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);        // nobody would read the answer
  (void)setpriority(PRIO_PROCESS, 0, 10);  // live calls do not wait for imports
  const auto question = ReadFile(directory + kQuestion);
  if (!question.ok()) return 1;
  WireReader in(*question);
  ImportSpec spec;
  spec.format = in.Text();
  spec.options.sampling_rate = in.Value<double>();
  spec.options.bin_width = in.Value<double>();
  for (size_t n = in.Count(16); n > 0; --n) {
    const std::string name = in.Text();
    spec.options.values[name] = in.Text();
  }
  spec.strict = in.Value<uint8_t>() != 0;
  std::vector<ImportFile> files(in.Count(20));
  for (ImportFile& file : files) {
    file.role = static_cast<Role>(in.Value<int32_t>());
    file.name = in.Text();
    file.path = in.Text();
  }
  if (in.failed()) return 1;
  absl::StatusOr<Imported> imported;
  try {
    imported = Import(spec, files);
  } catch (const std::bad_alloc&) {
    imported = absl::ResourceExhaustedError("not enough memory to read the files");
  }
  absl::Status status = imported.status();
  if (status.ok()) status = SerialiseTo(directory + kRecording, imported->recording);
  return Save(directory + kAnswer, Answer(status, imported.ok() ? imported->warnings : Texts()))
                 .ok()
             ? 0
             : 1;
}

}  // namespace saed::recordings
