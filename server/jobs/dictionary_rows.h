// From a dictionary in memory to rows.
#pragma once

#include <string>

#include "server/features/dictionary.h"
#include "storage/dictionaries_table.h"

namespace saed::jobs {

storage::DictionaryRows ToRows(const features::Dictionary& dictionary, const sae::Model& model,
                               const std::string& id, const std::string& model_id,
                               const std::string& recording_id, int64_t now);

// Whether the responses of a dictionary (details: DictionaryRow::details) are of what judges each
// pair, as its association says; of an older one they are of the code.
bool ResponsesAreJudged(const std::string& details);

}  // namespace saed::jobs
