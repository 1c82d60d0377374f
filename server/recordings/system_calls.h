// seccomp: the kernel makes for this process the system calls that reading files takes, no others.
#pragma once

#include <vector>

#include "absl/status/status.h"

namespace saed::recordings {

// Whether the kernel filters system calls.
bool HasSystemCallFilter();

// From now on: what no reader has any use for (the network, programs, processes, other processes'
// memory, namespaces, keys) ends the process with SIGSYS; any other call that is not allowed
// fails with EPERM. Wants no-new-privileges to be set.
// `also` names further calls that are allowed, for who does more than read.
absl::Status RestrictSystemCalls(const std::vector<const char*>& also = {});

}  // namespace saed::recordings
