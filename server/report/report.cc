#include "server/report/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "server/base/on_behalf.h"
#include "server/base/status_macros.h"
#include "server/inference/spec_json.h"
#include "server/jobs/details_json.h"
#include "server/jobs/place_json.h"
#include "server/jobs/progress.h"
#include "server/jobs/set_json.h"
#include "server/jobs/spec.h"
#include "server/jobs/submit.h"
#include "server/report/feature_json.h"
#include "server/report/page.h"

namespace saed::report {
namespace {

using nlohmann::json;

constexpr int kAllFeatures = 1 << 20, kProgressPage = 5000;
constexpr size_t kCurvePoints = 400;
constexpr std::string_view kPlace = "/*saed-data*/";

// Training progress, thinned to what a plot can show.
absl::StatusOr<json> TrainingCurves(const jobs::Stores& stores, const std::string& job) {
  std::vector<jobs::ProgressReport> steps;
  for (int64_t after = 0;;) {
    SAED_ASSIGN_OR_RETURN(const auto rows, stores.jobs.ReadProgress(job, after, kProgressPage));
    for (const auto& row : rows) {
      auto report = jobs::ParseProgress(row.body);
      if (report.stage == "training" && report.step > 0) steps.push_back(std::move(report));
      after = row.sequence;
    }
    if (static_cast<int>(rows.size()) < kProgressPage) break;
  }
  json out = json::array();
  const size_t every = std::max<size_t>(1, (steps.size() + kCurvePoints - 1) / kCurvePoints);
  for (size_t i = 0; i < steps.size(); ++i) {
    if (i % every != 0 && i + 1 != steps.size()) continue;
    const auto& s = steps[i];
    out.push_back(
        {s.step, Short(s.loss), Short(s.reconstruction_loss), Short(s.l0), Short(s.dead_fraction)});
  }
  return out;
}

const char* Word(features::Worth worth) {
  switch (worth) {
    case features::Worth::kAboveUnits:
      return "above units";
    case features::Worth::kLikeUnits:
      return "like units";
    case features::Worth::kBelowUnits:
      return "below units";
    case features::Worth::kUnknown:
      break;
  }
  return "";
}

// [id, sign] of each; held-out AUROCs of 1, 2, … members.
template <class Members, class Id>
json Signed(const Members& members, const Id& id) {
  json out = json::array();
  for (const auto& m : members) out.push_back({id(m), m.weight < 0 ? -1 : 1});
  return out;
}

template <class Sizes>
json HeldOut(const Sizes& sizes) {
  json out = json::array();
  for (const auto& s : sizes) out.push_back(Short(s.test_auroc));
  return out;
}

json SetJson(const std::string& text) {
  const auto set = jobs::ParseFeatureSet(text);
  if (!set) return nullptr;
  return {{"features", Signed(set->members, [](const auto& m) { return m.latent; })},
          {"units", Signed(set->units, [](const auto& m) { return m.unit_id; })},
          {"aurocs", HeldOut(set->sizes)},
          {"unit_aurocs", HeldOut(set->unit_sizes)},
          {"low", set->interval ? Short(set->interval->low) : json(nullptr)},
          {"high", set->interval ? Short(set->interval->high) : json(nullptr)},
          {"worth", Word(set->worth())}};
}

// Held-out AUROCs of the best principal and independent component, of logistic regression on all
// latents and on all counts; null where they are not there.
json BaselinesJson(const std::string& details) {
  const features::Baselines b = jobs::ParseBaselines(details);
  return {Short(b.pca), Short(b.ica), Short(b.logistic_latents), Short(b.logistic_counts)};
}

json Conditions(const std::vector<storage::ConditionRow>& rows) {
  json out = json::array();
  for (const auto& c : rows) {
    const auto condition = jobs::ParseCondition(c.spec);
    std::optional<features::Margin> margin;
    if (c.over_unit_low && c.over_unit_high) {
      margin = {c.over_unit.value_or(0), features::Interval{*c.over_unit_low, *c.over_unit_high}};
    }
    out.push_back({c.name, condition.ok() ? condition->expression : "", c.train_positive,
                   c.test_positive, c.best_unit ? json(*c.best_unit) : json(nullptr),
                   Short(c.best_unit_test_auroc),
                   c.best_feature ? json(*c.best_feature) : json(nullptr), Short(c.probe_one),
                   Short(c.probe_all), Short(c.probe_counts), Short(c.best_feature_test_auroc),
                   Word(features::WorthOf(margin)), SetJson(c.feature_set),
                   Short(c.random_test_auroc), BaselinesJson(c.details)});
  }
  return out;
}

// Family, labels, mean and highest AUROC, pairs called and pairs of each negative control.
json Controls(const std::string& details) {
  json out = json::array();
  for (const features::NegativeControl& n : jobs::ParseControls(details)) {
    if (!n.mean_auroc) continue;
    out.push_back(
        {n.family, n.labels, Short(n.mean_auroc), Short(n.highest_auroc), n.called, n.pairs});
  }
  return out;
}

json Variables(const std::vector<storage::VariableRow>& rows) {
  json out = json::array();
  for (const auto& v : rows) {
    const json details = json::parse(v.details, nullptr, false);
    json edges = json::array();
    for (const json& e : details.value("edges", json::array())) {
      edges.push_back(e.is_number() ? Short(e.get<double>()) : json(nullptr));
    }
    out.push_back({v.name, edges, details.value("test_occupancy", json::array()),
                   v.best_unit ? json(*v.best_unit) : json(nullptr), Short(v.best_unit_test),
                   details.value("circular", false)});
  }
  return out;
}

// Series, edges along x and y.
json Places(const std::string& details) {
  json out = json::array();
  for (const auto& p : jobs::ParsePlaces(details)) {
    const auto edges = [](const std::vector<double>& values) {
      json list = json::array();
      for (const double v : values) list.push_back(Short(v));
      return list;
    };
    out.push_back({p.series, edges(p.x_edges), edges(p.y_edges)});
  }
  return out;
}

json Units(const inference::LoadedModel& model, const recordings::Recording& recording) {
  json out = json::array();
  for (int64_t id : model.unit_ids) {
    const auto at = std::find_if(recording.units.begin(), recording.units.end(),
                                 [&](const recordings::Unit& u) { return u.id == id; });
    if (at == recording.units.end()) {
      out.push_back({id, "", "", nullptr});
    } else {
      out.push_back({id, at->label, at->region, Short(at->depth)});
    }
  }
  return out;
}

json Spectra(const std::string& text) {
  json s = json::parse(text, nullptr, false);
  if (!s.is_object() || !s.contains("segments") || s["segments"] == 0) return nullptr;
  for (const char* key : {"target", "output", "relative_error"}) {
    for (json& v : s[key]) v = v.is_number() ? Short(v.get<double>()) : json(nullptr);
  }
  return s;
}

json Listed(const storage::ListedFeature& l) {
  const auto& f = l.feature;
  return {f.latent,
          Short(f.density),
          Short(f.mean_activation),
          Short(f.max_activation),
          f.active_windows,
          f.best_condition ? json(*f.best_condition) : json(nullptr),
          Short(f.best_train_auroc),
          Short(f.best_test_auroc),
          Short(f.importance),
          l.label,
          l.tags,
          f.top_unit ? json(*f.top_unit) : json(nullptr)};
}

// Latents to show in full: with labels or tags first, then by held-out AUROC.
std::vector<int> Chosen(std::vector<storage::ListedFeature> all, int most) {
  std::erase_if(all, [](const auto& l) { return l.feature.active_windows == 0; });
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
    const bool said_a = !a.label.empty() || !a.tags.empty();
    const bool said_b = !b.label.empty() || !b.tags.empty();
    if (said_a != said_b) return said_a;
    return a.feature.best_test_auroc.value_or(0) > b.feature.best_test_auroc.value_or(0);
  });
  std::vector<int> out;
  for (const auto& l : all) {
    if (static_cast<int>(out.size()) == most) break;
    out.push_back(l.feature.latent);
  }
  return out;
}

