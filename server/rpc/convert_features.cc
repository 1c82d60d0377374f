// Stored dictionaries and features as messages.
#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/inference/spec_json.h"
#include "server/jobs/details_json.h"
#include "server/jobs/spec.h"
#include "server/rpc/convert.h"

namespace saed::rpc {

using nlohmann::json;

namespace {

void AddControls(const storage::DictionaryRow& row, v1::Dictionary& out) {
  for (const features::NegativeControl& n : jobs::ParseControls(row.details)) {
    auto* m = out.add_controls();
    m->set_family(n.family);
    m->set_labels(n.labels);
    if (n.mean_auroc) m->set_mean_auroc(*n.mean_auroc);
    if (n.highest_auroc) m->set_highest_auroc(*n.highest_auroc);
    m->set_pairs(n.pairs);
    m->set_called(n.called);
  }
}

}  // namespace

v1::Dictionary ToProto(const storage::DictionaryRow& row) {
  v1::Dictionary m;
  m.set_name("dictionaries/" + row.id);
  m.set_model("models/" + row.model_id);
  m.set_recording("recordings/" + row.recording_id);
  *m.mutable_create_time() = Timestamp(row.created_at);
  m.set_feature_count(row.features);
  m.set_train_windows(row.train_windows);
  m.set_test_windows(row.test_windows);
  v1::Spectra spectra = SpectraOf(row);
  if (spectra.segments() > 0) *m.mutable_spectra() = std::move(spectra);
  AddPlaces(row.details, m);
  const json warnings = json::parse(row.warnings, nullptr, false);
  for (const json& w : warnings) m.add_warnings(w.get<std::string>());
  AddControls(row, m);
  return m;
}

void AddScope(const storage::ConditionRow& row, v1::DictionaryCondition& out) {
  const jobs::Asked asked = jobs::ParseAsked(row.details);
  out.set_train_asked(asked.train);
  out.set_test_asked(asked.test);
  const auto condition = jobs::ParseCondition(row.spec);
  if (condition.ok()) out.set_family(condition->family);
}

v1::EvidenceKind EvidenceKindOf(std::string_view name) {
  for (size_t i = 0; i < std::size(sae::kEvidenceKinds); ++i) {
    if (sae::Name(sae::kEvidenceKinds[i]) == name) return static_cast<v1::EvidenceKind>(i + 1);
  }
  return v1::EVIDENCE_KIND_UNSPECIFIED;
}

void AddBaselines(const storage::ConditionRow& row, v1::DictionaryCondition& out) {
  const features::Baselines b = jobs::ParseBaselines(row.details);
  if (b.logistic_counts) out.set_logistic_counts_test_auroc(*b.logistic_counts);
  if (b.logistic_latents) out.set_logistic_latents_test_auroc(*b.logistic_latents);
  if (b.pca) out.set_pca_test_auroc(*b.pca);
  if (b.ica) out.set_ica_test_auroc(*b.ica);
  if (b.latents_by) out.set_logistic_latents_evidence(EvidenceKindOf(sae::Name(*b.latents_by)));
}

absl::StatusOr<sae::EvidenceKind> EvidenceFrom(v1::EvidenceKind kind, const std::string& field,
                                               const std::string& id, const sae::Model& model) {
  if (kind <= v1::EVIDENCE_KIND_UNSPECIFIED || !v1::EvidenceKind_IsValid(kind)) {
    return InvalidField(
        field, fmt::format("is {}; must be one of EvidenceKind, 1 to {}", static_cast<int>(kind),
                           static_cast<int>(v1::EvidenceKind_MAX)));
  }
  if (model.paired()) {
    return InvalidField(field, fmt::format("cannot be had of models/{}: it predicts a paired "
                                           "population, whose counts are not at hand",
                                           id));
  }
  const auto out = sae::kEvidenceKinds[kind - 1];
  SAED_RETURN_IF_ERROR(sae::HasEvidence(model, out));
  return out;
}

v1::Scores ToProto(const storage::ScoreRow& row) {
  v1::Scores m;
  if (row.coverage) m.set_coverage(*row.coverage);
  if (row.specificity) m.set_specificity(*row.specificity);
  if (row.selectivity) m.set_selectivity(*row.selectivity);
  if (row.precision) m.set_precision(*row.precision);
  if (row.prevalence) m.set_prevalence(*row.prevalence);
  if (row.auroc) m.set_auroc(*row.auroc);
  return m;
}

v1::Feature ToProto(const std::string& dictionary_id, const storage::FeatureRow& row,
                    const std::string& best_condition) {
  v1::Feature m;
  m.set_name(fmt::format("dictionaries/{}/features/{}", dictionary_id, row.latent));
  m.set_latent(row.latent);
  m.set_density(row.density);
  m.set_mean_activation(row.mean_activation);
  m.set_max_activation(row.max_activation);
  m.set_active_windows(row.active_windows);
  const json details = json::parse(row.details, nullptr, false);
  if (details.is_object()) {
    for (const json& u : details.value("top_units", json::array())) {
      auto* unit = m.add_top_units();
      unit->set_unit_id(u.value("unit_id", int64_t{0}));
      unit->set_drive(NumberOr(u, "drive"));
      unit->set_share(NumberOr(u, "share"));
    }
  }
  if (row.best_condition) m.set_best_condition(best_condition);
  if (row.best_train_auroc) m.set_best_train_auroc(*row.best_train_auroc);
  if (row.best_test_auroc) m.set_best_test_auroc(*row.best_test_auroc);
  if (row.importance) m.set_importance(*row.importance);
  return m;
}

v1::Feature ToProto(const storage::ListedFeature& row) {
  v1::Feature m = ToProto(row.dictionary_id, row.feature, row.best_condition_name);
  m.set_label(row.label);
  m.mutable_tags()->Assign(row.tags.begin(), row.tags.end());
  return m;
}

v1::Annotation ToProto(const std::string& dictionary_id, const storage::AnnotationRow& row) {
  v1::Annotation m;
  m.set_name(
      fmt::format("dictionaries/{}/features/{}/annotations/{}", dictionary_id, row.latent, row.id));
  m.set_kind(row.kind == "label" ? v1::Annotation::KIND_LABEL
             : row.kind == "tag" ? v1::Annotation::KIND_TAG
                                 : v1::Annotation::KIND_NOTE);
  m.set_text(row.text);
  m.set_author(row.author);
  *m.mutable_create_time() = Timestamp(row.created_at);
  if (row.deleted_at) *m.mutable_delete_time() = Timestamp(*row.deleted_at);
  m.set_deleter(row.deleted_by);
  return m;
}

v1::Variable ToProto(const storage::VariableRow& row) {
  v1::Variable m;
  m.set_name(row.name);
  const json details = json::parse(row.details, nullptr, false);
  if (details.is_object()) {
    for (const json& e : details.value("edges", json::array())) {
      m.add_edges(e.is_number() ? e.get<double>() : std::numeric_limits<double>::quiet_NaN());
    }
    for (const json& n : details.value("train_occupancy", json::array())) {
      m.add_train_occupancy(n.get<int64_t>());
    }
    for (const json& n : details.value("test_occupancy", json::array())) {
      m.add_test_occupancy(n.get<int64_t>());
    }
    m.set_circular(details.value("circular", false));
    m.set_train_windows(details.value("train_windows", int64_t{0}));
    m.set_test_windows(details.value("test_windows", int64_t{0}));
  }
  if (row.best_unit) m.set_best_unit_id(*row.best_unit);
  if (row.best_unit_train) m.set_best_unit_train_spearman(*row.best_unit_train);
  if (row.best_unit_test) m.set_best_unit_test_spearman(*row.best_unit_test);
  return m;
}

v1::Tuning ToProto(const storage::TuningRow& row, const std::string& variable) {
  v1::Tuning m;
  m.set_variable(variable);
  if (row.train_spearman) m.set_train_spearman(*row.train_spearman);
  if (row.test_spearman) m.set_test_spearman(*row.test_spearman);
  if (row.train_information) m.set_train_information(*row.train_information);
  if (row.test_information) m.set_test_information(*row.test_information);
  if (row.p_value) m.set_p_value(*row.p_value);
  if (row.q_value) m.set_q_value(*row.q_value);
  const auto half = static_cast<int64_t>(row.curves.size() / 2);
  m.mutable_train_curve()->Assign(row.curves.begin(), row.curves.begin() + half);
  m.mutable_test_curve()->Assign(row.curves.begin() + half, row.curves.end());
  const json details = json::parse(row.details, nullptr, false);
  if (!details.is_object()) return m;
  m.set_evidence(EvidenceKindOf(details.value("evidence", "")));
  const json code = details.value("code", json::array());
  if (code.size() == 2 && code[0].is_number()) m.set_code_train_spearman(code[0].get<double>());
  if (code.size() == 2 && code[1].is_number()) m.set_code_test_spearman(code[1].get<double>());
  return m;
}

v1::Response ToProto(const storage::ResponseRow& row, const std::string& condition,
                     const storage::AssociationRow* judged, double bin_width) {
  v1::Response m;
  m.set_condition(condition);
  if (judged != nullptr) {
    m.set_evidence(EvidenceKindOf(judged->evidence));
    m.set_falls(judged->falls);
  }
  m.set_events(row.events);
  m.set_peak_latency(row.latency);
  const auto half = static_cast<int64_t>(row.curves.size() / 2);
  m.mutable_mean()->Assign(row.curves.begin(), row.curves.begin() + half);
  m.mutable_sem()->Assign(row.curves.begin() + half, row.curves.end());
  for (int64_t lag = 0; lag < half; ++lag) {
    m.add_lags(static_cast<double>(lag - row.before) * bin_width);
  }
  return m;
}

v1::Spectra SpectraOf(const storage::DictionaryRow& row) {
  v1::Spectra m;
  const json s = json::parse(row.spectra, nullptr, false);
  if (!s.is_object() || !s.contains("segments")) return m;
  m.set_segments(s.value("segments", int64_t{0}));
  const double step = 1 / (s.value("segment_bins", 1.0) * s.value("bin_width", 1.0));
  for (const json& v : s.at("target")) {
    m.add_frequencies(m.target_size() * step);
    m.add_target(v.get<double>());
  }
  for (const json& v : s.at("output")) m.add_reconstruction(v.get<double>());
  for (const json& v : s.at("relative_error")) {
    m.add_relative_error(v.is_number() ? v.get<double>() : std::nan(""));
  }
  return m;
}

}  // namespace saed::rpc
