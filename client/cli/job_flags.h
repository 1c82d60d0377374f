// Which jobs: flags of jobs list and jobs watch.
#pragma once

#include <string>

#include "client/cli/command.h"

namespace saed::cli {

struct JobFlags {
  std::string state, kind, owner, recording, sweep, filter;
  bool mine = false, trials = false;

  bool any() const {
    return mine || trials || !(state + kind + owner + recording + sweep + filter).empty();
  }
};

void AddJobFlags(CLI::App& command, JobFlags& flags);

// As ListJobs takes it; asks the server who the caller is where the flags say "mine".
absl::StatusOr<std::string> FilterOf(Session& session, const JobFlags& flags);

// "RUNNING".
std::string StateName(v1::Job::State state);

// All jobs of the flags, a line for each change, until it is broken off.
absl::Status WatchJobs(Session& session, const JobFlags& flags);

}  // namespace saed::cli
