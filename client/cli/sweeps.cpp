// saectl sweep and saectl sweeps: looking for good settings.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <map>

#include "client/cli/ask.h"
#include "client/cli/command.h"
#include "client/cli/connection.h"
#include "client/cli/output.h"
#include "client/cli/queue_flags.h"
#include "client/cli/train_flags.h"
#include "client/cli/words.h"
#include "server/base/status_macros.h"

namespace saed::cli {
namespace {

using google::protobuf::Value;

Value ParseValue(const std::string& text) {
  Value out;
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  if (!text.empty() && *end == '\0') {
    out.set_number_value(number);
  } else if (text == "true" || text == "false") {
    out.set_bool_value(text == "true");
  } else {
    out.set_string_value(text);
  }
  return out;
}

std::vector<std::string> Split(const std::string& text, char by) {
  std::vector<std::string> out;
  size_t begin = 0;
  for (size_t at = text.find(by); at != std::string::npos; at = text.find(by, begin)) {
    out.push_back(text.substr(begin, at - begin));
    begin = at + 1;
  }
  out.push_back(text.substr(begin));
  return out;
}

bool TakeSuffix(std::string& text, const std::string& suffix) {
  if (!text.ends_with(suffix)) return false;
  text.resize(text.size() - suffix.size());
  return true;
}

// "FIELD=A,B,C" or "FIELD=LOW..HIGH[/POINTS][ log]", then perhaps " if FIELD=A,B".
absl::StatusOr<v1::SweepParameter> ParseSearch(const std::string& text) {
  const auto wrong = [&] {
    return absl::InvalidArgumentError(fmt::format(
        "--search is '{}'; must be FIELD=VALUE,VALUE or FIELD=LOW..HIGH, e.g. 'k=4,8,16', 'lr=1e-4"
        "..0.1 log', 'lambda=0.01..1/5 log if selection=relu' (five points in a grid)",
        text));
  };
  v1::SweepParameter out;
  std::string rest = text;
  if (const size_t at = rest.find(" if "); at != std::string::npos) {
    const std::string condition = rest.substr(at + 4);
    const size_t equals = condition.find('=');
    if (equals == std::string::npos) return wrong();
    out.set_when_field(condition.substr(0, equals));
    for (const auto& v : Split(condition.substr(equals + 1), ',')) {
      *out.add_when_values() = ParseValue(v);
    }
    rest.resize(at);
  }
  const size_t equals = rest.find('=');
  if (equals == std::string::npos || equals == 0) return wrong();
  out.set_field(rest.substr(0, equals));
  std::string domain = rest.substr(equals + 1);
  const bool logarithmic = TakeSuffix(domain, " log");
  const size_t dots = domain.find("..");
  if (dots == std::string::npos) {
    if (domain.empty() || logarithmic) return wrong();
    for (const auto& v : Split(domain, ',')) *out.add_values() = ParseValue(v);
    return out;
  }
  auto* range = out.mutable_range();
  range->set_logarithmic(logarithmic);
  const std::string low = domain.substr(0, dots);
  std::string high = domain.substr(dots + 2);
  if (const size_t slash = high.find('/'); slash != std::string::npos) {
    range->set_points(std::atoi(high.c_str() + slash + 1));
    high.resize(slash);
  }
  if (!ParseValue(low).has_number_value() || !ParseValue(high).has_number_value()) return wrong();
  range->set_low(ParseValue(low).number_value());
  range->set_high(ParseValue(high).number_value());
  range->set_integer((low + high).find_first_not_of("0123456789") == std::string::npos);
  return out;
}

std::string Settings(const v1::Trial& trial) {
  std::string out;
  for (const auto& [field, value] : std::map<std::string, Value>(trial.settings().fields().begin(),
                                                                 trial.settings().fields().end())) {
    out += fmt::format("{}{}={}", out.empty() ? "" : " ", field,
                       value.has_number_value() ? fmt::format("{:.4g}", value.number_value())
                       : value.has_bool_value() ? fmt::format("{}", value.bool_value())
                                                : value.string_value());
  }
  return out;
}

std::string StateName(const v1::Trial& trial) {
  std::string out = v1::Trial::State_Name(trial.state()).substr(6);
  if (!trial.values().empty() && trial.state() != v1::Trial::STATE_DONE) {
    out += fmt::format(" at rung {}", trial.values_size());
  }
  return out;
}

std::string Summary(const v1::Sweep& s) {
  int done = 0, running = 0;
  for (const auto& t : s.trials()) {
    done += t.state() == v1::Trial::STATE_DONE;
    running += t.state() == v1::Trial::STATE_RUNNING || t.state() == v1::Trial::STATE_WAITING;
  }
  std::string out = fmt::format(
      "{} of {} trials begun, {} running, {} trained to the end, {:.0f} "
      "core-seconds",
      s.trials_size(), s.planned_trials(), running, done, s.core_seconds());
  if (s.has_best_trial() && s.best_trial() < s.trials_size()) {
    const auto& best = s.trials(static_cast<int>(s.best_trial()));
    if (!best.values().empty()) {
      out += fmt::format("; best {:.5g}", best.values(best.values_size() - 1));
    }
  }
  return out;
}

void Print(const v1::Sweep& s) {
  fmt::print("{}  {}  {}\n{}\n", s.name(), v1::Sweep::State_Name(s.state()).substr(6),
             s.display_name(), Summary(s));
  if (!s.error().empty()) fmt::print("failed: {}\n", s.error());
  const bool small = s.spec().objective().kind() == v1::SweepObjective::KIND_ERROR;
  std::vector<const v1::Trial*> order;
  for (const auto& t : s.trials()) order.push_back(&t);
  // The best first: the highest rung, then the value.
  std::stable_sort(order.begin(), order.end(), [&](const v1::Trial* a, const v1::Trial* b) {
    const auto key = [&](const v1::Trial* t) {
      const int rung = t->state() == v1::Trial::STATE_FAILED ? -1 : t->values_size();
      const double value = t->values().empty() ? 0 : t->values(t->values_size() - 1);
      return std::pair(-rung, small ? value : -value);
    };
    return key(a) < key(b);
  });
  std::vector<std::vector<std::string>> rows;
  for (const v1::Trial* t : order) {
    const bool known = !t->values().empty();
    const auto number = [&](const char* format, double value) {
      return known ? fmt::format(fmt::runtime(format), value) : "";
    };
    rows.push_back({std::to_string(t->number()), StateName(*t),
                    number("{:.5g}", known ? t->values(t->values_size() - 1) : 0),
                    t->has_explained_variance() ? number("{:.4f}", t->explained_variance()) : "",
                    number("{:.2f}", t->l0()), number("{:.0f} %", 100 * t->dead_fraction()),
                    fmt::format("{:.1f}", t->core_seconds()), t->pareto() ? "*" : "",
                    t->failure().empty() ? Settings(*t) : Settings(*t) + "  " + t->failure()});
  }
  fmt::print("\n{}", Table({"TRIAL", "STATE", "VALUE", "EXPL. VAR.", "L0", "DEAD", "CORE-S",
                            "PARETO", "SETTINGS"},
                           rows, TerminalWidth(), {0, 2, 3, 4, 5, 6}));
  if (!s.best_job().empty()) {
    fmt::print(
        "\nThe best settings are trained on all training windows by {}.\nNext: saectl jobs "
        "watch {}\n",
        s.best_job(), s.best_job());
  }
}

// Takes what is newer of the sweep, and beside its trials those that are known already.
void KeepTrials(v1::Sweep& known, v1::Sweep& newer) {
  std::map<int64_t, v1::Trial> trials;
  for (auto* sweep : {&known, &newer}) {
    for (auto& trial : *sweep->mutable_trials()) trials[trial.number()].Swap(&trial);
    sweep->clear_trials();
  }
  known.Swap(&newer);
  for (auto& [number, trial] : trials) known.add_trials()->Swap(&trial);
}

absl::StatusOr<v1::Sweep> Get(Session& session, const std::string& name) {
  v1::GetSweepRequest request;
  request.set_name(FullName("sweeps", name));
  request.set_page_size(1000);
  v1::Sweep sweep;
  do {
    grpc::ClientContext context;
    v1::GetSweepResponse response;
    SAED_RETURN_IF_ERROR(
        client::FromGrpc(session.client->sweeps().GetSweep(&context, request, &response)));
    KeepTrials(sweep, *response.mutable_sweep());
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty());
  return sweep;
}

void Show(const Session& session, const v1::Sweep& sweep) {
  if (session.json) {
    fmt::print("{}", Json(sweep));
  } else {
    Print(sweep);
  }
}

// Of the planned trials.
double Ended(const v1::Sweep& s) {
  int ended = 0;
  for (const auto& t : s.trials()) ended += t.state() >= v1::Trial::STATE_PAUSED;
  return s.planned_trials() == 0
             ? 0
             : static_cast<double>(ended) / static_cast<double>(s.planned_trials());
}

absl::Status Watch(Session& session, const std::string& name) {
  v1::Sweep last;
  {
    ProgressLine line;
    v1::WatchSweepRequest request;
    request.set_name(FullName("sweeps", name));
    request.set_changed_trials(true);
    bool heard = false;
    const GoesOn goes_on(request.name());
    SAED_RETURN_IF_ERROR(Follow(line, heard, [&] {
      grpc::ClientContext context;
      const auto stream = session.client->sweeps().WatchSweep(&context, request);
      v1::WatchSweepResponse event;
      for (heard = false; stream->Read(&event); heard = true) {
        KeepTrials(last, *event.mutable_sweep());
        line.Show(Ended(last), Summary(last));
      }
      return stream->Finish();
    }));
  }
  Show(session, last);
  if (last.state() == v1::Sweep::STATE_SUCCEEDED) return absl::OkStatus();
  return absl::AbortedError(fmt::format("{} {}{}{}", last.name(),
                                        v1::Sweep::State_Name(last.state()).substr(6),
                                        last.error().empty() ? "" : ": ", last.error()));
}

struct SweepFlags {
  TrainFlags train;
  std::vector<std::string> search;
  std::string method = "tpe", objective = "explained_variance", condition, name;
  int trials = 40, seeds = 1, rungs = 1, parallel = 0;
  double reduction = 3, l0_target = 0, validation = 0.2, core_seconds = 0;
  uint64_t search_seed = 0;
  bool skip_best = false, detach = false, check = false;
};

absl::Status Create(Session& session, const SweepFlags& f) {
  v1::CreateSweepRequest request;
  request.set_request_id(NewRequestId());
  request.set_display_name(f.name);
  request.set_validate_only(f.check);
  auto* spec = request.mutable_spec();
  SAED_RETURN_IF_ERROR(f.train.Fill(*spec->mutable_base()));
  for (const std::string& text : f.search) {
    SAED_ASSIGN_OR_RETURN(*spec->add_parameters(), ParseSearch(text));
  }
  spec->set_method(f.method == "grid"     ? v1::SWEEP_METHOD_GRID
                   : f.method == "random" ? v1::SWEEP_METHOD_RANDOM
                                          : v1::SWEEP_METHOD_TPE);
  auto* objective = spec->mutable_objective();
  objective->set_kind(f.objective == "error"            ? v1::SweepObjective::KIND_ERROR
                      : f.objective == "bits_per_spike" ? v1::SweepObjective::KIND_BITS_PER_SPIKE
                      : f.objective == "auroc"          ? v1::SweepObjective::KIND_AUROC
                                               : v1::SweepObjective::KIND_EXPLAINED_VARIANCE);
  objective->set_l0_target(f.l0_target);
  if (!f.condition.empty()) {
    SAED_ASSIGN_OR_RETURN(*objective->mutable_condition(),
                          ParseCondition(f.condition, "--objective-condition"));
  }
  spec->set_trials(f.trials);
  spec->set_seeds(f.seeds);
  spec->mutable_early_stopping()->set_rungs(f.rungs);
  spec->mutable_early_stopping()->set_reduction(f.reduction);
  spec->set_parallel(f.parallel);
  spec->set_validation_fraction(f.validation);
  spec->set_core_seconds(f.core_seconds);
  spec->set_seed(f.search_seed);
  spec->set_skip_best(f.skip_best);
  grpc::ClientContext context;
  v1::CreateSweepResponse response;
  SAED_RETURN_IF_ERROR(
      client::FromGrpc(session.client->sweeps().CreateSweep(&context, request, &response)));
  const v1::Sweep& sweep = response.sweep();
  if (session.json && (f.detach || f.check)) fmt::print("{}", Json(sweep));
  if (!session.json) {
    fmt::print("{}\n", f.check ? fmt::format("the sweep is good: {} trials", sweep.planned_trials())
                               : sweep.name());
    PrintChoices(sweep.spec().base());
  }
  if (f.detach || f.check) return absl::OkStatus();
  return Watch(session, response.sweep().name());
}

absl::Status List(Session& session) {
  v1::ListSweepsRequest request;
  SAED_ASSIGN_OR_RETURN(
      const auto all,
      AllPages<v1::ListSweepsResponse>(request, [&](auto* context, const auto& r, auto* out) {
        return session.client->sweeps().ListSweeps(context, r, out);
      }));
  if (session.json) {
    fmt::print("{}", Json(all));
    return absl::OkStatus();
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& s : all.sweeps()) {
    rows.push_back({s.name(), v1::Sweep::State_Name(s.state()).substr(6), s.owner(),
                    s.display_name(), s.spec().base().recording(), Utc(s.create_time()),
                    s.best_job()});
  }
  fmt::print(
      "{}", Listing("sweeps", false,
                    {"SWEEP", "STATE", "OWNER", "NAME", "RECORDING", "CREATED", "BEST JOB"}, rows));
  return absl::OkStatus();
}

void AddCreate(CLI::App& app, Session& session) {
  auto* c = app.add_subcommand(
      "sweep",
      "Look for good settings of `train`, then train the best; held-out windows stay unseen");
  auto f = std::make_shared<SweepFlags>();
  f->train.AddTo(*c);
  c->add_option("--search", f->search,
                "What varies (repeatable): FIELD=VALUE,VALUE or FIELD=LOW..HIGH[/POINTS][ log], "
                "perhaps ' if FIELD=VALUE'. Fields: lr, k, features, lambda, selection, loss, "
                "window, or a path such as model.levels[0].k")
      ->required()
      ->group("Sweep");
  c->add_option("--method", f->method, "tpe (default), random or grid")
      ->transform(OneOf({"tpe", "random", "grid"}))
      ->group("Sweep");
  c->add_option("--trials", f->trials, "Of tpe and random")->group("Sweep")->capture_default_str();
  c->add_option("--seeds", f->seeds, "Per trial")->group("Sweep")->capture_default_str();
  c->add_option("--rungs", f->rungs, "Early stopping: rungs of successive halving; 1 for none")
      ->group("Sweep")
      ->capture_default_str();
  c->add_option("--reduction", f->reduction, "One in so many goes on to the next rung")
      ->group("Sweep")
      ->capture_default_str();
  c->add_option("--objective", f->objective, "On validation windows, part of the training side")
      ->transform(OneOf({"error", "explained_variance", "bits_per_spike", "auroc"}))
      ->group("Sweep")
      ->capture_default_str();
  c->add_option("--l0-target", f->l0_target, "L0 above it costs: max(0, L0/target - 1)")
      ->group("Sweep");
  c->add_option("--objective-condition", f->condition, "'NAME: EXPRESSION', for auroc")
      ->group("Sweep");
  c->add_option("--validation", f->validation, "Part of the training windows that judges")
      ->group("Sweep")
      ->capture_default_str();
  c->add_option("--parallel", f->parallel, "Trials at once; 0: as many as fit")->group("Sweep");
  c->add_option("--core-seconds", f->core_seconds, "Begin nothing new after so many; 0: no limit")
      ->group("Sweep");
  c->add_option("--search-seed", f->search_seed, "Of the search")->group("Sweep");
  c->add_flag("--skip-best", f->skip_best, "Do not train the best settings at the end")
      ->group("Sweep");
  c->add_option("--name", f->name, "Name for people");
  c->add_flag("--detach", f->detach, "Do not wait for it");
  c->add_flag("--check", f->check, "Only check it");
  Run(c, session, [&session, f] { return Create(session, *f); });
}

}  // namespace

void AddSweepCommands(CLI::App& app, Session& session) {
  AddCreate(app, session);
  auto* group = app.add_subcommand("sweeps", "Sweeps: list, show, watch, cancel, delete");
  group->require_subcommand(1);
  Run(group->add_subcommand("list", "All sweeps, newest first"), session,
      [&session] { return List(session); });
  const auto named = [&](const char* command, const char* help, auto fn) {
    auto* sub = group->add_subcommand(command, help);
    auto name = std::make_shared<std::string>();
    sub->add_option("sweep", *name, "Its name or id")->required();
    Run(sub, session, [&session, name, fn] { return fn(session, *name); });
  };
  named("show", "One sweep and its trials, the best first",
        [](Session& s, const std::string& name) -> absl::Status {
          SAED_ASSIGN_OR_RETURN(const v1::Sweep sweep, Get(s, name));
          Show(s, sweep);
          return absl::OkStatus();
        });
  named("watch", "Follow a sweep to its end", Watch);
  named("cancel", "End a sweep; what it has reached stays",
        [](Session& s, const std::string& name) -> absl::Status {
          grpc::ClientContext context;
          v1::CancelSweepRequest request;
          request.set_name(FullName("sweeps", name));
          v1::CancelSweepResponse response;
          SAED_RETURN_IF_ERROR(
              client::FromGrpc(s.client->sweeps().CancelSweep(&context, request, &response)));
          Show(s, response.sweep());
          return absl::OkStatus();
        });
  named("delete", "Forget a finished sweep and its trials",
        [](Session& s, const std::string& name) -> absl::Status {
          v1::DeleteSweepRequest request;
          request.set_name(FullName("sweeps", name));
          return Erase<v1::DeleteSweepResponse>(
              s, request, [&](auto... a) { return s.client->sweeps().DeleteSweep(a...); });
        });
}

}  // namespace saed::cli
