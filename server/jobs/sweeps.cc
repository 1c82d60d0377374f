#include "server/jobs/sweeps.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <limits>

#include "server/base/display_name.h"
#include "server/base/faults.h"
#include "server/base/on_behalf.h"
#include "server/base/sha256.h"
#include "server/base/status_macros.h"
#include "server/jobs/no_throw.h"
#include "server/jobs/submit.h"
#include "server/recordings/split.h"
#include "storage/request_keys.h"

namespace saed::jobs {
namespace {

using State = TrialReport::State;

constexpr int kMaxTrials = 10'000, kMaxSeeds = 20, kMaxRungs = 8;

// Trials whose settings are all at the first, and all at the last of their domain.
std::vector<nlohmann::json> Ends(const SearchSpace& space) {
  std::vector<nlohmann::json> out;
  for (size_t i = 0; i < space.size(); ++i) {
    // Also each alone against the others' middle, so that a condition hides nothing.
    for (const double unit : {0.0, 1.0}) {
      std::vector<double> point(space.size(), 0.5);
      point[i] = unit;
      out.push_back(space.Settings(point));
    }
  }
  for (const double unit : {0.0, 1.0}) {
    out.push_back(space.Settings(std::vector<double>(space.size(), unit)));
  }
  return out;
}

void CheckNumbers(const SweepSpec& s, Faults& faults) {
  const auto range = [&](const char* field, int64_t value, int64_t low, int64_t high) {
    if (value < low || value > high) {
      faults.Add(field, fmt::format("is {}; must be {} to {}", value, low, high));
    }
  };
  if (s.method != SearchMethod::kGrid) range("trials", s.trials, 1, kMaxTrials);
  range("seeds", s.seeds, 1, kMaxSeeds);
  range("parallel", s.parallel, 0, kMaxTrials);
  range("early_stopping.rungs", s.rungs.count, 1, kMaxRungs);
  if (!(s.rungs.reduction >= 2 && s.rungs.reduction <= 10)) {
    faults.Add("early_stopping.reduction",
               fmt::format("is {}; must be 2 to 10", s.rungs.reduction));
  }
  if (!(s.core_seconds >= 0)) {
    faults.Add("core_seconds", fmt::format("is {}; must be 0 (no limit) or above", s.core_seconds));
  }
  if (!(s.objective.l0_target >= 0)) {
    faults.Add("objective.l0_target",
               fmt::format("is {}; must be 0 (none) or above", s.objective.l0_target));
  }
  if (s.objective.kind == ObjectiveKind::kAuroc && s.objective.condition.expression.empty()) {
    faults.Add("objective.condition", "is empty; AUROC is that of a condition");
  }
}

// Whether value a is better than b.
bool Better(const SweepSpec& spec, double a, double b) {
  return SmallIsGood(spec.objective.kind) ? a < b : a > b;
}

// Means over the seeds of one rung.
TrialResult Mean(const std::vector<TrialResult>& results) {
  TrialResult out = results.front();
  const auto n = static_cast<double>(results.size());
  const auto mean = [&](auto member) {
    double sum = 0;
    for (const TrialResult& r : results) sum += r.*member;
    return sum / n;
  };
  const auto optional_mean = [&](auto member) -> std::optional<double> {
    double sum = 0;
    for (const TrialResult& r : results) {
      if (!(r.*member)) return std::nullopt;
      sum += *(r.*member);
    }
    return sum / n;
  };
  out.value = mean(&TrialResult::value);
  out.error = mean(&TrialResult::error);
  out.l0 = mean(&TrialResult::l0);
  out.dead_fraction = mean(&TrialResult::dead_fraction);
  out.explained_variance = optional_mean(&TrialResult::explained_variance);
  out.bits_per_spike = optional_mean(&TrialResult::bits_per_spike);
  out.auroc = optional_mean(&TrialResult::auroc);
  return out;
}

// What a trial's jobs, one for each seed, say together.
void Join(const SweepSpec& spec, const std::vector<const storage::JobRow*>& jobs,
          const std::map<std::string, std::map<int, TrialResult>>& results, TrialReport& out) {
  int failed = 0, cancelled = 0, done = 0, running = 0, paused = 0;
  for (const storage::JobRow* job : jobs) {
    out.job_ids.push_back(job->id);
    out.core_seconds += job->run_seconds * job->threads;
    failed += job->state == "FAILED";
    cancelled += job->state == "CANCELLED";
    done += job->state == "SUCCEEDED";
    running += job->state == "RUNNING";
    paused += job->shown_state() == "PAUSED";
    out.held |= job->state == "QUEUED" && job->held();
    if (job->state == "FAILED") out.error = job->error_message;
  }
  const int seeds = static_cast<int>(jobs.size());
  for (int rung = 0; seeds == spec.seeds && rung < spec.rungs.count; ++rung) {
    std::vector<TrialResult> at;
    for (const storage::JobRow* job : jobs) {
      const auto found = results.find(job->id);
      if (found == results.end() || !found->second.contains(rung)) break;
      at.push_back(found->second.at(rung));
    }
    if (static_cast<int>(at.size()) < seeds) break;
    out.result = Mean(at);
    out.values.push_back(out.result->value);
  }
  out.state = failed > 0                            ? State::kFailed
              : cancelled > 0                       ? State::kStopped
              : done == spec.seeds                  ? State::kDone
              : running > 0                         ? State::kRunning
              : paused + done == seeds && seeds > 0 ? State::kPaused
                                                    : State::kWaiting;
}

void MarkPareto(int rungs, std::vector<TrialReport>& trials) {
  const auto whole = [&](const TrialReport& t) {
    return static_cast<int>(t.values.size()) == rungs && t.result->explained_variance;
  };
  for (TrialReport& t : trials) {
    if (!whole(t)) continue;
    t.pareto = std::none_of(trials.begin(), trials.end(), [&](const TrialReport& o) {
      if (!whole(o)) return false;
      const double l = t.result->l0 - o.result->l0;
      const double e = *o.result->explained_variance - *t.result->explained_variance;
      return l >= 0 && e >= 0 && (l > 0 || e > 0);
    });
  }
}

}  // namespace

absl::StatusOr<int64_t> Check(const Stores& stores, SweepSpec& spec, const SubmitLimits& limits) {
  Faults faults;
  CheckNumbers(spec, faults);
  const auto space = SearchSpace::Make(spec.parameters);
  faults.Merge(space.status());
  TrainSpec whole_base = spec.base;
  const auto base = Check(stores, whole_base, limits);
  faults.Merge(base.status(), "base");
  if (!base.ok() && !absl::IsInvalidArgument(base.status())) return base.status();
  // Settings name levels, and all trials have one split and, unless that is a setting, one width of
  // bins. Batch and epochs are chosen for each trial, whose windows may be others.
  spec.base.fit.model.levels = whole_base.fit.model.levels;
  spec.base.view.bin_width = whole_base.view.bin_width;
  spec.base.view.split = whole_base.view.split;
  spec.base.warnings = whole_base.warnings;
  spec.base.choices = whole_base.choices;
  std::erase_if(spec.base.choices, [](const std::string& line) {
    return line.starts_with("batch ") || line.starts_with("epochs ");
  });
  SAED_RETURN_IF_ERROR(faults.ToStatus());
  int64_t trials = spec.trials;
  if (spec.method == SearchMethod::kGrid) {
    SAED_ASSIGN_OR_RETURN(const auto grid, space->Grid());
    trials = static_cast<int64_t>(grid.size());
  }
  SAED_ASSIGN_OR_RETURN(const auto recording, LoadRecording(stores, spec.base.recording_id));
  SAED_ASSIGN_OR_RETURN(auto view, InputOf(stores, spec.base, recording));
  SAED_RETURN_IF_ERROR(
      recordings::TakeValidation(spec.validation_fraction, spec.base.view.normaliser, view)
          .status());
  if (spec.objective.kind == ObjectiveKind::kAuroc) {
    const absl::Status found = features::Validate(recording, {spec.objective.condition}, &view);
    Faults condition;
    for (const FieldFault& fault : FaultsOf(found)) {
      constexpr std::string_view kAt = "conditions[0]";
      condition.Add(fmt::format("objective.condition{}", fault.field.substr(kAt.size())),
                    fault.description);
    }
    SAED_RETURN_IF_ERROR(condition.ToStatus());
  }
  for (const nlohmann::json& settings : Ends(*space)) {
    SAED_RETURN_IF_ERROR(StillWanted());
    SAED_ASSIGN_OR_RETURN(TrainSpec train, SearchSpace::Apply(spec.base, settings));
    const auto one = Check(stores, train, limits);
    if (absl::IsInvalidArgument(one.status())) {
      return InvalidField("parameters",
                          fmt::format("allow {}, which is refused: {}", settings.dump(),
                                      std::string(one.status().message())));
    }
    SAED_RETURN_IF_ERROR(one.status());
  }
  return trials;
}

Sweeps::Sweeps(Stores stores, const Clock& clock, Scheduler& scheduler)
    : stores_(stores), clock_(clock), scheduler_(scheduler) {}

Sweeps::~Sweeps() { Stop(); }

void Sweeps::Start() {
  loop_ = std::thread([this] { Loop(); });
}

void Sweeps::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  scheduler_.bell().Ring();
  if (loop_.joinable()) loop_.join();
}

