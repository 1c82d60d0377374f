#include "server/jobs/sweep_spec.h"

#include <fmt/format.h>

#include "server/base/status_macros.h"
#include "server/inference/spec_json.h"

namespace saed::jobs {

using nlohmann::json;

NLOHMANN_JSON_SERIALIZE_ENUM(ObjectiveKind,
                             {{ObjectiveKind::kExplainedVariance, "explained_variance"},
                              {ObjectiveKind::kError, "error"},
                              {ObjectiveKind::kBitsPerSpike, "bits_per_spike"},
                              {ObjectiveKind::kAuroc, "auroc"}})
NLOHMANN_JSON_SERIALIZE_ENUM(SearchMethod, {{SearchMethod::kTpe, "tpe"},
                                            {SearchMethod::kGrid, "grid"},
                                            {SearchMethod::kRandom, "random"}})
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Rungs, count, reduction)

namespace {

json ObjectiveJson(const Objective& o) {
  return {{"kind", o.kind}, {"l0_target", o.l0_target}, {"condition", ToJson(o.condition)}};
}

absl::StatusOr<Objective> ParseObjective(const json& j) {
  Objective out;
  out.kind = j.at("kind").get<ObjectiveKind>();
  out.l0_target = j.at("l0_target").get<double>();
  SAED_ASSIGN_OR_RETURN(out.condition, ParseCondition(j.at("condition").dump()));
  return out;
}

// Runs fn(parsed text); what it throws is damage.
template <class Fn>
auto Parsing(const std::string& text, const char* what, Fn fn) -> decltype(fn(json())) {
  try {
    return fn(json::parse(text));
  } catch (const json::exception& e) {
    return absl::DataLossError(fmt::format("a stored {} is damaged: {}", what, e.what()));
  }
}

}  // namespace

json ToJson(const SweepSpec& s) {
  json parameters = json::array();
  for (const SearchParameter& p : s.parameters) parameters.push_back(ToJson(p));
  return {{"base", ToJson(s.base)},
          {"name", s.name},
          {"parameters", parameters},
          {"method", s.method},
          {"objective", ObjectiveJson(s.objective)},
          {"trials", s.trials},
          {"seeds", s.seeds},
          {"rungs", s.rungs},
          {"parallel", s.parallel},
          {"validation_fraction", s.validation_fraction},
          {"core_seconds", s.core_seconds},
          {"seed", s.seed},
          {"train_best", s.train_best}};
}

json ToJson(const TrialSpec& s) {
  return {{"train", ToJson(s.train)},
          {"objective", ObjectiveJson(s.objective)},
          {"rungs", s.rungs},
          {"validation_fraction", s.validation_fraction}};
}

json ToJson(const TrialResult& r) {
  return {{"step", r.step},
          {"value", r.value},
          {"error", r.error},
          {"l0", r.l0},
          {"dead_fraction", r.dead_fraction},
          {"explained_variance", OptionalJson(r.explained_variance)},
          {"bits_per_spike", OptionalJson(r.bits_per_spike)},
          {"auroc", OptionalJson(r.auroc)}};
}

absl::StatusOr<SweepSpec> ParseSweepSpec(const std::string& text) {
  return Parsing(text, "sweep", [](const json& j) -> absl::StatusOr<SweepSpec> {
    SweepSpec out;
    SAED_ASSIGN_OR_RETURN(out.base, ParseTrainSpec(j.at("base").dump()));
    out.name = j.at("name").get<std::string>();
    for (const json& p : j.at("parameters")) out.parameters.push_back(ParseSearchParameter(p));
    out.method = j.at("method").get<SearchMethod>();
    SAED_ASSIGN_OR_RETURN(out.objective, ParseObjective(j.at("objective")));
    out.trials = j.at("trials").get<int>();
    out.seeds = j.at("seeds").get<int>();
    out.rungs = j.at("rungs").get<Rungs>();
    out.parallel = j.at("parallel").get<int>();
    out.validation_fraction = j.at("validation_fraction").get<double>();
    out.core_seconds = j.at("core_seconds").get<double>();
    out.seed = j.at("seed").get<uint64_t>();
    out.train_best = j.at("train_best").get<bool>();
    return out;
  });
}

absl::StatusOr<TrialSpec> ParseTrialSpec(const std::string& text) {
  return Parsing(text, "trial", [](const json& j) -> absl::StatusOr<TrialSpec> {
    TrialSpec out;
    SAED_ASSIGN_OR_RETURN(out.train, ParseTrainSpec(j.at("train").dump()));
    SAED_ASSIGN_OR_RETURN(out.objective, ParseObjective(j.at("objective")));
    out.rungs = j.at("rungs").get<Rungs>();
    out.validation_fraction = j.at("validation_fraction").get<double>();
    return out;
  });
}

absl::StatusOr<TrialResult> ParseTrialResult(const std::string& text) {
  return Parsing(text, "trial's result", [](const json& j) -> absl::StatusOr<TrialResult> {
    TrialResult out;
    out.step = j.at("step").get<int64_t>();
    out.value = j.at("value").get<double>();
    out.error = NumberOr(j, "error");
    out.l0 = NumberOr(j, "l0");
    out.dead_fraction = NumberOr(j, "dead_fraction");
    out.explained_variance = OptionalNumber(j, "explained_variance");
    out.bits_per_spike = OptionalNumber(j, "bits_per_spike");
    out.auroc = OptionalNumber(j, "auroc");
    return out;
  });
}

}  // namespace saed::jobs
