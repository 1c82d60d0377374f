#include "server/jobs/run_job.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <tbb/task_arena.h>
#include <tbb/version.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "server/base/nice.h"
#include "server/base/status_macros.h"
#include "server/features/dictionary.h"
#include "server/inference/model_record.h"
#include "server/inference/spec_json.h"
#include "server/jobs/dictionary_rows.h"
#include "server/jobs/learned.h"
#include "server/jobs/model_view.h"
#include "server/jobs/nice_arena.h"
#include "server/jobs/own_choices.h"
#include "server/jobs/spec.h"
#include "server/jobs/submit.h"
#include "server/jobs/train_loop.h"
#include "server/jobs/trial.h"
#include "server/recordings/plausible.h"
#include "server/sae/evaluate.h"
#include "server/sae/kernels/dispatch.h"
#include "server/sae/trainer.h"

namespace saed::jobs {
namespace {

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

absl::StatusOr<sae::Evaluation> Evaluate(const recordings::ViewData& view, const CountView& target,
                                         const sae::Encoder& encoder, tbb::task_arena& arena,
                                         Reporter& reporter) {
  const features::Progress go_on = reporter.Stage("evaluating");
  absl::StatusOr<sae::Evaluation> evaluation;
  arena.execute([&] {
    // What is explained is what varies inside trials.
    const auto mean = sae::MeanTarget(target, encoder.model().output_normaliser(),
                                      view.scored_train(), view.window);
    evaluation = sae::EvaluateModel(encoder, view.counts(), target, view.test, mean,
                                    [&] { return go_on(0); });
  });
  return evaluation;
}

absl::Status BuildAndStore(const RunContext& context, const storage::JobRow& job,
                           const std::string& model_id, const sae::Encoder& encoder,
                           const recordings::Recording& recording, const recordings::ViewData& view,
                           const std::optional<CountView>& target,
                           const std::vector<features::Condition>& conditions,
                           const features::ConditionColumns& columns,
                           std::vector<std::string> model_warnings, int stride,
                           tbb::task_arena& arena, Reporter& reporter,
                           const features::Precedent* precedent = nullptr) {
  absl::StatusOr<features::Dictionary> dictionary;
  const features::Progress progress = reporter.Stage("dictionary");
  arena.execute([&] {
    dictionary = features::BuildDictionary(encoder, recording, view, target, conditions, columns,
                                           progress, features::kHeldActivations, precedent);
  });
  SAED_RETURN_IF_ERROR(dictionary.status());
  if (std::string note = recordings::SparseWindows(stride); !note.empty()) {
    model_warnings.push_back(std::move(note));
  }
  dictionary->warnings.insert(dictionary->warnings.begin(), model_warnings.begin(),
                              model_warnings.end());
  const absl::Status stored =
      context.stores.dictionaries.Insert(ToRows(*dictionary, encoder.model(), job.id, model_id,
                                                job.recording_id, context.clock.NowMicros()),
                                         AttemptOf(job), &context.stop);
  if (!stored.ok()) {
    // What is left, where this fails too, the next attempt or start removes.
    (void)context.stores.dictionaries.Discard(AttemptOf(job));
    return stored;
  }
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
  SAED_ASSIGN_OR_RETURN(const auto view, InputOf(context.stores, spec, recording));
  SAED_ASSIGN_OR_RETURN(const auto target, TargetOf(context.stores, spec, recording, view));

  const auto trainer = MakeTrainer(spec, view, target, arena);
  SAED_RETURN_IF_ERROR(Train(context, job, arena, trainer->total_steps(), *trainer, reporter));
  SAED_ASSIGN_OR_RETURN(const sae::Model model,
                        CalibratedModel(spec, view, target, arena, *trainer, reporter));
  const sae::Encoder encoder(model);
  SAED_ASSIGN_OR_RETURN(
      const auto evaluation,
      Evaluate(view, target ? target->counts() : view.counts(), encoder, arena, reporter));
  SAED_ASSIGN_OR_RETURN(const auto warnings,
                        Shortcomings(spec.fit, trainer->total_steps(), evaluation));
  nlohmann::json scores = saed::ToJson(evaluation);
  scores["warnings"] = warnings;

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
  row.evaluation = scores.dump();
  row.provenance =
      Provenance(context, job, recording_row.digest, view, target, trainer->total_steps()).dump();
  SAED_RETURN_IF_ERROR(
      context.stores.models.Insert(row, inference::ToTensors(model), AttemptOf(job)));
  // An earlier attempt's stays; of other weights than are stored there must be no dictionary.
  SAED_ASSIGN_OR_RETURN(const auto stored, context.stores.models.Get(row.id));
  if (stored.digest != row.digest) {
    return absl::FailedPreconditionError(fmt::format(
        "models/{} is stored by an earlier attempt, and training anew came to other weights; "
        "delete that model, then submit the job again",
        row.id));
  }
  return BuildAndStore(context, job, job.id, encoder, recording, view,
                       target ? target->counts() : view.counts(), spec.conditions,
                       spec.condition_columns, warnings, spec.view.stride, arena, reporter);
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
  SAED_ASSIGN_OR_RETURN(const auto view,
                        ViewFor(context.stores, row, model, recording, job.recording_id));
  SAED_ASSIGN_OR_RETURN(const TrainSpec trained, ParseTrainSpec(row.spec));
  const sae::Encoder encoder(model);
  // A paired population's counts are not known of another recording.
  std::optional<CountView> target;
  if (model.target_units == 0) target = view.counts();
  std::optional<features::Precedent> precedent;
  if (view.train.empty()) {
    SAED_ASSIGN_OR_RETURN(precedent, OwnChoices(context.stores, row, job.owner));
  }
  return BuildAndStore(context, job, spec.model_id, encoder, recording, view, target,
                       spec.conditions, spec.condition_columns, inference::Warnings(row),
                       trained.view.stride, arena, reporter, precedent ? &*precedent : nullptr);
}

}  // namespace

absl::StatusOr<Outcome> RunJob(const RunContext& context, const storage::JobRow& job) {
  try {
    BeNice();
    NiceArena nice(std::max(1, job.threads));
    tbb::task_arena& arena = nice.arena();
    // All of it, so that whatever is done in parallel on the way is done by the job's threads.
    return arena.execute([&]() -> absl::StatusOr<Outcome> {
      if (job.kind == "trial") return RunTrial(context, job, arena);
      SAED_RETURN_IF_ERROR(job.kind == "train" ? RunTrain(context, job, arena)
                                               : RunAnalyse(context, job, arena));
      return Outcome::kDone;
    });
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(
        "not enough memory for this job; use fewer features, a smaller batch_size or a smaller "
        "window");
  } catch (const std::exception& e) {
    return absl::InternalError(
        fmt::format("the job broke off: {}; this is a fault of saed", e.what()));
  } catch (...) {
    return absl::InternalError("the job broke off without saying why; this is a fault of saed");
  }
}

}  // namespace saed::jobs
