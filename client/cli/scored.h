// By which conditions a dictionary is scored, in words.
#pragma once

#include <string>
#include <vector>

#include "client/cli/command.h"

namespace saed::cli {

// Adds to an analysis what its model has of conditions of its own and of columns that make
// conditions, as far as the recording has what they ask for and the request says nothing else.
// Returns lines that say what is scored, where it is from, and what was left out.
absl::StatusOr<std::vector<std::string>> TakeOver(Session& session, v1::CreateJobRequest& request,
                                                  bool from_model);

// Lines that say by how many conditions the dictionary is scored, where they are from, and what was
// left out.
absl::StatusOr<std::vector<std::string>> ScoredBy(Session& session, const std::string& dictionary);

}  // namespace saed::cli
