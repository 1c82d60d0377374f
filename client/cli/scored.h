// By which conditions a dictionary is scored, in words.
#pragma once

#include <string>
#include <vector>

#include "client/cli/command.h"

namespace saed::cli {

// Lines that say what an analysis is scored by and where that is from, and what was left out of the
// model's.
struct TakenOver {
  std::string scored_by;
  std::vector<std::string> left_out;
};

// Adds to an analysis the conditions of its model but those whose names the request gives, and the
// model's condition columns where the request gives none, as far as the recording has what they ask
// for. InvalidArgument where it has none of the columns that alone make conditions.
absl::StatusOr<TakenOver> TakeOver(Session& session, v1::CreateJobRequest& request,
                                   bool from_model);

// Lines that say by how many conditions the dictionary is scored, where they are from, and what was
// left out.
absl::StatusOr<std::vector<std::string>> ScoredBy(Session& session, const std::string& dictionary);

}  // namespace saed::cli
