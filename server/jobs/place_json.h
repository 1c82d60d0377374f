// Maps over positions as they are stored: the bins under "places" in a dictionary's details, one
// feature's maps under "places" in its own.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "server/features/places.h"

namespace saed::jobs {

nlohmann::json ToJson(const features::PlaceSummary& bins);
nlohmann::json ToJson(const features::PlaceScores& map);

// Of a row's details; empty where it has none that saed wrote.
std::vector<features::PlaceSummary> ParsePlaces(const std::string& details);
std::vector<features::PlaceScores> ParsePlaceMaps(const std::string& details);

}  // namespace saed::jobs
