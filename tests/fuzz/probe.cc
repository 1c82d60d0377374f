// Tries what the input says, which fails or ends it behind the guards of shut_in.cc: probe.sh.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <vector>

#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace saed;
  const std::string_view what = fuzz::Text(data, size);
  if (what.starts_with("file")) fuzz::Require(open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0);
  if (what.starts_with("network")) fuzz::Require(socket(AF_INET, SOCK_STREAM, 0) >= 0);
  if (what.starts_with("program")) {
    execl("/bin/true", "true", nullptr);
    std::abort();
  }
  if (what.starts_with("memory")) {
    std::vector<std::unique_ptr<char[]>> held(3 << 10);
    for (auto& piece : held) piece.reset(new char[size_t{1} << 20]);
  }
  return 0;
}
