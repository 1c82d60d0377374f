#include "server/jobs/train_loop.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "server/base/status_macros.h"
#include "server/recordings/count_file.h"
#include "server/sae/evidence.h"

namespace saed::jobs {
namespace {

absl::Status Checkpoint(const RunContext& context, const storage::JobRow& job,
                        const sae::Trainer<float>& trainer) {
  const double start = context.clock.MonotonicSeconds();
  // The job's id keeps two jobs of the same spec from sharing one object.
  const std::string state = job.id + trainer.Save();
  SAED_ASSIGN_OR_RETURN(const std::string digest, context.stores.objects.Put(state));
  SAED_ASSIGN_OR_RETURN(const std::string replaced,
                        context.stores.jobs.SetCheckpoint(AttemptOf(job), digest, trainer.step()));
  if (!replaced.empty() && replaced != digest) context.stores.objects.Remove(replaced);
  context.observer.CheckpointWritten(static_cast<int64_t>(state.size()),
                                     context.clock.MonotonicSeconds() - start);
  return absl::OkStatus();
}

}  // namespace

std::unique_ptr<sae::Trainer<float>> MakeTrainer(const TrainSpec& spec,
                                                 const recordings::ViewData& view,
                                                 const std::optional<recordings::ViewData>& target,
                                                 tbb::task_arena& arena) {
  sae::TrainingData data{view.counts(), {view.offset, view.scale}, view.train, view.window};
  if (target) {
    data.target = target->counts();
    data.target_normaliser = {target->offset, target->scale};
  }
  if (view.scored) data.scored = *view.scored;
  std::unique_ptr<sae::Trainer<float>> trainer;
  arena.execute([&] { trainer = std::make_unique<sae::Trainer<float>>(spec.fit, data); });
  return trainer;
}

absl::Status Train(const RunContext& context, const storage::JobRow& job, tbb::task_arena& arena,
                   int64_t until, sae::Trainer<float>& trainer, Reporter& reporter) {
  if (!job.checkpoint.empty()) {
    const auto state = context.stores.objects.Get(job.checkpoint);
    if (state.ok() && state->starts_with(job.id)) {
      SAED_RETURN_IF_ERROR(trainer.Restore(std::string_view(*state).substr(job.id.size())));
    } else if (!absl::IsDataLoss(state.status())) {
      SAED_RETURN_IF_ERROR(state.status());
    } else {
      // A damaged checkpoint costs its steps, not the job.
      spdlog::warn("starting over job={} reason=\"{}\"", job.id,
                   std::string(state.status().message()));
    }
  }
  const int64_t first_step = trainer.step();
  const double start = context.clock.MonotonicSeconds();
  double last_checkpoint = start, last_observed = start;
  int64_t observed_steps = 0, observed_rows = 0, rows = 0;
  const auto done = [&] { return trainer.step() >= until; };
  while (!done()) {
    if (context.stop.load(std::memory_order_relaxed)) {
      // A server that stops keeps what was done; nobody needs that of a cancelled job.
      SAED_ASSIGN_OR_RETURN(const storage::JobRow now, context.stores.jobs.Get(job.id));
      if (!now.cancel_requested) SAED_RETURN_IF_ERROR(Checkpoint(context, job, trainer));
      return absl::CancelledError("stopped while training");
    }
    absl::StatusOr<sae::StepReport> step;
    arena.execute([&] { step = trainer.Next(); });
    SAED_RETURN_IF_ERROR(step.status());
    rows += step->rows;
    recordings::ReleaseWhatIsTooMuch();
    ++observed_steps;
    observed_rows += step->rows;

    const double now = context.clock.MonotonicSeconds();
    ProgressReport report;
    report.stage = "training";
    report.step = step->step;
    report.total_steps = trainer.total_steps();
    report.fraction = static_cast<double>(step->step) / static_cast<double>(trainer.total_steps());
    report.loss = step->loss;
    report.reconstruction_loss = step->reconstruction_loss;
    report.l0 = step->l0;
    report.dead_fraction = step->dead_fraction;
    report.learning_rate = step->learning_rate;
    report.lambda = step->lambda;
    report.gradient_norm = step->gradient_norm;
    const double elapsed = std::max(now - start, 1e-6);
    report.windows_per_second = static_cast<double>(rows) / elapsed;
    report.seconds_left = elapsed / static_cast<double>(step->step - first_step) *
                          static_cast<double>(trainer.total_steps() - step->step);
    context.seconds_left = *report.seconds_left;
    reporter.Report(report, step->step == first_step + 1 || done());
    if (now - last_observed > kReportSeconds || done()) {
      context.observer.Trained(observed_steps, observed_rows, now - last_observed);
      observed_steps = observed_rows = 0;
      last_observed = now;
    }
    if (now - last_checkpoint >= context.checkpoint_seconds || done()) {
      SAED_RETURN_IF_ERROR(Checkpoint(context, job, trainer));
      last_checkpoint = context.clock.MonotonicSeconds();
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<sae::Model> CalibratedModel(const TrainSpec& spec, const recordings::ViewData& view,
                                           const std::optional<recordings::ViewData>& target,
                                           tbb::task_arena& arena, sae::Trainer<float>& trainer,
                                           Reporter& reporter) {
  const features::Progress go_on = reporter.Stage("calibrating");
  absl::StatusOr<std::vector<double>> thresholds;
  arena.execute([&] { thresholds = trainer.CalibrateThresholds([&] { return go_on(0); }); });
  SAED_RETURN_IF_ERROR(thresholds.status());
  sae::Model model;
  model.spec = spec.fit.model;
  model.S = view.window;
  model.units = static_cast<int>(view.units.size());
  model.parameters = trainer.parameters();
  model.thresholds.assign(thresholds->begin(), thresholds->end());
  model.normaliser = {view.offset, view.scale};
  if (target) {
    model.target_units = static_cast<int>(target->units.size());
    model.target_normaliser = {target->offset, target->scale};
  }
  arena.execute([&] {
    model.training = sae::MeasureTarget(target ? target->counts() : view.counts(),
                                        model.output_normaliser(), view.train, view.window);
  });
  return model;
}

}  // namespace saed::jobs