namespace {

// Of a sweep that ended no trial's job is left: a cancel that the server's death, or the disk,
// broke off in the middle is carried through.
absl::Status CancelStrays(const Stores& stores, Scheduler& scheduler) {
  SAED_ASSIGN_OR_RETURN(const auto queue, stores.jobs.Queue());
  std::map<std::string, bool> ended;
  for (const storage::JobRow& job : queue) {
    if (job.kind != "trial") continue;
    if (!ended.contains(job.sweep_id)) {
      SAED_ASSIGN_OR_RETURN(const storage::SweepRow sweep, stores.sweeps.Get(job.sweep_id));
      ended[job.sweep_id] = sweep.finished();
    }
    if (!ended[job.sweep_id]) continue;
    spdlog::info("cancelling what is left of a sweep job={} sweep={}", job.id, job.sweep_id);
    const absl::Status s = scheduler.Cancel(job.id).status();
    if (!s.ok() && !absl::IsFailedPrecondition(s)) return s;
  }
  return absl::OkStatus();
}

}  // namespace

void Sweeps::Loop() {
  constexpr double kStraySeconds = 10;
  double looked = -kStraySeconds;
  while (true) {
    if (const double now = clock_.MonotonicSeconds(); now - looked >= kStraySeconds) {
      const absl::Status s = NoThrow([&] { return CancelStrays(stores_, scheduler_); });
      if (s.ok()) looked = now;
    }
    const uint64_t rings = scheduler_.bell().rings();
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
    }
    const auto running = stores_.sweeps.Running();
    if (running.ok()) {
      for (const storage::SweepRow& row : *running) {
        const absl::Status status = NoThrow([&] { return Advance(row); });
        if (!status.ok()) {
          spdlog::error("cannot go on with sweep={} error=\"{}\"", row.id,
                        std::string(status.message()));
        }
      }
    }
    // What happens to jobs rings the bell, but so does their progress.
    scheduler_.bell().Wait(rings, std::chrono::milliseconds(2000));
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, std::chrono::milliseconds(50), [&] { return stopping_; });
  }
}

