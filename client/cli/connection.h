// What a person is told where the server cannot be reached, and how a watcher goes on when it is
// gone for a while.
#pragma once

#include <functional>
#include <string>

#include "client/cli/command.h"
#include "client/cli/output.h"

namespace saed::cli {

// Why there is no connection, and what to do; empty where `status` is of something else.
std::string WhyUnreachable(const Session& session, const absl::Status& status);

// Calls `once`, which reads a stream to its end, and again where the server went away after it had
// been heard, as when it is restarted: for ten minutes, with a word in `line`. `heard` is whether
// the last call of `once` read something.
absl::Status Follow(ProgressLine& line, const bool& heard,
                    const std::function<grpc::Status()>& once);

// While it is there, Ctrl-C ends the program with a word that what is watched goes on: `name` is
// that of a job or a sweep, "jobs/ID". One at a time.
class GoesOn {
 public:
  explicit GoesOn(const std::string& name);
  ~GoesOn();
  GoesOn(const GoesOn&) = delete;
  GoesOn& operator=(const GoesOn&) = delete;
};

}  // namespace saed::cli
