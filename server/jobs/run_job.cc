#include "server/jobs/run_job.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <tbb/task_arena.h>
#include <tbb/version.h>

#include <cmath>
#include <functional>

#include "server/base/status_macros.h"
#include "server/features/dictionary.h"
#include "server/inference/model_record.h"
#include "server/inference/spec_json.h"
#include "server/jobs/dictionary_rows.h"
#include "server/jobs/model_view.h"
#include "server/jobs/spec.h"
#include "server/jobs/submit.h"
#include "server/sae/evaluate.h"
#include "server/sae/kernels/dispatch.h"
#include "server/sae/trainer.h"

namespace saed::jobs {
namespace {

constexpr double kReportSeconds = 0.5;

// Stores a progress record at most every half second, and at the turn of every stage.
class Reporter {
 public:
  Reporter(const RunContext& context, const storage::JobRow& job) : context_(context), job_(job) {}

  void Report(ProgressReport report, bool now) {
    const double t = context_.clock.MonotonicSeconds();
    if (!now && t - last_ < kReportSeconds) return;
    last_ = t;
    report.time = context_.clock.NowMicros();
    report.attempt = job_.attempt;
    // A lost progress record is no reason to lose the job.
    (void)context_.stores.jobs.AppendProgress(job_.id, ToJson(report).dump());
    context_.bell.Ring();
  }

  // For a stage that only knows how far it is. False: stop.
  features::Progress Stage(const std::string& stage) {
    ProgressReport report;
    report.stage = stage;
    Report(report, true);
    return [this, report](double fraction) mutable {
      report.fraction = fraction;
      Report(report, false);
      return !context_.stop.load(std::memory_order_relaxed);
    };
  }