absl::StatusOr<storage::SweepRow> Sweeps::Submit(SweepSpec spec, const std::string& request_id,
                                                 const std::string& owner) {
  // Of what was asked for, not of what Check makes of it.
  const std::string digest = Sha256Hex(ToJson(spec).dump());
  if (!request_id.empty()) {
    // Before the checks, whose answer may be another one than when it began.
    SAED_ASSIGN_OR_RETURN(const auto known, stores_.sweeps.OfRequest(request_id, owner));
    if (known && known->request_digest == digest) return *known;
  }
  SAED_RETURN_IF_ERROR(Check(stores_, spec, scheduler_.LimitsFor(owner)).status());
  storage::SweepRow row;
  row.id = storage::NewId();
  row.request_id = request_id;
  row.owner = owner;
  row.name = spec.name;
  row.recording_id = spec.base.recording_id;
  row.spec = ToJson(spec).dump();
  row.request_digest = digest;
  row.created_at = clock_.NowMicros();
  SAED_ASSIGN_OR_RETURN(row, stores_.sweeps.Insert(row));
  scheduler_.bell().Ring();
  return row;
}

absl::StatusOr<storage::SweepRow> Sweeps::Cancel(const std::string& id) {
  SAED_ASSIGN_OR_RETURN(const SweepReport report, Report(id));
  storage::SweepEnd end{"CANCELLED", "", report.best, ""};
  SAED_ASSIGN_OR_RETURN(const bool ended, stores_.sweeps.Finish(id, end, clock_.NowMicros()));
  if (!ended) {
    return absl::FailedPreconditionError(fmt::format(
        "sweeps/{} is already {}; only a RUNNING sweep can be cancelled", id, report.row.state));
  }
  SAED_ASSIGN_OR_RETURN(const auto jobs, stores_.jobs.OfSweep(id));
  for (const storage::JobRow& job : jobs) {
    if (!job.finished()) (void)scheduler_.Cancel(job.id);  // it may have just ended
  }
  return stores_.sweeps.Get(id);
}

