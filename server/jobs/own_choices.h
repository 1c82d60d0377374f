// What a model's own dictionary chose, for an analysis of another recording.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "server/features/precedent.h"
#include "server/jobs/stores.h"

namespace saed::jobs {

// Of the dictionary that the model's training built or, for a model that was imported, of the
// newest of its dictionaries that has training windows and that `owner` may see (on a server
// without users that is ""). Empty where there is none. Blocks on the disk.
absl::StatusOr<std::optional<features::Precedent>> OwnChoices(const Stores& stores,
                                                              const storage::ModelRow& model,
                                                              const std::string& owner);

}  // namespace saed::jobs
