// Removing dictionaries in pieces, between which others may write.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "storage/attempt.h"
#include "storage/database.h"

namespace saed::storage {

// Removes a dictionary that nobody sees (dictionaries.complete is 0), whatever it has; nothing
// where there is none. What an attempt removes is fenced (attempt.h); kEnded leaves what a job that
// has not ended may write anew meanwhile.
enum class WhoseJob { kAny, kEnded };
absl::Status RemoveDictionary(Database& db, const std::string& id,
                              const std::optional<Attempt>& attempt = std::nullopt,
                              WhoseJob whose = WhoseJob::kAny);

}  // namespace saed::storage
