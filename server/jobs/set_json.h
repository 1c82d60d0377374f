// Sets of features as they are stored.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "server/features/feature_sets.h"

namespace saed::jobs {

nlohmann::json ToJson(const features::FeatureSet& set);

// Empty where the text is not a set that saed wrote, or has no members.
std::optional<features::FeatureSet> ParseFeatureSet(const std::string& text);

}  // namespace saed::jobs
