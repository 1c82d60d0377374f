// FeatureService: dictionaries and their features.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "saed/v1/features.pb.h"
#include "server/base/faults.h"
#include "server/base/on_behalf.h"
#include "server/base/status_macros.h"
#include "server/features/pool.h"
#include "server/inference/spec_json.h"
#include "server/jobs/activations.h"
#include "server/jobs/details_json.h"
#include "server/rpc/convert.h"
#include "server/rpc/methods.h"
#include "server/rpc/names.h"

namespace saed::rpc {
namespace {

absl::StatusOr<v1::DictionaryCondition> ConditionOf(const storage::ConditionRow& c) {
  SAED_ASSIGN_OR_RETURN(const features::Condition condition, jobs::ParseCondition(c.spec));
  v1::DictionaryCondition out;
  auto* m = &out;
  *m->mutable_condition() = ToProto(condition);
  m->set_train_positive(c.train_positive);
  m->set_test_positive(c.test_positive);
  if (c.best_unit) m->set_best_unit_id(*c.best_unit);
  m->set_best_unit_falls(c.best_unit_falls);
  if (c.random_train_auroc) m->set_random_train_auroc(*c.random_train_auroc);
  if (c.random_test_auroc) m->set_random_test_auroc(*c.random_test_auroc);
  if (c.best_unit_train_auroc) m->set_best_unit_train_auroc(*c.best_unit_train_auroc);
  if (c.best_unit_test_auroc) m->set_best_unit_test_auroc(*c.best_unit_test_auroc);
  if (c.best_feature) m->set_best_feature(*c.best_feature);
  if (c.best_feature_train_auroc) m->set_best_feature_train_auroc(*c.best_feature_train_auroc);
  if (c.best_feature_test_auroc) m->set_best_feature_test_auroc(*c.best_feature_test_auroc);
  if (c.probe_one) m->set_probe_one(*c.probe_one);
  if (c.probe_all) m->set_probe_all(*c.probe_all);
  if (c.probe_counts) m->set_probe_counts(*c.probe_counts);
  AddScope(c, *m);
  AddBesideUnits(c, *m);
  AddBaselines(c, *m);
  return out;
}

absl::Status GetDictionary(Context& context, const Caller&, const v1::GetDictionaryRequest& request,
                           v1::GetDictionaryResponse& response) {
  SAED_ASSIGN_OR_RETURN(const std::string id, IdOf(request.name(), "dictionaries", "name"));
  SAED_ASSIGN_OR_RETURN(const auto row, context.stores.dictionaries.Get(id));
  SAED_ASSIGN_OR_RETURN(const auto conditions, context.stores.dictionaries.Conditions(id));
  v1::Dictionary& out = *response.mutable_dictionary();
  out = ToProto(row);
  for (const auto& c : conditions) {
    SAED_ASSIGN_OR_RETURN(*out.add_conditions(), ConditionOf(c));
  }
  SAED_ASSIGN_OR_RETURN(const auto variables, context.stores.dictionaries.Variables(id));
  for (const auto& v : variables) *out.add_variables() = ToProto(v);
  return absl::OkStatus();
}

absl::Status ListDictionaries(Context& context, const Caller& caller,
                              const v1::ListDictionariesRequest& request,
                              v1::ListDictionariesResponse& response) {
  SAED_ASSIGN_OR_RETURN(const int size, PageSize(request.page_size()));
  std::string model;
  if (!request.model().empty()) {
    SAED_ASSIGN_OR_RETURN(model, IdOf(request.model(), "models", "model"));
  }
  const std::string query = "dictionaries/" + model;
  SAED_ASSIGN_OR_RETURN(const auto after, ParsePageToken(request.page_token(), query, 2));
  const bool first = after.empty();
  SAED_ASSIGN_OR_RETURN(const auto rows,
                        context.stores.dictionaries.List(
                            model, size, first ? 0 : std::strtoll(after[0].c_str(), nullptr, 10),
                            first ? "" : after[1], caller.viewer()));
  for (const auto& row : rows) *response.add_dictionaries() = ToProto(row);
  if (static_cast<int>(rows.size()) == size) {
    response.set_next_page_token(
        MakePageToken(query, {std::to_string(rows.back().created_at), rows.back().id}));
  }
  return absl::OkStatus();
}

void AddUnits(const std::string& text, v1::Association& out) {
  const auto units = nlohmann::json::parse(text, nullptr, false);
  for (const auto& u : units.is_array() ? units : nlohmann::json::array()) {
    if (!u.is_array() || u.size() != 3) continue;
    auto* unit = out.add_units();
    unit->set_unit_id(u[0].get<int64_t>());
    unit->set_drive(u[1].is_number() ? u[1].get<double>() : 0);
    unit->set_share(u[2].is_number() ? u[2].get<double>() : 0);
  }
}

v1::Association AssociationOf(const storage::AssociationRow& a,
                              const storage::ConditionRow& condition) {
  v1::Association m;
  m.set_condition(condition.name);
  *m.mutable_train() = ToProto(a.train);
  *m.mutable_test() = ToProto(a.test);
  m.set_evidence(EvidenceKindOf(a.evidence));
  m.set_falls(a.falls);
  AddUnits(a.units, m);
  if (a.code_train_auroc) m.set_code_train_auroc(*a.code_train_auroc);
  if (a.code_test_auroc) m.set_code_test_auroc(*a.code_test_auroc);
  if (a.p_value) m.set_p_value(*a.p_value);
  if (a.q_value) m.set_q_value(*a.q_value);
  if (a.auroc_low) m.set_auroc_low(*a.auroc_low);
  if (a.auroc_high) m.set_auroc_high(*a.auroc_high);
  if (condition.best_unit) m.set_best_unit_id(*condition.best_unit);
  if (condition.best_unit_test_auroc) m.set_best_unit_test_auroc(*condition.best_unit_test_auroc);
  return m;
}

// Of each listed feature that with the condition, or with its best one where `condition` is empty.
absl::Status AddAssociations(Context& context, const std::vector<storage::ListedFeature>& rows,
                             const std::string& condition, v1::ListFeaturesResponse& response) {
  auto& dictionaries = context.stores.dictionaries;
  std::map<std::string, std::vector<storage::ConditionRow>> conditions;
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::string& id = rows[i].dictionary_id;
    if (!conditions.contains(id)) {
      SAED_ASSIGN_OR_RETURN(conditions[id], dictionaries.Conditions(id));
    }
    const std::string& name = condition.empty() ? rows[i].best_condition_name : condition;
    const auto& all = conditions[id];
    const auto c =
        std::find_if(all.begin(), all.end(), [&](const auto& one) { return one.name == name; });
    if (c == all.end()) continue;
    SAED_ASSIGN_OR_RETURN(const auto pair,
                          dictionaries.Association(id, rows[i].feature.latent, c->position));
    if (!pair) continue;
    *response.mutable_features(static_cast<int>(i))->mutable_association() =
        AssociationOf(*pair, *c);
  }
  return absl::OkStatus();
}

absl::Status ListFeatures(Context& context, const Caller& caller,
                          const v1::ListFeaturesRequest& request,
                          v1::ListFeaturesResponse& response) {
  storage::FeatureQuery query;
  if (request.parent() != "dictionaries/-") {
    SAED_ASSIGN_OR_RETURN(query.dictionary_id, IdOf(request.parent(), "dictionaries", "parent"));
  }
  SAED_ASSIGN_OR_RETURN(query.limit, PageSize(request.page_size()));
  query.filter = request.filter();
  query.order_by = request.order_by();
  query.viewer = caller.viewer();
  const std::string text =
      fmt::format("features/{}\x1f{}\x1f{}", query.dictionary_id, query.filter, query.order_by);
  SAED_ASSIGN_OR_RETURN(const auto after, ParsePageToken(request.page_token(), text, 3));
  if (!after.empty()) {
    query.has_after = true;
    query.after_key = std::strtod(after[0].c_str(), nullptr);
    query.after_dictionary = after[1];
    query.after_latent = static_cast<int>(std::strtol(after[2].c_str(), nullptr, 10));
  }
  SAED_ASSIGN_OR_RETURN(const auto rows, context.stores.dictionaries.ListFeatures(query));
  for (const auto& row : rows) *response.add_features() = ToProto(row);
  if (request.with_association() || !request.condition().empty()) {
    SAED_RETURN_IF_ERROR(AddAssociations(context, rows, request.condition(), response));
  }
  if (static_cast<int>(rows.size()) == query.limit) {
    // Hexadecimal keeps every bit of the key.
    response.set_next_page_token(
        MakePageToken(text, {fmt::format("{:a}", rows.back().key), rows.back().dictionary_id,
                             std::to_string(rows.back().feature.latent)}));
  }
  return absl::OkStatus();
}

// What stands for the condition in one dictionary.
absl::Status AddPlace(Context& context, const storage::ConditionPlace& place,
                      v1::PoolConditionResponse::Entry& out) {
  out.set_dictionary("dictionaries/" + place.dictionary_id);
  out.set_model("models/" + place.model_id);
  out.set_recording("recordings/" + place.recording_id);
  out.set_recording_display_name(place.recording_name);
  SAED_ASSIGN_OR_RETURN(*out.mutable_condition(), ConditionOf(place.condition));
  if (!place.condition.best_feature) return absl::OkStatus();
  SAED_ASSIGN_OR_RETURN(const auto pair, context.stores.dictionaries.Association(
                                             place.dictionary_id, *place.condition.best_feature,
                                             place.condition.position));
  if (pair) *out.mutable_association() = AssociationOf(*pair, place.condition);
  return absl::OkStatus();
}

absl::Status PoolCondition(Context& context, const Caller& caller,
                           const v1::PoolConditionRequest& request,
                           v1::PoolConditionResponse& response) {
  constexpr int kMostPlaces = 1000;
  if (request.condition().empty()) {
    return InvalidField("condition", "is empty; must be a condition's name, e.g. trials.side=left");
  }
  SAED_ASSIGN_OR_RETURN(const auto places, context.stores.dictionaries.WhereCondition(
                                               request.condition(), request.all_dictionaries(),
                                               kMostPlaces, caller.viewer()));
  if (places.empty()) {
    return absl::NotFoundError(
        fmt::format("no dictionary has the condition '{}'; GetDictionary names those that it has",
                    request.condition()));
  }
  std::vector<double> aurocs, p;
  int above = 0;
  for (const storage::ConditionPlace& place : places) {
    auto& entry = *response.add_entries();
    SAED_RETURN_IF_ERROR(AddPlace(context, place, entry));
    if (!place.newest || !entry.condition().has_best_feature_test_auroc()) continue;
    aurocs.push_back(entry.condition().best_feature_test_auroc());
    above += entry.condition().worth() == v1::WORTH_ABOVE_UNITS;
    if (entry.association().has_p_value()) p.push_back(entry.association().p_value());
  }
  const auto key = [](const auto& entry) {
    return entry.condition().has_best_feature_test_auroc()
               ? entry.condition().best_feature_test_auroc()
               : -1;
  };
  std::stable_sort(response.mutable_entries()->begin(), response.mutable_entries()->end(),
                   [&](const auto& a, const auto& b) { return key(a) > key(b); });
  response.set_scored(static_cast<int>(aurocs.size()));
  response.set_above_units(above);
  const auto spread = features::SpreadOf(aurocs);
  if (spread) response.set_mean_auroc(spread->mean);
  if (spread && spread->sd) response.set_sd_auroc(*spread->sd);
  const auto combined = features::FisherCombined(p);
  if (combined) response.set_p_value(*combined);
  return absl::OkStatus();
}

absl::Status GetFeature(Context& context, const Caller& caller,
                        const v1::GetFeatureRequest& request, v1::GetFeatureResponse& response) {
  SAED_ASSIGN_OR_RETURN(const FeatureName f, ParseFeatureName(request.name()));
  auto& dictionaries = context.stores.dictionaries;
  SAED_ASSIGN_OR_RETURN(const auto dictionary, dictionaries.Get(f.dictionary));
  SAED_ASSIGN_OR_RETURN(const auto row, dictionaries.GetFeature(f.dictionary, f.latent));
  SAED_ASSIGN_OR_RETURN(const auto conditions, dictionaries.Conditions(f.dictionary));
  SAED_ASSIGN_OR_RETURN(const auto associations, dictionaries.Associations(f.dictionary, f.latent));
  SAED_ASSIGN_OR_RETURN(const auto model, context.engine.Get(dictionary.model_id));
  std::map<int, const storage::ConditionRow*> by_position;
  for (const auto& c : conditions) by_position[c.position] = &c;
  *response.mutable_feature() =
      ToProto(f.dictionary, row, row.best_condition ? by_position[*row.best_condition]->name : "");
  *response.mutable_decoder() =
      FloatTensor(row.decoder, {model->model.S, model->model.output_units()});
  *response.mutable_trace_map() = FloatTensor(row.trace_map, {model->model.S, model->model.units});
  response.mutable_unit_ids()->Assign(model->unit_ids.begin(), model->unit_ids.end());
  const auto details = nlohmann::json::parse(row.details, nullptr, false);
  if (details.is_object()) {
    for (const auto& e : details.value("exemplars", nlohmann::json::array())) {
      auto* exemplar = response.add_exemplars();
      exemplar->set_kind(e.value("kind", ""));
      exemplar->set_start_time(NumberOr(e, "start_time"));
      exemplar->set_activation(NumberOr(e, "activation"));
    }
  }
  for (const auto& a : associations) {
    *response.add_associations() = AssociationOf(a, *by_position[a.condition]);
  }
  AddPlaceMaps(dictionary.details, row.details, response);
  SAED_ASSIGN_OR_RETURN(const auto variables, dictionaries.Variables(f.dictionary));
  SAED_ASSIGN_OR_RETURN(const auto tunings, dictionaries.Tunings(f.dictionary, f.latent));
  for (const auto& t : tunings) {
    *response.add_tunings() = ToProto(t, variables[t.variable].name);
  }
  SAED_ASSIGN_OR_RETURN(const jobs::TrainSpec spec, jobs::ParseTrainSpec(model->row.spec));
  SAED_ASSIGN_OR_RETURN(const auto responses, dictionaries.Responses(f.dictionary, f.latent));
  std::map<int, const storage::AssociationRow*> judged;
  for (const auto& a : associations) {
    if (jobs::ResponsesAreJudged(dictionary.details)) judged[a.condition] = &a;
  }
  for (const auto& r : responses) {
    *response.add_responses() =
        ToProto(r, by_position[r.condition]->name, judged[r.condition], spec.view.bin_width);
  }
  SAED_ASSIGN_OR_RETURN(const auto annotations,
                        context.stores.annotations.List(dictionary.model_id, f.latent, false,
                                                        caller.viewer(), kMostRows));
  for (const auto& a : annotations) *response.add_annotations() = ToProto(f.dictionary, a);
  SAED_ASSIGN_OR_RETURN(const auto names, context.stores.annotations.Names(
                                              dictionary.model_id, f.latent, caller.viewer()));
  response.mutable_feature()->set_label(names.label);
  response.mutable_feature()->mutable_tags()->Assign(names.tags.begin(), names.tags.end());
  return absl::OkStatus();
}

absl::Status GetActivations(Context& context, const Caller&, grpc::ServerContext& server,
                            const v1::GetActivationsRequest& request,
                            grpc::ServerWriter<v1::GetActivationsResponse>& stream) {
  constexpr std::string_view kAll = "/features/-";
  const std::string& name = request.name();
  FeatureName f;
  if (name.ends_with(kAll)) {
    SAED_ASSIGN_OR_RETURN(f.dictionary,
                          IdOf(name.substr(0, name.size() - kAll.size()), "dictionaries", "name"));
    f.latent = jobs::kAllLatents;
  } else {
    SAED_ASSIGN_OR_RETURN(f, ParseFeatureName(name));
  }
  SAED_ASSIGN_OR_RETURN(const auto dictionary, context.stores.dictionaries.Get(f.dictionary));
  SAED_ASSIGN_OR_RETURN(const auto model, context.engine.Get(dictionary.model_id));
  if (f.latent >= model->model.spec.features()) {
    return absl::NotFoundError(fmt::format("dictionaries/{} has no feature {}; it has 0 to {}",
                                           f.dictionary, f.latent,
                                           model->model.spec.features() - 1));
  }
  std::optional<sae::EvidenceKind> kind;
  if (request.evidence() != v1::EVIDENCE_KIND_UNSPECIFIED) {
    SAED_ASSIGN_OR_RETURN(
        kind, EvidenceFrom(request.evidence(), "evidence", dictionary.model_id, model->model));
  }
  // The stored recording, what is read from it, and its counts.
  SAED_ASSIGN_OR_RETURN(const auto recording,
                        context.stores.recordings.Get(dictionary.recording_id));
  SAED_ASSIGN_OR_RETURN(const auto memory, context.gate.memory().Take(3 * recording.bytes));
  constexpr size_t kEntries = 1 << 16;  // a message
  StallGuard::Stream moving(context.stalls, server);
  const auto sink = [&](const std::vector<double>& times, const std::vector<int>& latents,
                        const std::vector<float>& values) {
    for (size_t begin = 0; begin < times.size(); begin += kEntries) {
      const auto from = static_cast<std::ptrdiff_t>(begin);
      const auto to = static_cast<std::ptrdiff_t>(std::min(times.size(), begin + kEntries));
      v1::GetActivationsResponse message;
      message.mutable_start_times()->Assign(times.begin() + from, times.begin() + to);
      message.mutable_values()->Assign(values.begin() + from, values.begin() + to);
      if (f.latent == jobs::kAllLatents) {
        message.mutable_latents()->Assign(latents.begin() + from, latents.begin() + to);
      }
      if (!StillWanted().ok() || !stream.Write(message)) return false;
      moving.Moved();
    }
    return true;
  };
  const absl::Status sent =
      jobs::StreamActivations(context.stores, *model, dictionary, f.latent, kind, sink);
  SAED_RETURN_IF_ERROR(StillWanted());
  return sent;
}

absl::Status DeleteDictionary(Context& context, const Caller&,
                              const v1::DeleteDictionaryRequest& request,
                              v1::DeleteDictionaryResponse&) {
  SAED_ASSIGN_OR_RETURN(const std::string id, IdOf(request.name(), "dictionaries", "name"));
  return context.stores.dictionaries.Delete(id);
}

}  // namespace

void AddFeatureMethods(Methods& methods) {
  methods.Add(GetDictionary);
  methods.Add(ListDictionaries);
  methods.Add(DeleteDictionary);
  methods.Add(ListFeatures);
  methods.Add(PoolCondition);
  methods.Add(GetFeature);
  methods.Add(GetActivations);
}

}  // namespace saed::rpc
