#include "server/sae/spec.h"

#include <fmt/format.h>

#include <cmath>

#include "server/base/faults.h"

namespace saed::sae {
namespace {

void CheckLevels(const ModelSpec& model, Faults& faults) {
  if (model.levels.empty() || model.levels.size() > kMaxLevels) {
    faults.Add("model.levels", fmt::format("has {} entries; give 1 to {}, each with features and k",
                                           model.levels.size(), kMaxLevels));
  }
  int previous = 0;
  for (size_t i = 0; i < model.levels.size(); ++i) {
    const Level& level = model.levels[i];
    const std::string at = fmt::format("model.levels[{}]", i);
    if (level.features < 1 || level.features > kMaxFeatures) {
      faults.Add(at + ".features",
                 fmt::format("is {}; must be 1 to {}", level.features, kMaxFeatures));
    } else if (level.features <= previous) {
      faults.Add(
          at + ".features",
          fmt::format("is {} after {}; levels must be sorted and each larger than the one before",
                      level.features, previous));
    }
    if (level.k < 1 || level.k > level.features) {
      faults.Add(at + ".k", fmt::format("is {}; must be 1 to the level's features ({})", level.k,
                                        level.features));
    }
    if (!(level.weight > 0) || !std::isfinite(level.weight)) {
      faults.Add(at + ".weight", fmt::format("is {}; must be finite and > 0", level.weight));
    }
    previous = level.features;
  }
}

void CheckLoss(const ModelSpec& model, bool signed_target, Faults& faults) {
  const auto needs = [&](std::string_view what) {
    faults.Add("model.output", fmt::format("is {} with the loss {}; must be {}", Name(model.output),
                                           Name(model.loss), what));
  };
  if (model.loss == Loss::kMsle && model.output == Output::kIdentity) needs("relu or softplus");
  if (model.loss == Loss::kPoisson && model.output != Output::kSoftplus) needs("softplus");
  if (signed_target && model.loss != Loss::kMse) {
    faults.Add("model.loss",
               fmt::format("is {} but the target has negative values (z-scored or signed input); "
                           "use mse with output identity, or normaliser none or minmax",
                           Name(model.loss)));
  } else if (signed_target && model.output != Output::kIdentity) {
    faults.Add(
        "model.output",
        fmt::format(
            "is {} but the target has negative values (z-scored or signed input); use identity",
            Name(model.output)));
  }
  const bool chooses_k =
      model.selection == Selection::kTopK || model.selection == Selection::kBatchTopK;
  if (!chooses_k && model.levels.size() > 1) {
    faults.Add("model.levels", fmt::format("has {} entries; Matryoshka levels need the selection "
                                           "topk or batch_topk, {} takes one level",
                                           model.levels.size(), Name(model.selection)));
  }
  if (!(model.aux.weight >= 0) || !std::isfinite(model.aux.weight)) {
    faults.Add("model.aux.weight", fmt::format("is {}; must be finite and >= 0", model.aux.weight));
  }
  if (model.aux.weight > 0 && model.aux.k < 1) {
    faults.Add("model.aux.k", fmt::format("is {}; must be at least 1", model.aux.k));
  }
  if (model.aux.dead_after_steps < 0) {
    faults.Add("model.aux.dead_after_steps",
               fmt::format("is {}; must be at least 1, or 0 for a twentieth of all steps",
                           model.aux.dead_after_steps));
  }
}

void CheckPenalty(const ModelSpec& model, Faults& faults) {
  const auto need = [&](bool good, const char* field, double value, const char* right) {
    if (!good) {
      faults.Add(fmt::format("model.{}", field), fmt::format("is {}; must be {}", value, right));
    }
  };
  const auto fraction = [](double v) { return v >= 0 && v <= 1; };
  const Penalty& p = model.penalty;
  need(p.weight >= 0 && std::isfinite(p.weight), "penalty.weight", p.weight,
       "0 (adjusted to the level's k) or above");
  need(fraction(p.warmup_fraction), "penalty.warmup_fraction", p.warmup_fraction, "in [0, 1]");
  need(p.final_p > 0 && p.final_p <= 1, "penalty.final_p", p.final_p, "in (0, 1]");
  need(fraction(p.anneal_start), "penalty.anneal_start", p.anneal_start, "in [0, 1]");
  need(fraction(model.k_anneal_fraction), "k_anneal_fraction", model.k_anneal_fraction,
       "in [0, 1]");
  need(model.k_anneal_fraction == 0 || model.selection == Selection::kTopK ||
           model.selection == Selection::kBatchTopK,
       "k_anneal_fraction", model.k_anneal_fraction,
       "0 unless the selection is topk or batch_topk");
  need(p.bandwidth > 0 && std::isfinite(p.bandwidth), "penalty.bandwidth", p.bandwidth, "above 0");
  need(p.threshold > 0 && std::isfinite(p.threshold), "penalty.threshold", p.threshold, "above 0");
  need(model.resampling.every_steps >= 1, "resampling.every_steps", model.resampling.every_steps,
       "at least 1");
  need(fraction(model.resampling.until_fraction), "resampling.until_fraction",
       model.resampling.until_fraction, "in [0, 1]");
}

void CheckOptimiser(const Optimiser& opt, Faults& faults) {
  const auto range = [&](std::string_view field, double value, double low, double high,
                         bool low_open, bool high_open) {
    const bool inside = std::isfinite(value) && (low_open ? value > low : value >= low) &&
                        (high_open ? value < high : value <= high);
    if (inside) return;
    faults.Add(fmt::format("optimiser.{}", field),
               fmt::format("is {}; must be in {}{}, {}{}", value, low_open ? "(" : "[", low, high,
                           high_open ? ")" : "]"));
  };
  range("learning_rate", opt.learning_rate, 0, 10, true, false);
  range("beta1", opt.beta1, 0, 1, false, true);
  range("beta2", opt.beta2, 0, 1, false, true);
  range("epsilon", opt.epsilon, 0, 1, true, false);
  range("weight_decay", opt.weight_decay, 0, 10, false, false);
  range("clip_norm", opt.clip_norm, 0, 1e30, false, false);
  range("average", opt.average, 0, 1, false, true);
  range("schedule.warmup_fraction", opt.schedule.warmup_fraction, 0, 1, false, false);
  range("schedule.hold_fraction", opt.schedule.hold_fraction, 0, 1, false, false);
  range("schedule.final_fraction", opt.schedule.final_fraction, 0, 1, false, false);
}

}  // namespace

absl::Status Validate(const FitSpec& spec, bool signed_target) {
  Faults faults;
  CheckLevels(spec.model, faults);
  CheckLoss(spec.model, signed_target, faults);
  CheckPenalty(spec.model, faults);
  CheckOptimiser(spec.optimiser, faults);
  if (spec.batch_size < 1 || spec.batch_size > kMaxBatch) {
    faults.Add("batch_size", fmt::format("is {}; must be 1 to {}", spec.batch_size, kMaxBatch));
  }
  if (spec.epochs < 1 || spec.epochs > kMaxEpochs) {
    faults.Add("epochs", fmt::format("is {}; must be 1 to {}", spec.epochs, kMaxEpochs));
  }
  if (spec.max_steps < 0 || spec.max_steps > kMaxSteps) {
    faults.Add("max_steps", fmt::format("is {}; must be 0 to {}", spec.max_steps, kMaxSteps));
  }
  if (!(spec.hidden_inputs >= 0 && spec.hidden_inputs <= kMostHidden)) {
    faults.Add("hidden_inputs", fmt::format("is {}; must be a fraction in [0, {}]",
                                            spec.hidden_inputs, kMostHidden));
  }
  return faults.ToStatus();
}

std::string_view Name(Selection value) {
  switch (value) {
    case Selection::kTopK:
      return "topk";
    case Selection::kBatchTopK:
      return "batch_topk";
    case Selection::kRelu:
      return "relu";
    case Selection::kJumpRelu:
      return "jumprelu";
    case Selection::kGated:
      return "gated";
  }
  return "unknown";
}

std::string_view Name(Revival value) {
  switch (value) {
    case Revival::kAuxK:
      return "auxk";
    case Revival::kNldisco:
      return "nldisco";
    case Revival::kResample:
      return "resample";
    case Revival::kNone:
      return "none";
  }
  return "unknown";
}

std::string_view Name(Loss value) {
  switch (value) {
    case Loss::kMse:
      return "mse";
    case Loss::kMsle:
      return "msle";
    case Loss::kPoisson:
      return "poisson";
  }
  return "unknown";
}

std::string_view Name(Output value) {
  switch (value) {
    case Output::kIdentity:
      return "identity";
    case Output::kRelu:
      return "relu";
    case Output::kSoftplus:
      return "softplus";
  }
  return "unknown";
}

}  // namespace saed::sae
