#include "server/jobs/spec.h"

#include <fmt/format.h>

#include "server/base/status_macros.h"
#include "server/features/expression.h"
#include "server/inference/spec_json.h"

namespace saed::recordings {

NLOHMANN_JSON_SERIALIZE_ENUM(NormaliserKind, {{NormaliserKind::kNone, "none"},
                                              {NormaliserKind::kZscore, "zscore"},
                                              {NormaliserKind::kMinmax, "minmax"}})
NLOHMANN_JSON_SERIALIZE_ENUM(SplitKind, {{SplitKind::kChronological, "chronological"},
                                         {SplitKind::kColumn, "column"},
                                         {SplitKind::kInSample, "in_sample"},
                                         {SplitKind::kTrials, "trials"},
                                         {SplitKind::kTime, "time"},
                                         {SplitKind::kLeftOut, "left_out"}})
NLOHMANN_JSON_SERIALIZE_ENUM(TrialOrder, {{TrialOrder::kInterleaved, "interleaved"},
                                          {TrialOrder::kRandom, "random"},
                                          {TrialOrder::kBlocks, "blocks"}})
NLOHMANN_JSON_SERIALIZE_ENUM(Outside,
                             {{Outside::kTrains, "trains"}, {Outside::kLeftOut, "left_out"}})

// An embargo that is left out is no entry.
template <class Split>
void PutEmbargo(const Split& split, nlohmann::json& json) {
  if (split.embargo) json["embargo"] = *split.embargo;
}
template <class Split>
void GetEmbargo(const nlohmann::json& json, Split& split) {
  if (json.contains("embargo")) split.embargo = json.at("embargo").get<double>();
}

void to_json(nlohmann::json& json, const TrialSplit& s) {
  json = {{"table", s.table}, {"filter", s.filter},     {"order", s.order},
          {"seed", s.seed},   {"held_out", s.held_out}, {"stratify", s.stratify},
          {"folds", s.folds}, {"fold", s.fold},         {"outside", s.outside}};
  PutEmbargo(s, json);
}

void from_json(const nlohmann::json& json, TrialSplit& s) {
  s.table = json.value("table", s.table);
  s.filter = json.value("filter", s.filter);
  s.order = json.value("order", s.order);
  s.seed = json.value("seed", s.seed);
  s.held_out = json.value("held_out", s.held_out);
  s.stratify = json.value("stratify", s.stratify);
  s.folds = json.value("folds", s.folds);
  s.fold = json.value("fold", s.fold);
  s.outside = json.value("outside", s.outside);
  GetEmbargo(json, s);
}

void to_json(nlohmann::json& json, const TimeSplit& s) {
  json = {{"blocks", s.blocks}, {"held_out", s.held_out}};
  PutEmbargo(s, json);
}

void from_json(const nlohmann::json& json, TimeSplit& s) {
  s.blocks = json.value("blocks", s.blocks);
  s.held_out = json.value("held_out", s.held_out);
  GetEmbargo(json, s);
}

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Split, kind, train_fraction, table, column,
                                                train_values, test_values, trials, time)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(DataView, bin_width, unit_labels, unit_ids,
                                                unit_regions, minimum_rate, start_time, stop_time,
                                                mask_table, mask_filter, segments, window, stride,
                                                normaliser, split)

}  // namespace saed::recordings

namespace saed::features {

void to_json(nlohmann::json& json, const Condition& c) {
  json = {{"name", c.name}, {"expression", c.expression}};
  if (!c.family.empty()) json["family"] = c.family;
}

void from_json(const nlohmann::json& json, Condition& c) {
  c.name = json.value("name", "");
  c.expression = json.value("expression", "");
  c.family = json.value("family", "");
  if (json.contains("expression")) return;
  // Stores of schema 2 have a table, a filter and a span.
  const std::string anchor = json.value("anchor", "whole"), filter = json.value("filter", "");
  c.expression = anchor == "whole" ? "during(" : "around_" + anchor + "(";
  c.expression += Quoted(json.value("table", ""));
  if (!filter.empty()) c.expression += ", (" + filter + ")";
  if (anchor != "whole") {
    c.expression += fmt::format(", {}, {}", json.value("from", 0.0), json.value("to", 0.0));
  }
  c.expression += ")";
}

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ConditionColumns, only, excluded)

}  // namespace saed::features

namespace saed::jobs {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Target, recording_id, unit_labels, unit_ids,
                                                unit_regions, normaliser)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(TrainSpec, recording_id, name, view, fit, choices,
                                                warnings, conditions, condition_columns, threads)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(AnalyseSpec, model_id, recording_id, name,
                                                conditions, condition_columns, threads)

namespace {

template <class T>
absl::StatusOr<T> ParseAs(const std::string& text) {
  try {
    return nlohmann::json::parse(text).get<T>();
  } catch (const nlohmann::json::exception& e) {
    return absl::DataLossError(fmt::format("a stored spec is damaged: {}", e.what()));
  }
}

}  // namespace

nlohmann::json ToJson(const TrainSpec& spec) {
  nlohmann::json out = spec;
  if (spec.target) out["target"] = *spec.target;
  return out;
}
nlohmann::json ToJson(const AnalyseSpec& spec) { return spec; }
nlohmann::json ToJson(const features::Condition& condition) { return condition; }

absl::StatusOr<TrainSpec> ParseTrainSpec(const std::string& json) {
  SAED_ASSIGN_OR_RETURN(TrainSpec spec, ParseAs<TrainSpec>(json));
  const auto parsed = nlohmann::json::parse(json);
  if (parsed.contains("target")) {
    SAED_ASSIGN_OR_RETURN(spec.target, ParseAs<Target>(parsed.at("target").dump()));
  }
  return spec;
}
absl::StatusOr<AnalyseSpec> ParseAnalyseSpec(const std::string& json) {
  return ParseAs<AnalyseSpec>(json);
}
absl::StatusOr<features::Condition> ParseCondition(const std::string& json) {
  return ParseAs<features::Condition>(json);
}

}  // namespace saed::jobs
