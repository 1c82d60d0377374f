// The conditions of a dictionary, and what they say of its windows.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/features/association.h"
#include "server/features/conditions.h"
#include "server/recordings/recording.h"
#include "server/recordings/view.h"

namespace saed::features {

using LabelRows = std::vector<std::vector<WindowLabel>>;  // [condition][window]

struct LabelledConditions {
  std::vector<Condition> conditions;
  LabelRows labels;
};

// Of the last bins of the windows `starts`: the conditions of `users`, then automatic ones (see
// AutomaticConditions) but those that hold in the windows of an automatic one before, in none or in
// all. Where a
// condition hangs on a series without samples it is outside. Adds to `warnings` which do, and what
// was left out.
absl::StatusOr<LabelledConditions> LabelConditions(const recordings::Recording& recording,
                                                   const recordings::ViewData& view,
                                                   const std::vector<int64_t>& starts,
                                                   const std::vector<Condition>& users,
                                                   const ConditionColumns& columns,
                                                   std::vector<std::string>& warnings);

}  // namespace saed::features
