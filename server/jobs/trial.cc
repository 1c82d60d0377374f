#include "server/jobs/trial.h"

#include <algorithm>
#include <cmath>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/features/chosen.h"
#include "server/jobs/submit.h"
#include "server/jobs/sweep_spec.h"
#include "server/jobs/train_loop.h"
#include "server/recordings/split.h"
#include "server/sae/evaluate.h"

namespace saed::jobs {
namespace {

absl::StatusOr<double> Value(const Objective& objective, const TrialResult& result) {
  const double excess =
      objective.l0_target > 0 ? std::max(0.0, result.l0 / objective.l0_target - 1) : 0;
  std::optional<double> value;
  switch (objective.kind) {
    case ObjectiveKind::kError:
      value = result.error;
      break;
    case ObjectiveKind::kExplainedVariance:
      if (result.explained_variance) value = *result.explained_variance - excess;
      break;
    case ObjectiveKind::kBitsPerSpike:
      if (result.bits_per_spike) value = *result.bits_per_spike - excess;
      break;
    case ObjectiveKind::kAuroc:
      value = result.auroc;
      break;
  }
  if (value && std::isfinite(*value)) return *value;
  return absl::FailedPreconditionError(
      "the objective is undefined for this trial: explained variance needs an output that varies, "
      "bits per spike needs counts and a reconstruction that is never negative, AUROC a condition "
      "that holds in some validation windows and not in all");
}

}  // namespace

absl::StatusOr<Outcome> RunTrial(const RunContext& context, const storage::JobRow& job,
                                 tbb::task_arena& arena) {
  Reporter reporter(context, job);
  reporter.Stage("loading");
  SAED_ASSIGN_OR_RETURN(const TrialSpec spec, ParseTrialSpec(job.spec));
  SAED_ASSIGN_OR_RETURN(const auto recording, LoadRecording(context.stores, job.recording_id));
  SAED_ASSIGN_OR_RETURN(auto view, InputOf(context.stores, spec.train, recording));
  SAED_ASSIGN_OR_RETURN(
      const std::vector<int64_t> validation,
      recordings::TakeValidation(spec.validation_fraction, spec.train.view.normaliser, view));
  SAED_ASSIGN_OR_RETURN(const auto target, TargetOf(context.stores, spec.train, recording, view));
  const auto trainer = MakeTrainer(spec.train, view, target, arena);
  const bool last = job.rung >= spec.rungs.count - 1;
  const auto total = static_cast<double>(trainer->total_steps());
  const auto until =
      last ? trainer->total_steps()
           : static_cast<int64_t>(std::max(1.0, std::ceil(total * spec.rungs.Fraction(job.rung))));
  SAED_RETURN_IF_ERROR(Train(context, job, arena, until, *trainer, reporter));
  SAED_ASSIGN_OR_RETURN(const sae::Model model,
                        CalibratedModel(spec.train, view, target, arena, *trainer, reporter));

  const features::Progress go_on = reporter.Stage("evaluating");
  const sae::Encoder encoder(model);
  const CountView output = target ? target->counts() : view.counts();
  absl::StatusOr<sae::Evaluation> evaluation;
  absl::StatusOr<std::optional<double>> auroc = std::optional<double>();
  arena.execute([&] {
    const auto mean =
        sae::MeanTarget(output, model.output_normaliser(), view.scored_train(), view.window);
    evaluation = sae::EvaluateModel(encoder, view.counts(), output, validation, mean,
                                    [&] { return go_on(0); });
    if (spec.objective.kind == ObjectiveKind::kAuroc) {
      auroc = features::ChosenAuroc(encoder, recording, view, output, spec.objective.condition,
                                    view.scored_train(), validation, go_on);
    }
  });
  SAED_RETURN_IF_ERROR(evaluation.status());
  SAED_RETURN_IF_ERROR(auroc.status());
  TrialResult result;
  result.step = trainer->step();
  result.error = evaluation->mse;
  result.l0 = evaluation->l0;
  result.dead_fraction = evaluation->dead_fraction;
  result.explained_variance = evaluation->explained_variance;
  result.bits_per_spike = evaluation->bits_per_spike;
  result.auroc = *auroc;
  SAED_ASSIGN_OR_RETURN(result.value, Value(spec.objective, result));
  SAED_RETURN_IF_ERROR(
      context.stores.sweeps.Record({job.id, job.rung, ToJson(result).dump()}, AttemptOf(job)));
  ProgressReport report;
  report.stage = last ? "finished" : "waiting";
  report.fraction = 1;
  reporter.Report(report, true);
  return last ? Outcome::kDone : Outcome::kPaused;
}

}  // namespace saed::jobs
