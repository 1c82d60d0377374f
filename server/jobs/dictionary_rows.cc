#include "server/jobs/dictionary_rows.h"

#include <nlohmann/json.hpp>

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
  return {{"top_units", units}, {"exemplars", exemplars}};
}

}  // namespace

DictionaryRows ToRows(const features::Dictionary& d, const sae::Model& model, const std::string& id,
                      const std::string& model_id, const std::string& recording_id, int64_t now) {
  DictionaryRows out;
  out.dictionary = {id,
                    model_id,
                    recording_id,
                    now,
                    static_cast<int>(d.features.size()),
                    d.train_windows,
                    d.test_windows,
                    nlohmann::json(d.warnings).dump()};
  for (size_t c = 0; c < d.conditions.size(); ++c) {
    out.conditions.push_back({static_cast<int>(c), d.conditions[c].name,
                              ToJson(d.conditions[c]).dump(), d.train_positive[c],
                              d.test_positive[c], std::nullopt, std::nullopt, std::nullopt});
    if (const auto& best = d.best_units[c]) {
      auto& row = out.conditions.back();
      row.best_unit = best->unit_id;
      row.best_unit_train_auroc = best->train_auroc;
      row.best_unit_test_auroc = best->test_auroc;
    }
  }
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
      row.best_train_auroc = f.train[*f.best_condition].auroc;
      row.best_test_auroc = f.test[*f.best_condition].auroc;
    }
    const float* decoder = model.parameters.decoder_row(f.latent);
    row.decoder.assign(decoder, decoder + model.outputs());
    row.trace_map = f.trace_map;
    row.details = Details(f).dump();
    out.features.push_back(std::move(row));
    for (size_t c = 0; c < d.conditions.size(); ++c) {
      storage::AssociationRow pair{
          static_cast<int>(c), f.latent, Scores(f.train[c]), Scores(f.test[c]), {}, {}, {}, {}};
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
