// The parts of an attempt that training jobs and a sweep's trials share.
#pragma once

#include <tbb/task_arena.h>

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "server/features/dictionary.h"
#include "server/jobs/progress.h"
#include "server/jobs/run_job.h"
#include "server/jobs/spec.h"
#include "server/recordings/view.h"
#include "server/sae/model.h"
#include "server/sae/trainer.h"

namespace saed::jobs {

inline constexpr double kReportSeconds = 0.5;

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
    (void)context_.stores.jobs.AppendProgress(AttemptOf(job_), ToJson(report).dump());
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

// A trainer of the view's training windows.
std::unique_ptr<sae::Trainer<float>> MakeTrainer(const TrainSpec& spec,
                                                 const recordings::ViewData& view,
                                                 const std::optional<recordings::ViewData>& target,
                                                 tbb::task_arena& arena);

// Trains from the job's checkpoint, if it has one, until `until` steps are done, with a checkpoint
// from time to time and at the end. CANCELLED where the job is to stop.
absl::Status Train(const RunContext& context, const storage::JobRow& job, tbb::task_arena& arena,
                   int64_t until, sae::Trainer<float>& trainer, Reporter& reporter);

// The model as it is now, its thresholds set by one pass over the training windows.
absl::StatusOr<sae::Model> CalibratedModel(const TrainSpec& spec, const recordings::ViewData& view,
                                           const std::optional<recordings::ViewData>& target,
                                           tbb::task_arena& arena, sae::Trainer<float>& trainer,
                                           Reporter& reporter);

}  // namespace saed::jobs