// JSON that may stand inside a script element.
std::string Embedded(const json& data) {
  std::string text = data.dump(-1, ' ', false, json::error_handler_t::replace), out;
  out.reserve(text.size() + text.size() / 50);
  for (char c : text) {
    if (c == '<') {
      out += "\\u003c";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

absl::StatusOr<std::string> Render(const jobs::Stores& stores, inference::Engine& engine,
                                   const std::string& dictionary_id, int most,
                                   const storage::Viewer& viewer) {
  SAED_ASSIGN_OR_RETURN(const auto dictionary, stores.dictionaries.Get(dictionary_id));
  SAED_ASSIGN_OR_RETURN(const auto model, engine.Get(dictionary.model_id));
  SAED_ASSIGN_OR_RETURN(const auto spec, jobs::ParseTrainSpec(model->row.spec));
  SAED_ASSIGN_OR_RETURN(const auto recording, jobs::LoadRecording(stores, dictionary.recording_id));
  SAED_ASSIGN_OR_RETURN(const auto recording_row, stores.recordings.Get(dictionary.recording_id));
  SAED_ASSIGN_OR_RETURN(const auto conditions, stores.dictionaries.Conditions(dictionary_id));
  SAED_ASSIGN_OR_RETURN(const auto variables, stores.dictionaries.Variables(dictionary_id));
  storage::FeatureQuery query;
  query.dictionary_id = dictionary_id;
  query.limit = kAllFeatures;
  query.viewer = viewer;
  SAED_ASSIGN_OR_RETURN(const auto features, stores.dictionaries.ListFeatures(query));
  SAED_ASSIGN_OR_RETURN(const json training, TrainingCurves(stores, dictionary.model_id));

  json data;
  data["dictionary"] = {{"name", "dictionaries/" + dictionary_id},
                        {"model", "models/" + dictionary.model_id},
                        {"model_name", model->row.name},
                        {"recording", "recordings/" + dictionary.recording_id},
                        {"recording_name", recording_row.name},
                        {"created", dictionary.created_at / 1'000'000},
                        {"train_windows", dictionary.train_windows},
                        {"test_windows", dictionary.test_windows},
                        {"warnings", json::parse(dictionary.warnings, nullptr, false)}};
  data["spec"] = {{"view", json::parse(model->row.spec, nullptr, false).value("view", json())},
                  {"fit", json::parse(model->row.spec, nullptr, false).value("fit", json())}};
  data["bin_width"] = spec.view.bin_width;
  data["window"] = model->model.S;
  json evaluation = json::parse(model->row.evaluation, nullptr, false);
  if (evaluation.is_object()) {
    evaluation.erase("density");
    for (json& r : evaluation["unit_r2"])
      r = r.is_number() ? Short(r.get<double>()) : json(nullptr);
  }
  data["evaluation"] = evaluation;
  data["training"] = training;
  data["spectra"] = Spectra(dictionary.spectra);
  data["units"] = Units(*model, recording);
  data["conditions"] = Conditions(conditions);
  data["controls"] = Controls(dictionary.details);
  data["variables"] = Variables(variables);
  data["places"] = Places(dictionary.details);
  json list = json::array(), full = json::object();
  for (const auto& f : features) list.push_back(Listed(f));
  const FeatureContext context{
      stores, *model, recording, dictionary_id, dictionary.model_id, spec.view.bin_width, viewer};
  const std::vector<int> chosen = Chosen(features, most);
  for (int latent : chosen) {
    SAED_RETURN_IF_ERROR(StillWanted());
    SAED_ASSIGN_OR_RETURN(full[std::to_string(latent)], FeatureJson(context, latent));
  }
  data["features"] = list;
  data["order"] = chosen;
  data["full"] = full;

  std::string page = kPage;
  const size_t at = page.find(kPlace);
  if (at == std::string::npos)
    return absl::InternalError("the report's page has no place for data");
  page.replace(at, kPlace.size(), Embedded(data));
  return page;
}

}  // namespace saed::report
