#include "server/recordings/import_apart.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <memory>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/recordings/import_wire.h"
#include "server/recordings/open_beneath.h"
#include "server/recordings/reader_process.h"
#include "server/recordings/sandbox.h"
#include "server/recordings/store_format.h"
#include "server/recordings/stored_weight.h"
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

constexpr int64_t kDiskBlock = 512;  // of st_blocks

int64_t Megabytes(int64_t bytes) { return (bytes + (1 << 20) - 1) >> 20; }

absl::Status Exhausted(const std::string& what) {
  return WithReason(absl::ResourceExhaustedError(what), "READER_LIMIT");
}

absl::Status TookDisk(int64_t most) {
  return Exhausted(
      fmt::format("what the files hold takes more than {} MB on the server's disk, too much for "
                  "files of their size or for the room there is",
                  most >> 20));
}

// How long a reader may take, s: a slow disk takes its time without the processor.
int64_t Patience(const ReaderLimits& limits) { return 60 + 4 * limits.cpu_seconds; }

// What a death by a signal means, in words.
absl::Status DiedOf(int signal, bool too_long, const ReaderLimits& limits) {
  if (too_long || signal == SIGXCPU) {
    return Exhausted(
        fmt::format("reading the files took more than the {} s{} that files of "
                    "this size are given; send less at once",
                    too_long ? Patience(limits) : limits.cpu_seconds,
                    too_long ? ", most of them without the processor," : ""));
  }
  switch (signal) {
    case SIGXFSZ:
      return TookDisk(limits.written_bytes);
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

// The file that is the recording: the one that is not empty of those that may be.
absl::StatusOr<std::string> Left(const std::string& directory, int64_t most) {
  std::string out;
  for (const char* name : {kRecordingFile, kSpikeFiles[0], kSpikeFiles[1]}) {
    struct stat status {};
    const std::string path = directory + name;
    if (lstat(path.c_str(), &status) != 0 || status.st_size == 0) continue;
    if (!out.empty()) return absl::InternalError("the reading process left more than one answer");
    out = path;
  }
  SAED_RETURN_IF_ERROR(CheckLeft(out, most));
  return out;
}

// Admits what the reader left, of which nothing is in memory yet.
absl::Status Admit(const Admission& admission, ImportedApart& out) {
  SAED_ASSIGN_OR_RETURN(const StoredWeight weight, WeighStored(out.stored));
  if (weight.bytes - weight.last_bytes > admission.memory_bytes) {
    return WithReason(
        InvalidField(weight.largest,
                     fmt::format("takes {} MB of the {} MB that the recording would take in the "
                                 "server's memory; it must be at most {} MB in all (half of "
                                 "--call-memory-bytes): leave out or thin out what is not needed, "
                                 "or have that raised",
                                 Megabytes(weight.largest_bytes), Megabytes(weight.bytes),
                                 Megabytes(admission.memory_bytes))),
        "READER_LIMIT");
  }
  if (!admission.take) return absl::OkStatus();
  SAED_ASSIGN_OR_RETURN(out.memory, admission.take(weight.bytes));
  return absl::OkStatus();
}

// What the files in a folder take of the disk.
int64_t DiskUse(int folder) {
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(
      fdopendir(openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)), closedir);
  int64_t out = 0;
  while (const dirent* entry = listing ? readdir(listing.get()) : nullptr) {
    struct stat status {};
    if (fstatat(folder, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0) {
      out += int64_t{status.st_blocks} * kDiskBlock;
    }
  }
  return out;
}

absl::StatusOr<Ending> RunInTurn(const std::string& program, const std::string& directory,
                                 const ReaderLimits& limits, const Admission& admission,
                                 const std::function<bool()>& stop) {
  ReaderPlaces::Place place;
  if (admission.places != nullptr) {
    SAED_ASSIGN_OR_RETURN(place, admission.places->Take(limits.memory_bytes, stop));
  }
  SAED_ASSIGN_OR_RETURN(const Descriptor folder, OpenFolder(directory));
  // The limits that the reader has are of each file.
  const int64_t most = std::min(limits.disk_bytes, RoomOnDisk(folder.get()));
  bool too_much = false;
  const auto look = [&] { return stop() || (too_much = DiskUse(folder.get()) > most); };
  auto ending = RunReader(program, {"--read-recording", directory},
                          static_cast<double>(Patience(limits)), look);
  if (too_much) return TookDisk(most);
  return ending;
}

}  // namespace

absl::StatusOr<ImportedApart> ImportApart(const std::string& program, const std::string& directory,
                                          const ImportSpec& spec,
                                          const std::vector<ImportFile>& files,
                                          const Admission& admission,
                                          const std::function<bool()>& stop) {
  SAED_RETURN_IF_ERROR(Save(directory + kQuestionFile, ToBytes({spec, files})));
  ReaderLimits limits = LimitsFor(SizeOf(files), files.size());
  {
    SAED_ASSIGN_OR_RETURN(const Descriptor folder, OpenFolder(directory));
    limits.written_bytes = std::min(limits.written_bytes, RoomOnDisk(folder.get()));
  }
  SAED_ASSIGN_OR_RETURN(const Ending ending,
                        RunInTurn(program, directory, limits, admission, stop));
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
  SAED_ASSIGN_OR_RETURN(out.stored, Left(directory, limits.written_bytes));
  SAED_RETURN_IF_ERROR(Admit(admission, out));
  SAED_ASSIGN_OR_RETURN(out.recording, ParseFile(out.stored));
  SAED_RETURN_IF_ERROR(Validate(out.recording));
  SAED_ASSIGN_OR_RETURN(out.checked, CheckStored(out.stored, out.recording));
  return out;
}

}  // namespace saed::recordings
