// The side of the process that reads: import_apart.h.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <new>
#include <utility>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/recordings/import_apart.h"
#include "server/recordings/import_wire.h"
#include "server/recordings/open_beneath.h"
#include "server/recordings/put_counts.h"
#include "server/recordings/readers/hdf5.h"
#include "server/recordings/sandbox.h"
#include "server/recordings/spike_file.h"
#include "server/recordings/store_format.h"

namespace saed::recordings {
namespace {

// Of mapped files, bytes; the process is to stay well below 300 MB, with what it has of its own.
constexpr size_t kResident = size_t{128} << 20;

// As many files as the system allows this process.
void OpenMany() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);
}

absl::Status Named(const ImportFile& file, const absl::Status& status) {
  return absl::Status(status.code(),
                      InvalidField(ValidUtf8(file.name), std::string(status.message())).message());
}

// Opens every file once, where links cannot lead out of what it must lie beneath, and from then on
// knows it by its descriptor: nobody can put another in its place.
absl::StatusOr<std::vector<Opened>> OpenAll(std::vector<ImportFile>& files) {
  std::vector<Opened> out;
  std::string folder;
  Descriptor root;
  for (ImportFile& file : files) {
    if (!file.beneath.empty() && file.beneath != folder) {
      folder = file.beneath;
      SAED_ASSIGN_OR_RETURN(root, OpenFolder(folder));
    }
    auto opened = file.beneath.empty()
                      ? OpenOwn(file.path)
                      : OpenBeneath(root.get(), file.path.substr(file.beneath.size() + 1));
    if (opened.ok() && opened->is_folder) {
      opened = absl::FailedPreconditionError("is a folder; must be a regular file");
    }
    if (!opened.ok()) return Named(file, opened.status());
    file.path = PathOf(opened->descriptor.get());
    out.push_back(*std::move(opened));
  }
  return out;
}

// All that it will write, made while files may be made.
struct Written {
  Descriptor answer, recording, counts;
  std::array<Descriptor, 2> spikes;  // two: mended trains are written while they are read
};

absl::StatusOr<Written> MakeWritten(int directory) {
  const auto make = [&](const char* name) {
    return Descriptor(
        openat(directory, name + 1, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
  };
  Written out{make(kAnswerFile),
              make(kRecordingFile),
              make(kCountsFile),
              {make(kSpikeFiles[0]), make(kSpikeFiles[1])}};
  if (out.answer.ok() && out.recording.ok() && out.counts.ok() && out.spikes[0].ok() &&
      out.spikes[1].ok()) {
    return out;
  }
  return absl::ResourceExhaustedError("cannot make the files for what is read");
}

absl::StatusOr<Imported> Read(Question& question, int directory, const Written& written,
                              const std::set<std::string>& without) {
  SAED_ASSIGN_OR_RETURN(const std::vector<Opened> opened, OpenAll(question.files));
  Confinement confinement;
  confinement.writable = {written.answer.get(), written.recording.get(), written.counts.get(),
                          written.spikes[0].get(), written.spikes[1].get()};
  int64_t bytes = 0;
  for (size_t i = 0; i < opened.size(); ++i) {
    confinement.files.push_back({opened[i].descriptor.get(), question.files[i].beneath.empty()});
    bytes = AddSizes(bytes, opened[i].size);
  }
  confinement.limits = LimitsFor(bytes, opened.size());
  int64_t& most = confinement.limits.written_bytes;
  most = std::min(most, RoomOnDisk(directory));
  PreloadHdf5Filters();  // there is no loading of libraries later
  SAED_RETURN_IF_ERROR(Confine(confinement, without).status());
  return Import(question.spec, question.files);
}

// The warnings in answer to `question`, with the recording left behind where there is one.
absl::StatusOr<Texts> Answer(Question& question, const std::string& here, int directory,
                             const Written& written, const std::set<std::string>& without) {
  try {
    SAED_ASSIGN_OR_RETURN(Imported imported, Read(question, directory, written, without));
    SAED_ASSIGN_OR_RETURN(const bool complete, CompleteInPlace(imported.recording));
    if (!complete) {
      SAED_RETURN_IF_ERROR(SerialiseTo(here + kRecordingFile, imported.recording));
    }
    return std::move(imported.warnings);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(
        "reading the files takes more memory than files of this size are given");
  }
}

}  // namespace

int ReadApart(const std::string& directory, const std::set<std::string>& without) {
  if (!without.contains("environment")) close_range(STDERR_FILENO + 1, ~0U, 0);
  if (!without.contains("limits")) OpenMany();
  prctl(PR_SET_PDEATHSIG, SIGKILL);        // nobody would read the answer
  (void)setpriority(PRIO_PROCESS, 0, 10);  // live calls do not wait for imports
  const auto bytes = ReadFile(directory + kQuestionFile);
  auto question = bytes.ok() ? ToQuestion(*bytes) : bytes.status();
  const auto exchange = OpenFolder(directory);
  if (!question.ok() || !exchange.ok()) return 1;
  const auto written = MakeWritten(exchange->get());
  if (!written.ok()) return 1;
  const std::string here = PathOf(exchange->get());
  PutCountsInto(written->counts.get());
  PutSpikesInto({written->spikes[0].get(), written->spikes[1].get()});
  const size_t resident = std::exchange(ResidentFiles(), kResident);
  const auto warnings = Answer(*question, here, exchange->get(), *written, without);
  ResidentFiles() = resident;
  PutSpikesInto({});
  PutCountsInto(-1);
  const std::string answer = ToAnswer(warnings.status(), warnings.ok() ? *warnings : Texts());
  return Save(here + kAnswerFile, answer).ok() ? 0 : 1;
}

}  // namespace saed::recordings
