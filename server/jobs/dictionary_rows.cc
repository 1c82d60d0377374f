#include "server/jobs/dictionary_rows.h"

#include <nlohmann/json.hpp>

#include "server/inference/spec_json.h"
#include "server/jobs/details_json.h"
#include "server/jobs/place_json.h"
#include "server/jobs/set_json.h"
#include "server/jobs/spec.h"

namespace saed::jobs {
namespace {

storage::ScoreRow Scores(const features::Scores& s) {
  return {s.coverage, s.specificity, s.selectivity, s.precision, s.prevalence, s.auroc};
}

const char* Name(features::Exemplar::Kind kind) {
  switch (kind) {
    case features::Exemplar::Kind::kTop:
      return "top";
    case features::Exemplar::Kind::kMiddle:
      return "middle";
    case features::Exemplar::Kind::kRandom:
      return "random";
  }
  return "";
}

nlohmann::json Details(const features::Feature& f) {
  nlohmann::json units = nlohmann::json::array(), exemplars = nlohmann::json::array();
  for (const auto& u : f.top_units) {
    units.push_back({{"unit_id", u.unit_id}, {"drive", u.drive}, {"share", u.share}});
  }
  for (const auto& e : f.exemplars) {
    exemplars.push_back(
        {{"kind", Name(e.kind)}, {"start_time", e.start_time}, {"activation", e.activation}});
  }
  nlohmann::json out = {{"top_units", units}, {"exemplars", exemplars}};
  for (const auto& map : f.places) out["places"].push_back(ToJson(map));
  return out;
}

nlohmann::json SpectraJson(const features::Dictionary& d) {
  if (!d.spectra) return nlohmann::json::object();
  const sae::Spectra& s = *d.spectra;
  nlohmann::json errors = nlohmann::json::array();
  for (const auto& e : s.relative_error)
    errors.push_back(e ? nlohmann::json(*e) : nlohmann::json());
  return {{"segments", s.segments},   {"segment_bins", s.segment_bins},
          {"bin_width", s.bin_width}, {"target", s.target},
          {"output", s.output},       {"relative_error", errors}};
}

void AddVariables(const features::Dictionary& d, storage::DictionaryRows& out) {
  for (const features::VariableSummary& v : d.variables) {
    storage::VariableRow& row = out.variables.emplace_back();
    row.position = static_cast<int>(out.variables.size()) - 1;
    row.name = v.name;
    row.details = nlohmann::json{{"circular", v.circular},
                                 {"edges", v.edges},
                                 {"train_occupancy", v.train_occupancy},
                                 {"test_occupancy", v.test_occupancy},
                                 {"train_windows", v.train_windows},
                                 {"test_windows", v.test_windows}}
                      .dump();
    row.best_unit = v.best_unit;
    row.best_unit_train = v.best_unit_train;
    row.best_unit_test = v.best_unit_test;
  }
}

std::vector<float> Joined(const std::vector<float>& a, const std::vector<float>& b) {
  std::vector<float> out = a;
  out.insert(out.end(), b.begin(), b.end());
  return out;
}

// By what a pair is judged, and what its code has; null: nothing.
nlohmann::json Details(const features::VariableScores& s) {
  nlohmann::json out = {
      {"code", {OptionalJson(s.code_train_spearman), OptionalJson(s.code_test_spearman)}}};
  if (s.kind) out["evidence"] = sae::Name(*s.kind);
  return out;
}

void AddTunings(const features::Feature& f, storage::DictionaryRows& out) {
  for (size_t v = 0; v < f.variables.size(); ++v) {
    const features::VariableScores& s = f.variables[v];
    out.tunings.push_back({static_cast<int>(v), f.latent, s.train_spearman, s.test_spearman,
                           s.train_information, s.test_information, s.p, s.q,
                           Joined(s.train_tuning, s.test_tuning), Details(s).dump()});
  }
  for (const auto& [condition, r] : f.responses) {
    out.responses.push_back(
        {f.latent, condition, r.events, r.before, r.latency, Joined(r.mean, r.sem)});
  }
}

}  // namespace

storage::DictionaryRows ToRows(const features::Dictionary& d, const sae::Model& model,
                               const std::string& id, const std::string& model_id,
                               const std::string& recording_id, int64_t now) {
  storage::DictionaryRows out;
  out.dictionary = {id,
                    model_id,
                    recording_id,
                    now,
                    static_cast<int>(d.features.size()),
                    d.train_windows,
                    d.test_windows,
                    nlohmann::json(d.warnings).dump(),
                    SpectraJson(d).dump(),
                    DictionaryDetails(d)};
  for (size_t c = 0; c < d.conditions.size(); ++c) {
    storage::ConditionRow& row = out.conditions.emplace_back();
    row.position = static_cast<int>(c);
    row.name = d.conditions[c].name;
    row.spec = ToJson(d.conditions[c]).dump();
    row.train_positive = d.train_positive[c];
    row.test_positive = d.test_positive[c];
    row.best_feature = d.best_features[c];
    row.probe_one = d.probes[c].one;
    row.probe_all = d.probes[c].all;
    row.probe_counts = d.probes[c].counts;
    row.random_train_auroc = d.random[c].train_auroc;
    row.random_test_auroc = d.random[c].test_auroc;
    row.details = ConditionDetails(d, c);
    if (const auto& margin = d.margins[c]) {
      row.over_unit = margin->difference;
      if (margin->interval) {
        row.over_unit_low = margin->interval->low;
        row.over_unit_high = margin->interval->high;
      }
    }
    if (!d.sets[c].members.empty()) row.feature_set = ToJson(d.sets[c]).dump();
    if (const auto& best = d.best_units[c]) {
      row.best_unit = best->unit_id;
      row.best_unit_falls = best->falls;
      row.best_unit_train_auroc = best->train_auroc;
      row.best_unit_test_auroc = best->test_auroc;
    }
  }
  AddVariables(d, out);
  for (const features::Feature& f : d.features) {
    storage::FeatureRow row;
    row.latent = f.latent;
    row.density = f.density;
    row.mean_activation = f.mean_activation;
    row.max_activation = f.max_activation;
    row.active_windows = f.active_windows;
    if (!f.top_units.empty()) row.top_unit = f.top_units[0].unit_id;
    row.best_condition = f.best_condition;
    if (f.best_condition) {
      row.best_train_auroc = f.judged[*f.best_condition].train_auroc;
      row.best_test_auroc = f.judged[*f.best_condition].test_auroc;
    }
    const float* decoder = model.parameters.decoder_row(f.latent);
    row.decoder.assign(decoder, decoder + model.outputs());
    row.trace_map = f.trace_map;
    row.details = Details(f).dump();
    row.importance = f.importance;
    out.features.push_back(std::move(row));
    AddTunings(f, out);
    for (size_t c = 0; c < d.conditions.size(); ++c) {
      storage::AssociationRow pair;
      pair.condition = static_cast<int>(c);
      pair.latent = f.latent;
      pair.train = Scores(f.train[c]);
      pair.test = Scores(f.test[c]);
      const features::Judged& judged = f.judged[c];
      pair.train.auroc = judged.train_auroc;
      pair.test.auroc = judged.test_auroc;
      if (judged.kind) pair.evidence = sae::Name(*judged.kind);
      pair.falls = judged.falls;
      nlohmann::json units = nlohmann::json::array();
      for (const auto& u : f.drivers[c]) units.push_back({u.unit_id, u.drive, u.share});
      if (!units.empty()) pair.units = units.dump();
      pair.code_train_auroc = f.train[c].auroc;
      pair.code_test_auroc = f.test[c].auroc;
      const features::Certainty& certainty = f.certainty[c];
      pair.p_value = certainty.p;
      pair.q_value = certainty.q;
      if (certainty.interval) {
        pair.auroc_low = certainty.interval->low;
        pair.auroc_high = certainty.interval->high;
      }
      out.associations.push_back(pair);
    }
  }
  return out;
}

}  // namespace saed::jobs
