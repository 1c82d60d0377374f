// Maps over positions as messages.
#include "server/jobs/place_json.h"
#include "server/rpc/convert.h"

namespace saed::rpc {

void AddPlaces(const std::string& details, v1::Dictionary& out) {
  for (const auto& p : jobs::ParsePlaces(details)) {
    auto* m = out.add_places();
    m->set_series(p.series);
    m->mutable_x_edges()->Assign(p.x_edges.begin(), p.x_edges.end());
    m->mutable_y_edges()->Assign(p.y_edges.begin(), p.y_edges.end());
    m->mutable_train_occupancy()->Assign(p.train_occupancy.begin(), p.train_occupancy.end());
    m->mutable_test_occupancy()->Assign(p.test_occupancy.begin(), p.test_occupancy.end());
  }
}

void AddPlaceMaps(const std::string& dictionary_details, const std::string& feature_details,
                  v1::GetFeatureResponse& out) {
  const auto places = jobs::ParsePlaces(dictionary_details);
  const auto maps = jobs::ParsePlaceMaps(feature_details);
  for (size_t i = 0; i < std::min(places.size(), maps.size()); ++i) {
    const features::PlaceScores& map = maps[i];
    auto* m = out.add_place_maps();
    m->set_series(places[i].series);
    if (map.kind) m->set_evidence(EvidenceKindOf(sae::Name(*map.kind)));
    if (map.train_information) m->set_train_information(*map.train_information);
    if (map.test_information) m->set_test_information(*map.test_information);
    if (map.code_train_spatial) m->set_code_train_spatial_information(*map.code_train_spatial);
    if (map.code_test_spatial) m->set_code_test_spatial_information(*map.code_test_spatial);
    m->set_x_bins(static_cast<int32_t>(places[i].x_edges.size()) - 1);
    m->mutable_train_map()->Assign(map.train_map.begin(), map.train_map.end());
    m->mutable_test_map()->Assign(map.test_map.begin(), map.test_map.end());
  }
}

}  // namespace saed::rpc
