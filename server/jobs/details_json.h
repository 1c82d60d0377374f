// What is only shown of a dictionary and its conditions, as their rows keep it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "server/features/dictionary.h"

namespace saed::jobs {

// With the bins of maps over positions, see place_json.h.
std::string DictionaryDetails(const features::Dictionary& dictionary);
std::string ConditionDetails(const features::Dictionary& dictionary, size_t condition);

// None of what saed did not write.
std::vector<features::NegativeControl> ParseControls(const std::string& details);
features::Baselines ParseBaselines(const std::string& details);

// Windows of which a condition asks; 0 in rows that do not say.
struct Asked {
  int64_t train = 0, test = 0;
};
Asked ParseAsked(const std::string& details);

// Whether the responses of a dictionary (details: DictionaryRow::details) are of what judges each
// pair, as its association says; of an older one they are of the code.
bool ResponsesAreJudged(const std::string& details);

}  // namespace saed::jobs
