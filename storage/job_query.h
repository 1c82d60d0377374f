// From an AIP-160 filter over jobs to SQL.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace saed::storage {

struct JobFilter {
  std::string where;                // of the table jobs, with a "?" for each value; empty: all
  std::vector<std::string> values;  // in their order
  bool names_trials = false;        // it asks for a kind or a sweep
};

// The id of the thing of a collection ("recordings", "sweeps") that the caller calls so.
using IdOfThing =
    std::function<absl::StatusOr<std::string>(const std::string& collection, const std::string&)>;

// Fields: state (as shown), kind, owner, recording, sweep, display_name. An empty text is no
// filter. INVALID_ARGUMENT on "filter" with what would be right.
absl::StatusOr<JobFilter> ParseJobFilter(std::string_view text, const IdOfThing& id);

}  // namespace saed::storage
