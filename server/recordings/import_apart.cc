#include "server/recordings/import_apart.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/recordings/import_wire.h"
#include "server/recordings/open_beneath.h"
#include "server/recordings/reader_process.h"
#include "server/recordings/sandbox.h"
#include "server/recordings/store_format.h"
#include "server/recordings/validate.h"

namespace saed::recordings {
namespace {

// As far as it can be seen from here; the reader looks at what it has opened.
int64_t SizeOf(const std::vector<ImportFile>& files) {
  int64_t out = 0;
  for (const ImportFile& file : files) {
    struct stat status {};
    if (stat(file.path.c_str(), &status) == 0 && S_ISREG(status.st_mode)) {
      out = AddSizes(out, status.st_size);
    }
  }
  return out;
}

absl::Status Exhausted(const std::string& what) {
  return WithReason(absl::ResourceExhaustedError(what), "READER_LIMIT");
}

// What a death by a signal means, in words.
absl::Status DiedOf(int signal, bool too_long, const ReaderLimits& limits) {
  if (too_long || signal == SIGXCPU) {
    return Exhausted(
        fmt::format("reading the files took more than the {} s that files of "
                    "this size are given; send less at once",
                    limits.cpu_seconds));
  }
  switch (signal) {
    case SIGXFSZ:
      return Exhausted(
          fmt::format("what the files hold takes more than {} MB on the disk, "
                      "too much for files of their size",
                      limits.written_bytes >> 20));
    case SIGKILL:
      return Exhausted("reading the files took more memory than the machine has to give");
    case SIGSYS:
      return InvalidField("file",
                          "made the reader try what no reading takes (the network, another "
                          "program or process), and was stopped: do not trust it");
    case SIGBUS:
      return InvalidField("file", "was cut while it was read; import it when it is finished");
    default:
      return InvalidField(
          "file", fmt::format("broke the reader ({}): it is damaged; if other programs read it, "
                              "write it again with them",
                              strsignal(signal)));
  }
}

// A regular file that the reader left, of bounded size and with no other name.
absl::Status CheckLeft(const std::string& path, int64_t most) {
  const auto opened = OpenOwn(path);
  struct stat status {};
  if (!opened.ok() || fstat(opened->descriptor.get(), &status) != 0 || status.st_nlink != 1 ||
      opened->size > most) {
    return absl::InternalError("the reading process left no proper answer");
  }
  // It may be the reader's user's.
  if (geteuid() == 0) (void)!fchown(opened->descriptor.get(), 0, 0);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ImportedApart> ImportApart(const std::string& program, const std::string& directory,
                                          const ImportSpec& spec,
                                          const std::vector<ImportFile>& files,
                                          const std::function<bool()>& stop) {
  SAED_RETURN_IF_ERROR(Save(directory + kQuestionFile, ToBytes({spec, files})));
  const ReaderLimits limits = LimitsFor(SizeOf(files), files.size());
  // A slow disk takes its time without the processor.
  const double patience = 60 + 4 * static_cast<double>(limits.cpu_seconds);
  SAED_ASSIGN_OR_RETURN(const Ending ending,
                        RunReader(program, {"--read-recording", directory}, patience, stop));
  if (WIFSIGNALED(ending.status)) {
    return DiedOf(WTERMSIG(ending.status), ending.too_long, limits);
  }
  if (WEXITSTATUS(ending.status) != 0) {
    return absl::ResourceExhaustedError(
        "the process that reads the files could not leave its answer; is the disk full?");
  }
  SAED_RETURN_IF_ERROR(CheckLeft(directory + kAnswerFile, kMaxAnswerBytes));
  SAED_ASSIGN_OR_RETURN(const std::string answer, ReadFile(directory + kAnswerFile));
  ImportedApart out;
  SAED_RETURN_IF_ERROR(ReadAnswer(answer, out.warnings));
  out.stored = directory + kRecordingFile;
  SAED_RETURN_IF_ERROR(CheckLeft(out.stored, limits.written_bytes));
  SAED_ASSIGN_OR_RETURN(out.recording, ParseFile(out.stored));
  SAED_RETURN_IF_ERROR(Validate(out.recording));
  SAED_ASSIGN_OR_RETURN(out.checked, CheckStored(out.stored, out.recording));
  return out;
}

}  // namespace saed::recordings
