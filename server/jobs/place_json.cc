#include "server/jobs/place_json.h"

#include <limits>

#include "server/inference/spec_json.h"

namespace saed::jobs {
namespace {

using nlohmann::json;

// Entries that are no numbers are NaN.
template <class T>
std::vector<T> Numbers(const json& from, const char* name) {
  std::vector<T> out;
  for (const json& v : from.value(name, json::array())) {
    out.push_back(v.is_number() ? v.get<T>() : std::numeric_limits<T>::quiet_NaN());
  }
  return out;
}

json Places(const std::string& details) {
  const json parsed = json::parse(details, nullptr, false);
  return parsed.is_object() ? parsed.value("places", json::array()) : json::array();
}

}  // namespace

json ToJson(const features::PlaceSummary& bins) {
  return {{"series", bins.series},
          {"x_edges", bins.x_edges},
          {"y_edges", bins.y_edges},
          {"train_occupancy", bins.train_occupancy},
          {"test_occupancy", bins.test_occupancy}};
}

json ToJson(const features::PlaceScores& map) {
  json out = {{"train_information", OptionalJson(map.train_information)},
              {"test_information", OptionalJson(map.test_information)},
              {"code_train_spatial", OptionalJson(map.code_train_spatial)},
              {"code_test_spatial", OptionalJson(map.code_test_spatial)},
              {"train_map", map.train_map},
              {"test_map", map.test_map}};
  if (map.kind) out["evidence"] = sae::Name(*map.kind);
  return out;
}

std::vector<features::PlaceSummary> ParsePlaces(const std::string& details) {
  std::vector<features::PlaceSummary> out;
  for (const json& p : Places(details)) {
    if (!p.is_object()) continue;
    out.push_back({p.value("series", ""), Numbers<double>(p, "x_edges"),
                   Numbers<double>(p, "y_edges"), Numbers<int64_t>(p, "train_occupancy"),
                   Numbers<int64_t>(p, "test_occupancy")});
  }
  return out;
}

std::vector<features::PlaceScores> ParsePlaceMaps(const std::string& details) {
  std::vector<features::PlaceScores> out;
  for (const json& p : Places(details)) {
    if (!p.is_object()) continue;
    out.push_back({sae::EvidenceNamed(p.value("evidence", "")),
                   OptionalNumber(p, "train_information"),
                   OptionalNumber(p, "test_information"),
                   OptionalNumber(p, "code_train_spatial"),
                   OptionalNumber(p, "code_test_spatial"),
                   Numbers<float>(p, "train_map"),
                   Numbers<float>(p, "test_map"),
                   {}});
  }
  return out;
}

}  // namespace saed::jobs
