#include "server/jobs/submit.h"

#include <fmt/format.h>

#include "server/base/faults.h"
#include "server/base/sha256.h"
#include "server/base/status_macros.h"
#include "server/inference/model_record.h"
#include "server/recordings/store_format.h"

namespace saed::jobs {
namespace {

constexpr size_t kMaxName = 200;

void CheckCommon(const std::string& name, int threads, int max_threads, Faults& faults) {
  if (name.size() > kMaxName) {
    faults.Add("name",
               fmt::format("is {} bytes long; at most {} are allowed", name.size(), kMaxName));
  }
  if (threads < 0 || threads > max_threads) {
    faults.Add("threads",
               fmt::format("is {}; must be 0 (the server's choice) to {}", threads, max_threads));
  }
}

template <class Spec>
absl::StatusOr<storage::JobRow> Queue(const Stores& stores, const Clock& clock, const Spec& spec,
                                      const std::string& request_id, int max_threads,
                                      const char* kind) {
  storage::JobRow row;
  row.id = storage::NewId();
  row.request_id = request_id;
  row.kind = kind;
  row.recording_id = spec.recording_id;
  row.name = spec.name;
  row.spec = ToJson(spec).dump();
  row.request_digest = Sha256Hex(row.spec);
  row.threads = spec.threads == 0 ? max_threads : spec.threads;
  row.created_at = clock.NowMicros();
  return stores.jobs.Insert(row);
}

}  // namespace

absl::StatusOr<recordings::Recording> LoadRecording(const Stores& stores, const std::string& id) {
  SAED_ASSIGN_OR_RETURN(const storage::RecordingRow row, stores.recordings.Get(id));
  SAED_ASSIGN_OR_RETURN(const std::string bytes, stores.objects.Get(row.digest));
  return recordings::Parse(bytes);
}

absl::StatusOr<std::optional<recordings::ViewData>> TargetOf(const Stores& stores,
                                                             const TrainSpec& spec,
                                                             const recordings::Recording& recording,
                                                             const recordings::ViewData& view) {
  std::optional<recordings::ViewData> out;
  if (!spec.target) return out;
  recordings::DataView target = spec.view;
  target.unit_labels = spec.target->unit_labels;
  target.unit_ids = spec.target->unit_ids;
  target.unit_regions = spec.target->unit_regions;
  target.normaliser = spec.target->normaliser;
  target.minimum_rate = 0;
  const auto build = [&](const recordings::Recording& from) {
    auto built = recordings::BuildTarget(from, target, view);
    Faults faults;
    faults.Merge(built.status(), "target");
    if (built.ok()) out = *std::move(built);
    return faults.ToStatus();
  };
  if (spec.target->recording_id.empty() || spec.target->recording_id == spec.recording_id) {
    SAED_RETURN_IF_ERROR(build(recording));
  } else {
    SAED_ASSIGN_OR_RETURN(const auto other, LoadRecording(stores, spec.target->recording_id));
    SAED_RETURN_IF_ERROR(build(other));
  }
  return out;
}

absl::Status Check(const Stores& stores, const TrainSpec& spec, int max_threads) {
  Faults faults;
  CheckCommon(spec.name, spec.threads, max_threads, faults);
  faults.Merge(recordings::Validate(spec.view), "view");
  const bool zscored = (spec.target ? spec.target->normaliser : spec.view.normaliser) ==
                       recordings::NormaliserKind::kZscore;
  if (spec.target && spec.fit.model.subtract_bias) {
    faults.Add("model.subtract_bias",
               "is set with a paired target; the decoder bias is in the target's space and cannot "
               "be subtracted from the input");
  }
  const absl::Status model = sae::Validate(spec.fit, zscored);
  faults.Merge(model);
  const auto recording = LoadRecording(stores, spec.recording_id);
  if (!recording.ok()) {
    // Without the recording the faults found so far are still worth saying.
    return faults.empty() ? recording.status() : faults.ToStatus();
  }
  const auto view = recordings::Validate(spec.view).ok()
                        ? recordings::BuildView(*recording, spec.view)
                        : absl::StatusOr<recordings::ViewData>(recordings::Validate(spec.view));
  faults.Merge(features::Validate(*recording, spec.conditions, view.ok() ? &*view : nullptr));
  if (!view.ok()) {
    if (recordings::Validate(spec.view).ok()) faults.Merge(view.status(), "view");
    return faults.ToStatus();
  }
  const auto target = TargetOf(stores, spec, *recording, *view);
  faults.Merge(target.status());
  const int64_t inputs = int64_t{spec.view.window} * static_cast<int64_t>(view->units.size());
  if (inputs > sae::kMaxInputs) {
    faults.Add("view.window", fmt::format("times the units makes {} inputs; at most {} are allowed",
                                          inputs, sae::kMaxInputs));
  }
  if (target.ok() && target->has_value() &&
      int64_t{spec.view.window} * static_cast<int64_t>((*target)->units.size()) *
              spec.fit.model.features() >
          sae::kMaxParameters) {
    faults.Add("target", fmt::format("makes more than {} decoder weights", sae::kMaxParameters));
  }
  if (inputs * spec.fit.model.features() > sae::kMaxParameters) {
    faults.Add("model.levels", fmt::format("makes {} x {} encoder weights; at most {} are allowed",
                                           spec.fit.model.features(), inputs, sae::kMaxParameters));
  }
  const bool negative =
      target.ok() && (target->has_value() ? (*target)->negative_target : view->negative_target);
  if (model.ok() && negative && !zscored) {
    faults.Merge(sae::Validate(spec.fit, true));
  }
  return faults.ToStatus();
}

absl::Status Check(const Stores& stores, const AnalyseSpec& spec, int max_threads) {
  Faults faults;
  CheckCommon(spec.name, spec.threads, max_threads, faults);
  SAED_ASSIGN_OR_RETURN(const storage::ModelRow model, stores.models.Get(spec.model_id));
  SAED_ASSIGN_OR_RETURN(const auto recording, LoadRecording(stores, spec.recording_id));
  SAED_ASSIGN_OR_RETURN(const TrainSpec trained, ParseTrainSpec(model.spec));
  const auto view =
      recordings::BuildAnalysisView(recording, trained.view, inference::UnitIds(model), {}, {});
  faults.Merge(features::Validate(recording, spec.conditions, view.ok() ? &*view : nullptr));
  faults.Merge(view.status(), "recording");
  return faults.ToStatus();
}

absl::StatusOr<storage::JobRow> Submit(const Stores& stores, const Clock& clock,
                                       const TrainSpec& spec, const std::string& request_id,
                                       int max_threads) {
  SAED_RETURN_IF_ERROR(Check(stores, spec, max_threads));
  return Queue(stores, clock, spec, request_id, max_threads, "train");
}

absl::StatusOr<storage::JobRow> Submit(const Stores& stores, const Clock& clock,
                                       const AnalyseSpec& spec, const std::string& request_id,
                                       int max_threads) {
  SAED_RETURN_IF_ERROR(Check(stores, spec, max_threads));
  return Queue(stores, clock, spec, request_id, max_threads, "analyse");
}

}  // namespace saed::jobs
