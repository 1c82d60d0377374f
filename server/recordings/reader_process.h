// A process of the reader's program, from its start to its end.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace saed::recordings {

struct Ending {
  int status = 0;         // as waitpid has it
  bool too_long = false;  // it was ended because it took too long
};

// Runs `program` with the arguments, without this process's environment, standard files or blocked
// signals. It is ended after `seconds`, which the ending tells, and when `stop`, which is asked
// every 50 ms, says so, which gives CANCELLED. UNAVAILABLE where it does not start. Thread-safe.
absl::StatusOr<Ending> RunReader(const std::string& program, std::vector<std::string> arguments,
                                 double seconds, const std::function<bool()>& stop);

}  // namespace saed::recordings
