// Which kernels run: chosen once, at the first use, by what the processor has. The environment
// variable SAED_KERNELS names another path (reference, avx2, avx512, amx); the server refuses to
// start with one that the processor lacks. A path that does not repeat the reference's bits on a
// small check is not used.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "server/sae/kernels/table.h"

namespace saed::sae {

// The table in use. Double precision always runs the reference. Thread-safe.
template <class T>
const KernelTable<T>& Kernels();

struct KernelPath {
  std::string name;
  bool available = false;
  std::string reason;  // why not
};
// Every path that exists in this build, the preferred one last.
std::vector<KernelPath> KernelPaths();

// Name of the float path in use, e.g. "avx2".
std::string_view KernelPathName();

// Switches paths; for tests, between trainings. INVALID_ARGUMENT for an unknown name,
// FAILED_PRECONDITION where the machine lacks it.
absl::Status SelectKernels(std::string_view name);

}  // namespace saed::sae
