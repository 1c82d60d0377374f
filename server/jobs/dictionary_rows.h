// From a dictionary in memory to rows.
#pragma once

#include <string>

#include "server/features/dictionary.h"
#include "storage/dictionaries_table.h"

namespace saed::jobs {

storage::DictionaryRows ToRows(const features::Dictionary& dictionary, const sae::Model& model,
                               const std::string& id, const std::string& model_id,
                               const std::string& recording_id, int64_t now);

}  // namespace saed::jobs
