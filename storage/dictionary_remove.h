// Removing dictionaries in pieces, between which others may write.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "storage/attempt.h"
#include "storage/database.h"

namespace saed::storage {

// Removes a dictionary that nobody sees (dictionaries.complete is 0), whatever it has; nothing
// where there is none. What an attempt removes is fenced (attempt.h).
absl::Status RemoveDictionary(Database& db, const std::string& id,
                              const std::optional<Attempt>& attempt = std::nullopt);

}  // namespace saed::storage
