// With SAED_FUZZ_SHUT_IN set, fuzzing takes place behind the guards of the reading process: what an
// input makes a reader try beyond its files ends it with SIGSYS, or fails. libFuzzer keeps its
// corpora, its findings and a temporary folder. A finding has no names of functions here, as the
// program that knows them cannot be run: replay it without the variable.
#include <fcntl.h>
#include <sys/prctl.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <vector>

#include "server/recordings/landlock.h"
#include "server/recordings/readers/hdf5.h"
#include "server/recordings/system_calls.h"
#include "tests/fuzz/library_faults.h"
#include "tests/fuzz/target.h"
#include "tests/tools/temp_dir.h"

namespace {

// Folders that are named on libFuzzer's command line, and those of named files.
std::vector<std::string> Folders(int argc, char** argv) {
  constexpr std::string_view kFindings = "-artifact_prefix=";
  std::vector<std::string> out;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word.starts_with(kFindings)) {
      out.push_back(std::filesystem::path(word.substr(kFindings.size())).parent_path());
    } else if (!word.starts_with('-')) {
      const std::filesystem::path path = word;
      out.push_back(is_directory(path) ? path : absolute(path).parent_path());
    }
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv);
extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  using namespace saed;
  if (std::getenv("SAED_FUZZ_SHUT_IN") == nullptr) return 0;
  fuzz::EndQuietlyInLibraries();
  static const test_tools::TempDir temporary;
  setenv("TMPDIR", temporary.path().c_str(), 1);
  std::vector<std::string> folders = Folders(*argc, *argv);
  folders.push_back(temporary.path());
  std::vector<int> descriptors;
  for (const std::string& folder : folders) {
    descriptors.push_back(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    fuzz::Require(descriptors.back() >= 0);
  }
  recordings::PreloadHdf5Filters();
  fuzz::Require(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  if (recordings::LandlockVersion() > 0) {
    fuzz::Require(recordings::RestrictFiles(descriptors, descriptors, true).ok());
    fuzz::Require(open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0);
  } else {
    std::fputs("no Landlock: files outside are not out of reach\n", stderr);
  }
  // libFuzzer's clock, folders of a target's own, and the pipe by which UBSan tries addresses.
  fuzz::Require(recordings::RestrictSystemCalls({"setitimer", "mkdir", "rmdir", "rename", "unlink",
                                                 "unlinkat", "pipe", "pipe2"})
                    .ok());
  return 0;
}
