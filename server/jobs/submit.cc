#include "server/jobs/submit.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "server/base/display_name.h"
#include "server/base/faults.h"
#include "server/base/on_behalf.h"
#include "server/base/sha256.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/features/dictionary.h"
#include "server/features/feature_sets.h"
#include "server/inference/model_record.h"
#include "server/jobs/choose.h"
#include "server/jobs/choose_bin.h"
#include "server/jobs/choose_split.h"
#include "server/jobs/policy.h"
#include "server/jobs/sweep_spec.h"
#include "server/recordings/plausible.h"
#include "server/recordings/store_format.h"
#include "server/sae/evidence.h"
#include "storage/request_keys.h"

namespace saed::jobs {
namespace {

constexpr int64_t kLabels = 40;  // conditions that a dictionary usually has

// What a step holds for each window and latent: its z, and what the codes of all passes, their
// slopes and the same by latent take, while they grow. Where as many latents may be active as like,
// half of them are at the start. Measured at 16,384 windows of 8,192 latents: 5, 16, 24, 27 and 43
// bytes, in the order of the selections below.
int64_t BytesPerLatent(sae::Selection selection) {
  switch (selection) {
    case sae::Selection::kTopK:
      return 8;
    case sae::Selection::kBatchTopK:
      return 20;
    case sae::Selection::kRelu:
      return 30;
    case sae::Selection::kJumpRelu:
      return 34;
    case sae::Selection::kGated:
      return 54;
  }
  return 54;
}

// Weights, gradients, two moments and a moving average; counts; what a step holds for its windows;
// the recording, as far as it is not mapped; what a dictionary holds for every window, the
// activations from which it is built, and the columns among which it looks for sets, of features
// and of units, while they grow; what each thread takes for the held-out windows.
int64_t MemoryNeeded(const Stores& stores, const std::string& recording_id,
                     const recordings::Recording& recording, const recordings::ViewData& view,
                     int64_t outputs, const sae::FitSpec& fit, int threads) {
  const int64_t features = fit.model.features(), active = fit.model.levels.back().k;
  const int64_t batch = std::min<int64_t>(fit.batch_size, static_cast<int64_t>(view.train.size()));
  const int64_t inputs = int64_t{view.window} * static_cast<int64_t>(view.units.size());
  const auto row = stores.recordings.Get(recording_id);
  const int64_t held = row.ok() && !recording.counts.file ? 2 * row->bytes : 0;
  const auto windows = static_cast<int64_t>(view.train.size() + view.test.size());
  const auto searched =
      std::min(static_cast<int64_t>(view.train.size()), 2 * features::kSetWindows);
  const auto kinds = static_cast<int64_t>(std::size(sae::kEvidenceKinds)) + 1;
  const int64_t columns =
      2 * 4 *
      std::min(searched * (kinds * features + static_cast<int64_t>(view.units.size())),
               2 * features::kSetValues);
  // While features are judged: all kinds of evidence of some, and all codes.
  const int64_t judging =
      8 * std::min(static_cast<int64_t>(view.train.size()) * kinds * features,
                   features::kHeldActivations) +
      8 * std::min(static_cast<int64_t>(view.train.size()) * active, features::kHeldActivations);
  // What each condition says of each window, a few times over, and the windows of each scope.
  const int64_t labels = windows * (8 * kLabels + 4 * static_cast<int64_t>(features::kMaxScopes));
  return labels + std::max(columns, judging) + 5 * 4 * features * (inputs + outputs) +
         static_cast<int64_t>(view.bytes.size()) +
         batch * (BytesPerLatent(fit.model.selection) * features + 8 * (inputs + outputs)) + held +
         threads * features::BytesPerThread(view) + 128 * windows +
         32 * std::min(windows * active, features::kHeldActivations) + (int64_t{64} << 20);
}

// `each`: bytes of `needed` that every one of the threads takes.
absl::Status CheckMemory(int64_t needed, int64_t each, int threads, const SubmitLimits& limits) {
  if (limits.memory == 0 || needed <= limits.memory) return absl::OkStatus();
  const int64_t fit = each == 0 ? 0 : (limits.memory - (needed - threads * each)) / each;
  return InvalidField(
      "spec",
      fmt::format("needs about {} MB of memory and this server gives its jobs {}; use {}fewer "
                  "features, a smaller batch_size, a smaller window or fewer units",
                  needed >> 20, limits.memory >> 20,
                  fit < 1    ? ""
                  : fit == 1 ? "1 thread, "
                             : fmt::format("at most {} threads, ", fit)));
}

void CheckCommon(const std::string& name, int threads, int max_threads, Faults& faults) {
  if (const std::string fault = name.empty() ? "" : DisplayNameFault(name); !fault.empty()) {
    faults.Add("display_name", fault);
  }
  if (threads < 0 || threads > max_threads) {
    faults.Add("threads",
               fmt::format("is {}; must be 0 (the server's choice) to {}", threads, max_threads));
  }
}

template <class Spec>
int ThreadsOf(const Spec& spec, const SubmitLimits& limits) {
  return spec.threads == 0 ? limits.default_threads : spec.threads;
}

// The row of a job that was checked.
template <class Spec>
storage::JobRow NewRow(const Clock& clock, const Spec& spec, const nlohmann::json& json,
                       const QueueOptions& options, const SubmitLimits& limits) {
  storage::JobRow row;
  row.id = storage::NewId();
  row.request_id = options.request_id;
  row.recording_id = spec.recording_id;
  row.name = spec.name;
  row.spec = json.dump();
  row.owner = options.owner;
  row.priority = options.priority;
  row.dependencies = options.dependencies;
  row.time_limit = options.time_limit;
  row.threads = ThreadsOf(spec, limits);
  row.created_at = clock.NowMicros();
  return row;
}

// What is chosen later is no fault.
recordings::DataView WithABin(recordings::DataView view) {
  if (view.bin_width == 0) view.bin_width = 1;
  return view;
}

// Sets the bin width where it was left out, and returns the line that says so.
std::vector<std::string> ChooseBinOf(const recordings::Recording& recording,
                                     recordings::DataView& view) {
  if (view.bin_width != 0) return {};
  const ChosenBin chosen = ChooseBin(recording);
  view.bin_width = chosen.width;
  return {fmt::format("bin {} s: {}", NumberText(chosen.width), chosen.reason)};
}

// The choice of the paired population, on the bins of the input.
recordings::DataView TargetView(const TrainSpec& spec) {
  recordings::DataView out = spec.view;
  out.unit_labels = spec.target->unit_labels;
  out.unit_ids = spec.target->unit_ids;
  out.unit_regions = spec.target->unit_regions;
  out.normaliser = spec.target->normaliser;
  out.minimum_rate = 0;
  return out;
}

// Calls `use` with the target's recording, which may be the input's.
template <class Use>
absl::Status WithTarget(const Stores& stores, const TrainSpec& spec,
                        const recordings::Recording& recording, const Use& use) {
  const std::string& id = spec.target->recording_id;
  if (id.empty() || id == spec.recording_id) {
    use(recording);
    return absl::OkStatus();
  }
  SAED_ASSIGN_OR_RETURN(const auto other, LoadRecording(stores, id));
  use(other);
  return absl::OkStatus();
}

template <class Spec>
absl::StatusOr<storage::JobRow> CheckAndQueue(const Stores& stores, const Clock& clock, Spec spec,
                                              const QueueOptions& options,
                                              const SubmitLimits& limits, const char* kind) {
  storage::JobRow asked = NewRow(clock, spec, ToJson(spec), options, limits);
  asked.request_digest =
      Sha256Hex(fmt::format("{} {} {} {}", kind, spec.recording_id, spec.threads, asked.spec));
  if (!options.request_id.empty()) {
    // Before the checks: what they ask for (that dependencies may still succeed, that there is
    // room) may hold no more of a job that was queued long ago.
    SAED_ASSIGN_OR_RETURN(const auto known, stores.jobs.OfRequest(options.request_id));
    if (known && storage::WasAskedFor(known->request_digest).digest == asked.request_digest) {
      SAED_RETURN_IF_ERROR(storage::SameRequest(*known, asked));
      return *known;
    }
  }
  SAED_RETURN_IF_ERROR(Check(stores, options));
  SAED_ASSIGN_OR_RETURN(const int64_t memory, Check(stores, spec, limits));
  storage::JobRow row = NewRow(clock, spec, ToJson(spec), options, limits);
  row.request_digest = asked.request_digest;
  row.kind = kind;
  row.memory = memory;
  return stores.jobs.Insert(row, limits.user_unfinished);
}

}  // namespace

absl::StatusOr<recordings::Recording> LoadRecording(const Stores& stores, const std::string& id) {
  SAED_ASSIGN_OR_RETURN(const storage::RecordingRow row, stores.recordings.Get(id));
  if (row.bytes > static_cast<int64_t>(recordings::kCountsInMemory)) {
    SAED_ASSIGN_OR_RETURN(const std::string path, stores.objects.File(row.digest));
    return recordings::ParseFile(path);
  }
  SAED_ASSIGN_OR_RETURN(const std::string bytes, stores.objects.Get(row.digest));
  return recordings::Parse(bytes);
}

absl::StatusOr<recordings::ViewData> InputOf(const Stores& stores, const TrainSpec& spec,
                                             const recordings::Recording& recording) {
  if (!spec.target) return recordings::BuildView(recording, spec.view);
  absl::StatusOr<recordings::Spans> observed = absl::UnknownError("");
  WithTarget(stores, spec, recording, [&](const recordings::Recording& from) {
    observed = recordings::TargetObserved(from, TargetView(spec));
  }).IgnoreError();
  return recordings::BuildView(recording, spec.view, observed.ok() ? &*observed : nullptr);
}

absl::StatusOr<std::optional<recordings::ViewData>> TargetOf(const Stores& stores,
                                                             const TrainSpec& spec,
                                                             const recordings::Recording& recording,
                                                             const recordings::ViewData& view) {
  std::optional<recordings::ViewData> out;
  if (!spec.target) return out;
  Faults faults;
  SAED_RETURN_IF_ERROR(WithTarget(stores, spec, recording, [&](const recordings::Recording& from) {
    auto built = recordings::BuildTarget(from, TargetView(spec), view);
    faults.Merge(built.status(), "target");
    if (built.ok()) out = *std::move(built);
  }));
  SAED_RETURN_IF_ERROR(faults.ToStatus());
  return out;
}

absl::Status Check(const Stores& stores, const QueueOptions& options) {
  Faults faults;
  if (options.priority < kLow || options.priority > kUrgent) {
    faults.Add("priority", fmt::format("is {}; must be {} to {}", options.priority,
                                       static_cast<int>(kLow), static_cast<int>(kUrgent)));
  }
  if (!(options.time_limit >= 0) || !std::isfinite(options.time_limit)) {
    faults.Add("time_limit_seconds",
               fmt::format("is {} s; must be 0 (none) or seconds above it", options.time_limit));
  }
  constexpr size_t kMaxDependencies = 100;
  if (options.dependencies.size() > kMaxDependencies) {
    faults.Add("dependencies", fmt::format("has {} jobs; at most {} are allowed",
                                           options.dependencies.size(), kMaxDependencies));
  }
  for (const std::string& id : options.dependencies) {
    if (!faults.empty()) break;
    const auto job = stores.jobs.Get(id);
    if (!job.ok()) {
      if (!absl::IsNotFound(job.status())) return job.status();
      faults.Add("dependencies", fmt::format("names jobs/{}, which does not exist", id));
    } else if (job->state == "FAILED" || job->state == "CANCELLED") {
      faults.Add("dependencies",
                 fmt::format("names jobs/{}, which is {} and never will succeed", id, job->state));
    }
  }
  return faults.ToStatus();
}

absl::StatusOr<int64_t> Check(const Stores& stores, TrainSpec& spec, const SubmitLimits& limits) {
  Faults faults;
  CheckCommon(spec.name, spec.threads, limits.threads, faults);
  faults.Merge(recordings::Validate(WithABin(spec.view)), "view");
  const bool zscored = (spec.target ? spec.target->normaliser : spec.view.normaliser) ==
                       recordings::NormaliserKind::kZscore;
  if (spec.target && spec.fit.model.subtract_bias) {
    faults.Add("model.subtract_bias",
               "is set with a paired target; the decoder bias is in the target's space and cannot "
               "be subtracted from the input");
  }
  // What is chosen is no fault, whatever the view turns out to have.
  sae::FitSpec provisional = spec.fit;
  Choose(1, 1, provisional);
  const absl::Status model = sae::Validate(provisional, zscored);
  faults.Merge(model);
  const auto recording = LoadRecording(stores, spec.recording_id);
  if (!recording.ok()) {
    // Without the recording the faults found so far are still worth saying.
    return faults.empty() ? recording.status() : faults.ToStatus();
  }
  SAED_RETURN_IF_ERROR(StillWanted());
  spec.choices = ChooseBinOf(*recording, spec.view);
  std::string split;
  const auto view =
      recordings::Validate(spec.view).ok()
          ? ChooseSplit(
                *recording, spec.view, [&] { return InputOf(stores, spec, *recording); },
                [&](const recordings::ViewData& chosen) {
                  return features::Validate(*recording, spec.conditions, &chosen);
                },
                split)
          : absl::StatusOr<recordings::ViewData>(recordings::Validate(spec.view));
  faults.Merge(features::Validate(*recording, spec.conditions, view.ok() ? &*view : nullptr));
  SAED_RETURN_IF_ERROR(StillWanted());  // else what ended the call reads as a fault of the spec
  faults.Merge(features::Validate(*recording, spec.condition_columns), "condition_columns");
  if (!view.ok()) {
    if (recordings::Validate(spec.view).ok()) faults.Merge(view.status(), "view");
    return faults.ToStatus();
  }
  for (auto& line : Choose(static_cast<int64_t>(view->units.size()),
                           static_cast<int64_t>(view->train.size()), spec.fit)) {
    spec.choices.push_back(std::move(line));
  }
  if (!split.empty()) spec.choices.push_back(split);
  spec.warnings = features::Separated(*recording, spec.conditions, *view);
  for (std::string note :
       {recordings::WideBins(spec.view.bin_width), recordings::SparseWindows(spec.view.stride),
        SilenceThatTrains(*recording, spec.view)}) {
    if (!note.empty()) spec.warnings.push_back(std::move(note));
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
  SAED_RETURN_IF_ERROR(faults.ToStatus());
  const int64_t outputs = target->has_value() ? int64_t{spec.view.window} *
                                                    static_cast<int64_t>((*target)->units.size())
                                              : inputs;
  const int threads = ThreadsOf(spec, limits);
  const int64_t needed =
      MemoryNeeded(stores, spec.recording_id, *recording, *view, outputs, spec.fit, threads);
  SAED_RETURN_IF_ERROR(CheckMemory(needed, features::BytesPerThread(*view), threads, limits));
  return needed;
}

absl::StatusOr<int64_t> Check(const Stores& stores, const AnalyseSpec& spec,
                              const SubmitLimits& limits) {
  Faults faults;
  CheckCommon(spec.name, spec.threads, limits.threads, faults);
  SAED_ASSIGN_OR_RETURN(const storage::ModelRow model, stores.models.Get(spec.model_id));
  SAED_ASSIGN_OR_RETURN(const auto recording, LoadRecording(stores, spec.recording_id));
  SAED_ASSIGN_OR_RETURN(const TrainSpec trained, ParseTrainSpec(model.spec));
  const auto view =
      recordings::BuildAnalysisView(recording, trained.view, inference::UnitIds(model), {}, {});
  faults.Merge(features::Validate(recording, spec.conditions, view.ok() ? &*view : nullptr));
  faults.Merge(features::Validate(recording, spec.condition_columns), "condition_columns");
  faults.Merge(view.status(), "recording");
  SAED_RETURN_IF_ERROR(faults.ToStatus());
  const int64_t inputs = int64_t{view->window} * static_cast<int64_t>(view->units.size());
  const int threads = ThreadsOf(spec, limits);
  const int64_t needed =
      MemoryNeeded(stores, spec.recording_id, recording, *view, inputs, trained.fit, threads);
  SAED_RETURN_IF_ERROR(CheckMemory(needed, features::BytesPerThread(*view), threads, limits));
  return needed;
}

absl::StatusOr<storage::JobRow> Submit(const Stores& stores, const Clock& clock,
                                       const TrainSpec& spec, const QueueOptions& options,
                                       const SubmitLimits& limits) {
  return CheckAndQueue(stores, clock, spec, options, limits, "train");
}

absl::StatusOr<storage::JobRow> Submit(const Stores& stores, const Clock& clock,
                                       const AnalyseSpec& spec, const QueueOptions& options,
                                       const SubmitLimits& limits) {
  return CheckAndQueue(stores, clock, spec, options, limits, "analyse");
}

absl::StatusOr<storage::JobRow> SubmitTrialJob(const Stores& stores, const Clock& clock,
                                               const TrialSpec& spec, const std::string& sweep_id,
                                               int64_t trial, const QueueOptions& options,
                                               const SubmitLimits& limits) {
  TrialSpec chosen = spec;
  SAED_ASSIGN_OR_RETURN(const int64_t memory, Check(stores, chosen.train, limits));
  storage::JobRow row = NewRow(clock, chosen.train, ToJson(chosen), options, limits);
  row.name.clear();
  row.kind = "trial";
  row.memory = memory;
  row.request_digest = Sha256Hex(row.spec);
  row.sweep_id = sweep_id;
  row.trial = trial;
  return stores.jobs.Insert(row);
}

}  // namespace saed::jobs
