// InferenceService: encoding new activity.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "saed/v1/inference.pb.h"
#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/jobs/set_json.h"
#include "server/rpc/convert.h"
#include "server/rpc/methods.h"
#include "server/rpc/names.h"

namespace saed::rpc {
namespace {

// The model, or why it cannot encode: a job may still be training it.
absl::StatusOr<std::shared_ptr<const inference::LoadedModel>> Ready(Context& context,
                                                                    const std::string& id) {
  auto loaded = context.engine.Get(id);
  if (!absl::IsNotFound(loaded.status())) return loaded;
  const auto job = context.stores.jobs.Get(id);
  if (!job.ok() || job->kind != "train" || job->state == "SUCCEEDED") return loaded;
  return WithReason(absl::FailedPreconditionError(
                        fmt::format("models/{0} is not ready: jobs/{0} is {1}{2}", id, job->state,
                                    job->finished() ? "" : "; wait for it with WatchJob")),
                    "MODEL_NOT_READY");
}

// What evidence is asked for, checked against the model.
absl::Status CheckEvidence(const v1::EvidenceRequest& request, const std::string& id,
                           const sae::Model& model, inference::EncodeRequest& out) {
  SAED_ASSIGN_OR_RETURN(const sae::EvidenceKind kind,
                        EvidenceFrom(request.kind(), "evidence.kind", id, model));
  std::vector<bool> seen(model.spec.features());
  for (int i = 0; i < request.latents_size(); ++i) {
    const int32_t j = request.latents(i);
    const std::string field = fmt::format("evidence.latents[{}]", i);
    if (j < 0 || j >= model.spec.features()) {
      return InvalidField(field, fmt::format("is {}; models/{} has latents 0 to {}", j, id,
                                             model.spec.features() - 1));
    }
    if (seen[j]) return InvalidField(field, fmt::format("is {} for a second time", j));
    seen[j] = true;
  }
  out.evidence = kind;
  out.evidence_latents.assign(request.latents().begin(), request.latents().end());
  return absl::OkStatus();
}

constexpr int kMostSets = 1000;

// The members of a dictionary's set, as the engine takes them.
absl::StatusOr<inference::Set> SetOf(const std::vector<storage::ConditionRow>& conditions,
                                     const ConditionName& name, const std::string& field) {
  const auto row = std::find_if(conditions.begin(), conditions.end(),
                                [&](const auto& c) { return c.name == name.condition; });
  if (row == conditions.end()) {
    return InvalidField(field,
                        fmt::format("names the condition '{}', which dictionaries/{} does not have",
                                    name.condition, name.dictionary));
  }
  const auto set = jobs::ParseFeatureSet(row->feature_set);
  if (!set) {
    return InvalidField(field,
                        fmt::format("names the condition '{}', for which dictionaries/{} has "
                                    "no set of features; ask one whose "
                                    "DictionaryCondition.set is there",
                                    name.condition, name.dictionary));
  }
  inference::Set out;
  for (const auto& m : set->members) {
    out.push_back({m.kind, m.latent, m.mean, m.sd, m.weight});
  }
  return out;
}

// Which sets are asked for, checked against the model.
absl::Status CheckSets(Context& context, const v1::EncodeRequest& request, const std::string& id,
                       const sae::Model& model, inference::EncodeRequest& out) {
  if (request.sets_size() > kMostSets) {
    return InvalidField(
        "sets", fmt::format("has {} names; must have {} at most", request.sets_size(), kMostSets));
  }
  std::map<std::string, std::vector<storage::ConditionRow>> conditions;
  for (int i = 0; i < request.sets_size(); ++i) {
    const std::string field = fmt::format("sets[{}]", i);
    SAED_ASSIGN_OR_RETURN(const ConditionName name, ParseConditionName(request.sets(i), field));
    if (!conditions.count(name.dictionary)) {
      SAED_ASSIGN_OR_RETURN(const auto row, context.stores.dictionaries.Get(name.dictionary));
      if (row.model_id != id) {
        return InvalidField(field, fmt::format("is of models/{}; must be of a dictionary of "
                                               "models/{}, which encodes",
                                               row.model_id, id));
      }
      SAED_ASSIGN_OR_RETURN(conditions[name.dictionary],
                            context.stores.dictionaries.Conditions(name.dictionary));
    }
    SAED_ASSIGN_OR_RETURN(auto set, SetOf(conditions[name.dictionary], name, field));
    const bool evidence =
        std::any_of(set.begin(), set.end(), [](const auto& m) { return m.kind.has_value(); });
    if (evidence && model.paired()) {
      return InvalidField(field, fmt::format("cannot be scored: models/{} predicts a paired "
                                             "population, whose counts are not at hand",
                                             id));
    }
    out.sets.push_back(std::move(set));
  }
  return absl::OkStatus();
}

absl::Status Encode(Context& context, const Caller&, const v1::EncodeRequest& request,
                    v1::EncodeResponse& response) {
  SAED_ASSIGN_OR_RETURN(const std::string id, IdOf(request.model(), "models", "model"));
  SAED_ASSIGN_OR_RETURN(const auto loaded, Ready(context, id));
  const sae::Model& model = loaded->model;
  // First, so that a wrong shape does not tell whether a dictionary is there.
  inference::EncodeRequest encode;
  SAED_RETURN_IF_ERROR(CheckSets(context, request, id, model, encode));
  SAED_ASSIGN_OR_RETURN(CountView counts, FromProto(request.counts(), "counts"));
  const int64_t windows = counts.bins;
  if (counts.units != model.inputs()) {
    return InvalidField(
        "counts.shape",
        fmt::format("has {} values per window; models/{} takes {} bins x {} units = "
                    "{}",
                    counts.units, id, model.S, model.units, model.inputs()));
  }
  if (windows > inference::kMaxEncodeWindows) {
    return InvalidField("counts.shape",
                        fmt::format("has {} windows; at most {} are encoded in one call", windows,
                                    inference::kMaxEncodeWindows));
  }
  if (!v1::CodeRule_IsValid(request.rule())) {
    return InvalidField("rule",
                        fmt::format("has the unknown value {}", static_cast<int>(request.rule())));
  }
  // A latent index and a value per entry, twice while the answer is made; architectures without a
  // k of their own have more entries where they were trained to.
  const int64_t entries = model.spec.k() > 0 ? 2 * model.spec.k() : model.spec.features() / 4;
  int64_t values = request.reconstruct() ? model.outputs() : 0, weights = 0;
  if (request.has_evidence()) {
    SAED_RETURN_IF_ERROR(CheckEvidence(request.evidence(), id, model, encode));
    const int64_t latents = encode.evidence_latents.empty()
                                ? int64_t{model.spec.features()}
                                : static_cast<int64_t>(encode.evidence_latents.size());
    values += latents;
    weights = latents * model.outputs();
  }
  for (const inference::Set& set : encode.sets) {
    values += static_cast<int64_t>(set.size()) + 1;
    weights += static_cast<int64_t>(set.size()) * model.outputs();
  }
  SAED_ASSIGN_OR_RETURN(const auto memory, context.gate.memory().Take(
                                               16 * windows * (entries + values) + 12 * weights));
  encode.counts = {counts.data, counts.dtype, windows * model.S, model.units};
  encode.use_rule = request.rule() != v1::CODE_RULE_UNSPECIFIED;
  encode.rule =
      request.rule() == v1::CODE_RULE_TOP_K ? sae::CodeRule::kTopK : sae::CodeRule::kThreshold;
  encode.reconstruct = request.reconstruct();
  const double start = context.clock.MonotonicSeconds();
  const inference::EncodeResult result = context.engine.Encode(*loaded, encode);
  context.metrics.Encoded(windows, context.clock.MonotonicSeconds() - start);
  auto* codes = response.mutable_codes();
  codes->mutable_row_offsets()->Assign(result.codes.row_begin.begin(),
                                       result.codes.row_begin.end());
  codes->mutable_indices()->Assign(result.codes.latent.begin(), result.codes.latent.end());
  codes->mutable_values()->Assign(result.codes.value.begin(), result.codes.value.end());
  if (request.reconstruct()) {
    *response.mutable_reconstruction() =
        FloatTensor(result.reconstruction, {windows, model.S, model.output_units()});
  }
  if (encode.evidence) {
    const auto latents =
        static_cast<int64_t>(result.evidence.size()) / std::max<int64_t>(1, windows);
    *response.mutable_evidence() = FloatTensor(result.evidence, {windows, latents});
  }
  if (!encode.sets.empty()) {
    *response.mutable_set_scores() =
        FloatTensor(result.set_scores, {windows, static_cast<int64_t>(encode.sets.size())});
  }
  return absl::OkStatus();
}

}  // namespace

void AddInferenceMethods(Methods& methods) { methods.Add(Encode); }

}  // namespace saed::rpc