 private:
  const RunContext& context_;
  const storage::JobRow& job_;
  double last_ = -1e9;
};

absl::Status Checkpoint(const RunContext& context, const storage::JobRow& job,
                        const sae::Trainer<float>& trainer) {
  const double start = context.clock.MonotonicSeconds();
  // The job's id keeps two jobs of the same spec from sharing one object.
  const std::string state = job.id + trainer.Save();
  SAED_ASSIGN_OR_RETURN(const std::string digest, context.stores.objects.Put(state));
  SAED_ASSIGN_OR_RETURN(const std::string replaced,
                        context.stores.jobs.SetCheckpoint(job.id, digest, trainer.step()));
  if (!replaced.empty() && replaced != digest) context.stores.objects.Remove(replaced);
  context.observer.CheckpointWritten(static_cast<int64_t>(state.size()),
                                     context.clock.MonotonicSeconds() - start);
  return absl::OkStatus();
}

// Pages of a count file that training may keep resident. A window brings in up to 64 KiB around it.
constexpr int64_t kResidentCounts = int64_t{512} << 20, kAroundWindow = 64 << 10;

absl::Status Train(const RunContext& context, const storage::JobRow& job, tbb::task_arena& arena,
                   const recordings::ViewData& view, sae::Trainer<float>& trainer,
                   Reporter& reporter) {
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
  int64_t observed_steps = 0, observed_rows = 0, rows = 0, touched = 0;
  while (!trainer.done()) {
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
    touched += step->rows * kAroundWindow;
    if (touched > kResidentCounts) {
      view.Release();
      touched = 0;
    }
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
    reporter.Report(report, step->step == first_step + 1 || trainer.done());
    if (now - last_observed > kReportSeconds || trainer.done()) {
      context.observer.Trained(observed_steps, observed_rows, now - last_observed);
      observed_steps = observed_rows = 0;
      last_observed = now;
    }
    if (now - last_checkpoint >= context.checkpoint_seconds || trainer.done()) {
      SAED_RETURN_IF_ERROR(Checkpoint(context, job, trainer));
      last_checkpoint = context.clock.MonotonicSeconds();
    }
  }
  return absl::OkStatus();
}

nlohmann::json Provenance(const RunContext& context, const storage::JobRow& job,
                          const std::string& recording_digest, const recordings::ViewData& view,
                          const std::optional<recordings::ViewData>& target, int64_t steps) {
  return {
      {"unit_ids", view.unit_ids},
      {"target_unit_ids", target ? target->unit_ids : std::vector<int64_t>{}},
      {"recording_digest", recording_digest},
      {"job", job.id},
      {"code_version", context.code_version},
      {"steps", steps},
      {"train_windows", view.train.size()},
      {"test_windows", view.test.size()},
      {"kernel", view.dtype == DType::kU8 ? fmt::format("{}, exact counts", sae::KernelPathName())
                                          : fmt::format("{}, fp32", sae::KernelPathName())},
      {"libraries", {{"tbb", TBB_runtime_version()}, {"compiler", __VERSION__}}}};
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
  return model;
}

absl::StatusOr<nlohmann::json> Evaluate(const recordings::ViewData& view, const CountView& target,
                                        const sae::Encoder& encoder, tbb::task_arena& arena,
                                        Reporter& reporter) {
  const features::Progress go_on = reporter.Stage("evaluating");
  absl::StatusOr<sae::Evaluation> evaluation;
  arena.execute([&] {
    const auto mean =
        sae::MeanTarget(target, encoder.model().output_normaliser(), view.train, view.window);
    evaluation = sae::EvaluateModel(encoder, view.counts(), target, view.test, mean,
                                    [&] { return go_on(0); });
  });
  SAED_RETURN_IF_ERROR(evaluation.status());
  return saed::ToJson(*evaluation);
}

absl::Status BuildAndStore(const RunContext& context, const storage::JobRow& job,
                           const std::string& model_id, const sae::Encoder& encoder,
                           const recordings::Recording& recording, const recordings::ViewData& view,
                           const std::optional<CountView>& target,
                           const std::vector<features::Condition>& conditions,
                           tbb::task_arena& arena, Reporter& reporter) {
  absl::StatusOr<features::Dictionary> dictionary;
  const features::Progress progress = reporter.Stage("dictionary");
  arena.execute([&] {
    dictionary = features::BuildDictionary(encoder, recording, view, target, conditions, progress);
  });
  SAED_RETURN_IF_ERROR(dictionary.status());
  SAED_RETURN_IF_ERROR(
      context.stores.dictionaries.Insert(ToRows(*dictionary, encoder.model(), job.id, model_id,
                                                job.recording_id, context.clock.NowMicros())));
  ProgressReport report;
  report.stage = "finished";
  report.fraction = 1;
  reporter.Report(report, true);
  return absl::OkStatus();
}

absl::Status RunTrain(const RunContext& context, const storage::JobRow& job,
                      tbb::task_arena& arena) {
  Reporter reporter(context, job);
  reporter.Stage("loading");
  SAED_ASSIGN_OR_RETURN(const TrainSpec spec, ParseTrainSpec(job.spec));
  SAED_ASSIGN_OR_RETURN(const auto recording_row, context.stores.recordings.Get(job.recording_id));
  SAED_ASSIGN_OR_RETURN(const auto recording, LoadRecording(context.stores, job.recording_id));
  SAED_ASSIGN_OR_RETURN(const auto view, recordings::BuildView(recording, spec.view));
  SAED_ASSIGN_OR_RETURN(const auto target, TargetOf(context.stores, spec, recording, view));

  sae::TrainingData data{view.counts(), {view.offset, view.scale}, view.train, view.window};
  if (target) {
    data.target = target->counts();
    data.target_normaliser = {target->offset, target->scale};
  }
  std::unique_ptr<sae::Trainer<float>> trainer;
  arena.execute([&] { trainer = std::make_unique<sae::Trainer<float>>(spec.fit, data); });
  SAED_RETURN_IF_ERROR(Train(context, job, arena, view, *trainer, reporter));
  SAED_ASSIGN_OR_RETURN(const sae::Model model,
                        CalibratedModel(spec, view, target, arena, *trainer, reporter));
  const sae::Encoder encoder(model);
  SAED_ASSIGN_OR_RETURN(
      const auto evaluation,
      Evaluate(view, target ? target->counts() : view.counts(), encoder, arena, reporter));

  storage::ModelRow row;
  row.id = job.id;
  row.recording_id = job.recording_id;
  row.name = job.name;
  row.created_at = context.clock.NowMicros();
  row.features = model.spec.features();
  row.window = model.S;
  row.units = model.units;
  row.digest = sae::TensorDigest(model);
  row.spec = job.spec;
  row.evaluation = evaluation.dump();
  row.provenance =
      Provenance(context, job, recording_row.digest, view, target, trainer->total_steps()).dump();
  SAED_RETURN_IF_ERROR(context.stores.models.Insert(row, inference::ToTensors(model)));
  return BuildAndStore(context, job, job.id, encoder, recording, view,
                       target ? target->counts() : view.counts(), spec.conditions, arena, reporter);
}

absl::Status RunAnalyse(const RunContext& context, const storage::JobRow& job,
                        tbb::task_arena& arena) {
  Reporter reporter(context, job);
  reporter.Stage("loading");
  SAED_ASSIGN_OR_RETURN(const AnalyseSpec spec, ParseAnalyseSpec(job.spec));
  SAED_ASSIGN_OR_RETURN(const auto row, context.stores.models.Get(spec.model_id));
  SAED_ASSIGN_OR_RETURN(auto tensors, context.stores.models.Tensors(spec.model_id));
  SAED_ASSIGN_OR_RETURN(const sae::Model model, inference::ToModel(row, std::move(tensors)));
  SAED_ASSIGN_OR_RETURN(const auto recording, LoadRecording(context.stores, job.recording_id));
  SAED_ASSIGN_OR_RETURN(const auto view, ViewFor(row, model, recording, job.recording_id));
  const sae::Encoder encoder(model);
  // A paired population's counts are not known of another recording.
  std::optional<CountView> target;
  if (model.target_units == 0) target = view.counts();
  return BuildAndStore(context, job, spec.model_id, encoder, recording, view, target,
                       spec.conditions, arena, reporter);
}

}  // namespace

absl::Status RunJob(const RunContext& context, const storage::JobRow& job) {
  try {
    tbb::task_arena arena(std::max(1, job.threads));
    return job.kind == "train" ? RunTrain(context, job, arena) : RunAnalyse(context, job, arena);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(
        "not enough memory for this job; use fewer features, a smaller batch_size or a smaller "
        "window");
  }
}

}  // namespace saed::jobs