absl::StatusOr<SweepReport> Sweeps::Report(const std::string& id) const {
  SweepReport out;
  SAED_ASSIGN_OR_RETURN(out.row, stores_.sweeps.Get(id));
  SAED_ASSIGN_OR_RETURN(const SweepSpec spec, ParseSweepSpec(out.row.spec));
  out.planned = spec.trials;
  if (spec.method == SearchMethod::kGrid) {
    SAED_ASSIGN_OR_RETURN(const SearchSpace space, SearchSpace::Make(spec.parameters));
    SAED_ASSIGN_OR_RETURN(const auto grid, space.Grid());
    out.planned = static_cast<int64_t>(grid.size());
  }
  SAED_ASSIGN_OR_RETURN(const auto trials, stores_.sweeps.Trials(id));
  SAED_ASSIGN_OR_RETURN(const auto jobs, stores_.jobs.OfSweep(id));
  SAED_ASSIGN_OR_RETURN(const auto evaluations, stores_.sweeps.Evaluations(id));
  std::map<std::string, std::map<int, TrialResult>> results;
  for (const storage::TrialEvaluation& e : evaluations) {
    SAED_ASSIGN_OR_RETURN(results[e.job_id][e.rung], ParseTrialResult(e.body));
  }
  std::map<int64_t, std::vector<const storage::JobRow*>> of_trial;
  for (const storage::JobRow& job : jobs) {
    if (job.kind == "trial") of_trial[job.trial].push_back(&job);
  }
  size_t best_rung = 0;
  for (const storage::TrialRow& trial : trials) {
    TrialReport& t = out.trials.emplace_back();
    t.number = trial.number;
    t.settings = trial.settings;
    Join(spec, of_trial[trial.number], results, t);
    out.core_seconds += t.core_seconds;
    if (t.state == State::kFailed || t.values.empty()) continue;
    if (t.values.size() > best_rung ||
        (t.values.size() == best_rung &&
         Better(spec, t.values.back(), out.trials[*out.best].values.back()))) {
      best_rung = t.values.size();
      out.best = trial.number;
    }
  }
  MarkPareto(spec.rungs.count, out.trials);
  return out;
}

absl::Status Sweeps::SubmitTrial(const storage::SweepRow& row, const SweepSpec& spec,
                                 int64_t number, const nlohmann::json& settings) {
  TrialSpec trial{spec.base, spec.objective, spec.rungs, spec.validation_fraction};
  SAED_ASSIGN_OR_RETURN(trial.train, SearchSpace::Apply(spec.base, settings));
  trial.train.conditions.clear();
  SubmitLimits limits = scheduler_.LimitsFor(row.owner);
  limits.default_threads = 1;
  limits.user_unfinished = 0;
  for (int seed = 0; seed < spec.seeds; ++seed) {
    trial.train.fit.seed = spec.base.fit.seed + static_cast<uint64_t>(seed);
    QueueOptions options;
    options.request_id =
        storage::ServerRequest(fmt::format("sweep {} trial {} seed {}", row.id, number, seed));
    options.owner = row.owner;
    SAED_RETURN_IF_ERROR(
        SubmitTrialJob(stores_, clock_, trial, row.id, number, options, limits).status());
  }
  scheduler_.Wake();
  return absl::OkStatus();
}

