// Specs as JSON, the form in which they are stored and shown. Parsing is for what saed itself
// wrote: unknown keys are ignored, missing ones keep their defaults.
#pragma once

#include <nlohmann/json.hpp>

#include "server/sae/evaluate.h"
#include "server/sae/spec.h"

namespace saed::sae {

NLOHMANN_JSON_SERIALIZE_ENUM(Selection, {{Selection::kBatchTopK, "batch_topk"},
                                         {Selection::kTopK, "topk"},
                                         {Selection::kRelu, "relu"},
                                         {Selection::kJumpRelu, "jumprelu"},
                                         {Selection::kGated, "gated"}})
NLOHMANN_JSON_SERIALIZE_ENUM(Revival, {{Revival::kAuxK, "auxk"},
                                       {Revival::kNldisco, "nldisco"},
                                       {Revival::kResample, "resample"},
                                       {Revival::kNone, "none"}})
NLOHMANN_JSON_SERIALIZE_ENUM(OptimiserKind, {{OptimiserKind::kAdam, "adam"},
                                             {OptimiserKind::kAdamW, "adamw"},
                                             {OptimiserKind::kMomentum, "momentum"}})
NLOHMANN_JSON_SERIALIZE_ENUM(Loss, {{Loss::kMse, "mse"},
                                    {Loss::kMsle, "msle"},
                                    {Loss::kPoisson, "poisson"}})
NLOHMANN_JSON_SERIALIZE_ENUM(Output, {{Output::kIdentity, "identity"},
                                      {Output::kRelu, "relu"},
                                      {Output::kSoftplus, "softplus"}})
NLOHMANN_JSON_SERIALIZE_ENUM(DecoderStart, {{DecoderStart::kTied, "tied"},
                                            {DecoderStart::kIndependent, "independent"}})
NLOHMANN_JSON_SERIALIZE_ENUM(BiasStart, {{BiasStart::kMean, "mean"},
                                         {BiasStart::kZero, "zero"},
                                         {BiasStart::kGeometricMedian, "geometric_median"}})
NLOHMANN_JSON_SERIALIZE_ENUM(ScheduleKind, {{ScheduleKind::kWarmupHold, "warmup_hold"},
                                            {ScheduleKind::kConstant, "constant"},
                                            {ScheduleKind::kLinear, "linear"},
                                            {ScheduleKind::kCosine, "cosine"}})

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Level, features, k, weight)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(AuxK, weight, k, dead_after_steps, pre_activation,
                                                through_output)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Resampling, every_steps, until_fraction)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Penalty, weight, warmup_fraction, final_p,
                                                anneal_start, bandwidth, threshold)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(ModelSpec, selection, levels, loss, output,
                                                decoder_start, bias_start, revival, aux, resampling,
                                                penalty, k_anneal_fraction, subtract_bias)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Schedule, kind, warmup_fraction, hold_fraction,
                                                final_fraction)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Optimiser, kind, learning_rate, beta1, beta2,
                                                epsilon, weight_decay, clip_norm, average, schedule)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(FitSpec, model, optimiser, batch_size, epochs,
                                                max_steps, seed, hidden_inputs)

}  // namespace saed::sae

namespace saed {

// null where empty.
inline nlohmann::json OptionalJson(const std::optional<double>& value) {
  return value ? nlohmann::json(*value) : nlohmann::json(nullptr);
}
inline std::optional<double> OptionalNumber(const nlohmann::json& object, const char* key) {
  const auto it = object.find(key);
  if (it == object.end() || !it->is_number()) return std::nullopt;
  return it->get<double>();
}

// A number that must be there; `otherwise` where it is missing or was not finite when written.
inline double NumberOr(const nlohmann::json& object, const char* key, double otherwise = 0) {
  return OptionalNumber(object, key).value_or(otherwise);
}

nlohmann::json ToJson(const sae::Evaluation& evaluation);

}  // namespace saed
