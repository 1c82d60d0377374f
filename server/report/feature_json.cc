#include "server/report/feature_json.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "server/base/status_macros.h"
#include "server/inference/spec_json.h"
#include "server/jobs/details_json.h"
#include "server/jobs/place_json.h"

namespace saed::report {
namespace {

using nlohmann::json;

constexpr size_t kConditions = 10, kVariables = 8, kRasterUnits = 8, kRasters = 8;
constexpr double kAround = 0.2;  // s before and after an exemplar's window
constexpr size_t kMostTicks = 400;

// Positions of the top units among the model's.
std::vector<std::pair<int64_t, size_t>> TopUnits(const json& details,
                                                 const std::vector<int64_t>& unit_ids) {
  std::vector<std::pair<int64_t, size_t>> out;
  for (const json& u : details.value("top_units", json::array())) {
    const auto id = u.value("unit_id", int64_t{0});
    const auto at = std::find(unit_ids.begin(), unit_ids.end(), id);
    if (at != unit_ids.end()) out.emplace_back(id, at - unit_ids.begin());
  }
  return out;
}

// [unit][bin] of a [S, units] map.
json Map(const std::vector<float>& map, size_t units,
         const std::vector<std::pair<int64_t, size_t>>& top) {
  json out = json::array();
  for (const auto& [id, at] : top) {
    json row = json::array();
    for (size_t i = at; i < map.size(); i += units) {
      row.push_back(Short(static_cast<double>(map[i])));
    }
    out.push_back(row);
  }
  return out;
}

// Times of a unit's spikes in [from, to) relative to `zero`, s.
json Ticks(const recordings::Recording& recording, size_t unit, double from, double to,
           double zero) {
  json out = json::array();
  for (const double t : recordings::SpikeTimesIn(recording, unit, from, to, kMostTicks)) {
    out.push_back(std::round((t - zero) * 1e4) / 1e4);
  }
  return out;
}

json Exemplars(const FeatureContext& c, const json& details,
               const std::vector<std::pair<int64_t, size_t>>& top) {
  std::map<int64_t, size_t> position;
  for (size_t i = 0; i < c.recording.units.size(); ++i) position[c.recording.units[i].id] = i;
  const double length = c.model.model.S * c.bin_width;
  json out = json::array();
  for (const json& e : details.value("exemplars", json::array())) {
    if (out.size() == kRasters) break;
    const double start = NumberOr(e, "start_time");
    json rows = json::array();
    for (size_t u = 0; u < top.size() && u < kRasterUnits; ++u) {
      const auto at = position.find(top[u].first);
      rows.push_back(at == position.end() ? json::array()
                                          : Ticks(c.recording, at->second, start - kAround,
                                                  start + length + kAround, start));
    }
    out.push_back({std::round(start * 1e3) / 1e3, Short(NumberOr(e, "activation")),
                   e.value("kind", ""), rows});
  }
  return out;
}

}  // namespace

json Short(double value) {
  if (!std::isfinite(value)) return nullptr;
  if (value == 0) return 0;
  const double scale = std::pow(10.0, 3 - std::floor(std::log10(std::abs(value))));
  return std::isfinite(scale) ? json(std::round(value * scale) / scale) : json(value);
}

json Short(const std::optional<double>& value) { return value ? Short(*value) : json(nullptr); }

json Short(const float* values, size_t count) {
  json out = json::array();
  for (size_t i = 0; i < count; ++i) out.push_back(Short(static_cast<double>(values[i])));
  return out;
}

absl::StatusOr<json> FeatureJson(const FeatureContext& c, int latent) {
  auto& dictionaries = c.stores.dictionaries;
  SAED_ASSIGN_OR_RETURN(const auto row, dictionaries.GetFeature(c.dictionary_id, latent));
  SAED_ASSIGN_OR_RETURN(const auto pairs, dictionaries.Associations(c.dictionary_id, latent));
  SAED_ASSIGN_OR_RETURN(auto tunings, dictionaries.Tunings(c.dictionary_id, latent));
  SAED_ASSIGN_OR_RETURN(const auto responses, dictionaries.Responses(c.dictionary_id, latent));
  SAED_ASSIGN_OR_RETURN(const auto notes,
                        c.stores.annotations.List(c.model_id, latent, false, c.viewer));
  const json details = json::parse(row.details, nullptr, false);
  const auto top = TopUnits(details.is_object() ? details : json::object(), c.model.unit_ids);

  json conditions = json::array();
  for (size_t i = 0; i < pairs.size() && i < kConditions; ++i) {
    const auto& p = pairs[i];
    conditions.push_back({p.condition, Short(p.train.auroc), Short(p.test.auroc),
                          Short(p.auroc_low), Short(p.auroc_high), Short(p.q_value),
                          Short(p.test.coverage), Short(p.test.precision),
                          Short(p.test.selectivity)});
  }
  // The variables that it follows most, by the training side.
  std::stable_sort(tunings.begin(), tunings.end(), [](const auto& a, const auto& b) {
    return std::abs(a.train_spearman.value_or(0)) > std::abs(b.train_spearman.value_or(0));
  });
  json variables = json::array();
  for (size_t i = 0; i < tunings.size() && i < kVariables; ++i) {
    const auto& t = tunings[i];
    const size_t half = t.curves.size() / 2;
    const json details = json::parse(t.details, nullptr, false);
    const json judged = details.is_object() ? details : json::object();
    variables.push_back({t.variable, Short(t.train_spearman), Short(t.test_spearman),
                         Short(t.test_information), Short(t.q_value), Short(t.curves.data(), half),
                         Short(t.curves.data() + half, half), judged.value("evidence", ""),
                         judged.value("code", json::array({nullptr, nullptr})).at(1)});
  }
  json events = json::array();
  SAED_ASSIGN_OR_RETURN(const auto dictionary, dictionaries.Get(c.dictionary_id));
  std::map<int, const storage::AssociationRow*> by;
  for (const auto& p : pairs) {
    if (jobs::ResponsesAreJudged(dictionary.details)) by[p.condition] = &p;
  }
  for (const auto& r : responses) {
    const auto* judges = by[r.condition];
    const size_t half = r.curves.size() / 2;
    events.push_back({r.condition, r.events, r.before, Short(r.latency),
                      Short(r.curves.data(), half), Short(r.curves.data() + half, half),
                      judges == nullptr ? "" : judges->evidence,
                      judges != nullptr && judges->falls});
  }
  json places = json::array();
  for (const auto& map : jobs::ParsePlaceMaps(row.details)) {
    places.push_back({map.kind ? sae::Name(*map.kind) : "", Short(map.train_information),
                      Short(map.test_information), Short(map.code_test_spatial),
                      Short(map.train_map.data(), map.train_map.size()),
                      Short(map.test_map.data(), map.test_map.size())});
  }
  json units = json::array(), shares = json::array();
  if (details.is_object()) {
    for (const json& u : details.value("top_units", json::array())) {
      units.push_back(u.value("unit_id", int64_t{0}));
      shares.push_back(Short(NumberOr(u, "share")));
    }
  }
  json said = json::array();
  for (const auto& n : notes) {
    if (n.kind == "note") said.push_back({n.author, n.created_at / 1'000'000, n.text});
  }
  const bool same_units = !c.model.model.paired();
  return json{
      {"conditions", conditions},
      {"variables", variables},
      {"responses", events},
      {"places", places},
      {"units", units},
      {"shares", shares},
      {"trace", Map(row.trace_map, c.model.unit_ids.size(), top)},
      {"decoder", same_units ? Map(row.decoder, c.model.unit_ids.size(), top) : json::array()},
      {"exemplars", details.is_object() ? Exemplars(c, details, top) : json::array()},
      {"notes", said}};
}

}  // namespace saed::report