absl::Status Sweeps::Advance(const storage::SweepRow& row) {
  SAED_ASSIGN_OR_RETURN(const SweepSpec spec, ParseSweepSpec(row.spec));
  SAED_ASSIGN_OR_RETURN(const SearchSpace space, SearchSpace::Make(spec.parameters));
  SAED_ASSIGN_OR_RETURN(SweepReport report, Report(row.id));
  SAED_ASSIGN_OR_RETURN(const auto trials, stores_.sweeps.Trials(row.id));

  // A server that was killed between a trial and its jobs.
  for (size_t i = 0; i < trials.size(); ++i) {
    if (static_cast<int>(report.trials[i].job_ids.size()) == spec.seeds) continue;
    SAED_RETURN_IF_ERROR(
        SubmitTrial(row, spec, trials[i].number, nlohmann::json::parse(trials[i].settings)));
  }
  int live = 0;
  bool held = false;
  std::vector<Observation> history;
  std::vector<bool> waiting;
  for (size_t i = 0; i < trials.size(); ++i) {
    const TrialReport& t = report.trials[i];
    live += t.state == State::kWaiting || t.state == State::kRunning;
    held |= t.held;
    waiting.push_back(t.state == State::kPaused && !t.held);
    Observation& o = history.emplace_back();
    o.point = nlohmann::json::parse(trials[i].point).get<std::vector<double>>();
    o.failed = t.state == State::kFailed;
    for (const double v : t.values) {
      o.values.push_back(SmallIsGood(spec.objective.kind) ? v : -v);
    }
  }
  int parallel = spec.parallel;
  if (parallel == 0) {
    parallel = std::max(1, scheduler_.threads() / std::max(1, spec.base.threads) / spec.seeds);
  }
  auto begun = static_cast<int64_t>(trials.size());
  const bool spent = spec.core_seconds > 0 && report.core_seconds >= spec.core_seconds;
  std::vector<std::vector<double>> grid;
  if (spec.method == SearchMethod::kGrid && begun < report.planned) {
    SAED_ASSIGN_OR_RETURN(grid, space.Grid());
  }
  while (live < parallel && !spent) {
    if (const auto next = Promote(history, waiting, spec.rungs)) {
      for (const std::string& job : report.trials[*next].job_ids) {
        absl::Status s = stores_.jobs.Promote(job, static_cast<int>(history[*next].values.size()),
                                              clock_.NowMicros());
        if (!s.ok() && !absl::IsFailedPrecondition(s)) return s;
      }
      waiting[*next] = false;
      scheduler_.Wake();
    } else if (begun < report.planned) {
      const auto point = spec.method == SearchMethod::kGrid ? grid[begun]
                         : spec.method == SearchMethod::kRandom
                             ? RandomPoint(space, spec.seed, begun)
                             : ProposeTpe(space, history, spec.seed, begun);
      const nlohmann::json settings = space.Settings(point);
      SAED_RETURN_IF_ERROR(stores_.sweeps.InsertTrial(
          row.id, {begun, nlohmann::json(point).dump(), settings.dump()}));
      const absl::Status submitted = SubmitTrial(row, spec, begun, settings);
      if (absl::IsInvalidArgument(submitted)) {
        return stores_.sweeps
            .Finish(row.id,
                    {"FAILED", fmt::format("trial {}: {}", begun, std::string(submitted.message())),
                     report.best, ""},
                    clock_.NowMicros())
            .status();
      }
      SAED_RETURN_IF_ERROR(submitted);
      history.push_back({point, {}, false});
      waiting.push_back(false);
      ++begun;
    } else {
      break;
    }
    ++live;
  }
  if (live > 0 || held) return absl::OkStatus();
  return Conclude(report, spec);
}

absl::Status Sweeps::Conclude(const SweepReport& report, const SweepSpec& spec) {
  // Jobs of trials that were not promoted.
  for (const TrialReport& t : report.trials) {
    if (t.state != State::kPaused) continue;
    for (const std::string& job : t.job_ids) {
      auto s = scheduler_.Cancel(job).status();
      if (!s.ok() && !absl::IsFailedPrecondition(s)) return s;
    }
  }
  storage::SweepEnd end{"SUCCEEDED", "", report.best, ""};
  if (!report.best) {
    end.state = "FAILED";
    end.error_message = "no trial reached a value";
    for (const TrialReport& t : report.trials) {
      if (!t.error.empty()) end.error_message = fmt::format("trial {}: {}", t.number, t.error);
    }
  } else if (spec.train_best) {
    SAED_ASSIGN_OR_RETURN(
        TrainSpec train,
        SearchSpace::Apply(spec.base, nlohmann::json::parse(report.trials[*report.best].settings)));
    train.name = fmt::format("{}, best settings", spec.name);
    if (spec.name.empty() || !DisplayNameFault(train.name).empty()) {
      train.name = fmt::format("best of sweeps/{}", report.row.id);
    }
    QueueOptions options;
    options.request_id = storage::ServerRequest(fmt::format("sweep {} best", report.row.id));
    options.owner = report.row.owner;
    SubmitLimits limits = scheduler_.LimitsFor(report.row.owner);
    limits.user_unfinished = 0;
    const auto job = jobs::Submit(stores_, clock_, train, options, limits);
    SAED_RETURN_IF_ERROR(job.status());
    end.best_job = job->id;
    scheduler_.Wake();
  }
  spdlog::info("sweep ended sweep={} state={} trials={} core_seconds={:.1f}", report.row.id,
               end.state, report.trials.size(), report.core_seconds);
  const auto ended = stores_.sweeps.Finish(report.row.id, end, clock_.NowMicros());
  scheduler_.bell().Ring();
  SAED_RETURN_IF_ERROR(ended.status());
  // Cancelled while its best settings were checked: they are not trained.
  if (!*ended && !end.best_job.empty()) return scheduler_.Cancel(end.best_job).status();
  return absl::OkStatus();
}

}  // namespace saed::jobs
