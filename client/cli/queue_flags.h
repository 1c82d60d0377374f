// How a job is queued, and what is said of one that was; of train, analyse and sweep.
#pragma once

#include <string>
#include <vector>

#include "client/cli/command.h"

namespace saed::cli {

struct QueueFlags {
  std::string priority = "normal";
  std::vector<std::string> after;
  double time_limit = 0;

  void AddTo(CLI::App& command);
  void Fill(v1::CreateJobRequest& request) const;
};

// Lines that say what the server chose and what is likely not meant.
void PrintChoices(const v1::TrainSpec& spec);

// Queues or, where the request only checks, checks a job, says so and, unless `detach`, follows it
// to its end.
absl::Status Submit(Session& session, const v1::CreateJobRequest& request, bool detach);

}  // namespace saed::cli
