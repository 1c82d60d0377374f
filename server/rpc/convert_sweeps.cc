#include "server/rpc/convert_sweeps.h"

#include <fmt/format.h>
#include <google/protobuf/util/json_util.h>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/rpc/convert.h"

namespace saed::rpc {
namespace {

using google::protobuf::Value;

nlohmann::json ToJson(const Value& value) {
  switch (value.kind_case()) {
    case Value::kNumberValue:
      return value.number_value();
    case Value::kStringValue:
      return value.string_value();
    case Value::kBoolValue:
      return value.bool_value();
    default:
      return nullptr;
  }
}

Value ToValue(const nlohmann::json& json) {
  Value out;
  if (json.is_number()) {
    out.set_number_value(json.get<double>());
  } else if (json.is_string()) {
    out.set_string_value(json.get<std::string>());
  } else if (json.is_boolean()) {
    out.set_bool_value(json.get<bool>());
  }
  return out;
}

jobs::SearchParameter FromProto(const v1::SweepParameter& m) {
  jobs::SearchParameter p;
  p.field = m.field();
  for (const Value& v : m.values()) p.values.push_back(ToJson(v));
  p.low = m.range().low();
  p.high = m.range().high();
  p.logarithmic = m.range().logarithmic();
  p.integer = m.range().integer();
  p.points = m.range().points();
  p.when_field = m.when_field();
  for (const Value& v : m.when_values()) p.when_values.push_back(ToJson(v));
  return p;
}

v1::SweepParameter ToProto(const jobs::SearchParameter& p) {
  v1::SweepParameter m;
  m.set_field(p.field);
  for (const auto& v : p.values) *m.add_values() = ToValue(v);
  if (p.values.empty()) {
    m.mutable_range()->set_low(p.low);
    m.mutable_range()->set_high(p.high);
    m.mutable_range()->set_logarithmic(p.logarithmic);
    m.mutable_range()->set_integer(p.integer);
    m.mutable_range()->set_points(p.points);
  }
  m.set_when_field(p.when_field);
  for (const auto& v : p.when_values) *m.add_when_values() = ToValue(v);
  return m;
}

// Enumerators of the message and of the type, in the same order.
template <class To, class From>
std::optional<To> Mapped(From value, std::initializer_list<std::pair<From, To>> pairs) {
  for (const auto& [from, to] : pairs) {
    if (from == value) return to;
  }
  return std::nullopt;
}

v1::Trial ToProto(const jobs::TrialReport& t) {
  v1::Trial m;
  m.set_number(t.number);
  (void)google::protobuf::util::JsonStringToMessage(t.settings, m.mutable_settings());
  m.set_state(static_cast<v1::Trial::State>(static_cast<int>(t.state) + 1));
  for (const double v : t.values) m.add_values(v);
  if (t.result) {
    if (t.result->explained_variance) m.set_explained_variance(*t.result->explained_variance);
    if (t.result->bits_per_spike) m.set_bits_per_spike(*t.result->bits_per_spike);
    if (t.result->auroc) m.set_auroc(*t.result->auroc);
    m.set_error(t.result->error);
    m.set_l0(t.result->l0);
    m.set_dead_fraction(t.result->dead_fraction);
  }
  m.set_core_seconds(t.core_seconds);
  m.set_pareto(t.pareto);
  m.set_failure(t.error);
  for (const std::string& id : t.job_ids) m.add_jobs("jobs/" + id);
  return m;
}

static_assert(static_cast<int>(jobs::TrialReport::State::kFailed) + 1 == v1::Trial::STATE_FAILED);

}  // namespace

absl::StatusOr<jobs::SweepSpec> FromProto(const v1::SweepSpec& m) {
  Faults faults;
  jobs::SweepSpec out;
  auto base = FromProto(m.base());
  faults.Merge(base.status(), "base");
  for (const v1::SweepParameter& p : m.parameters()) out.parameters.push_back(FromProto(p));
  using Method = jobs::SearchMethod;
  const auto method =
      Mapped<Method, v1::SweepMethod>(m.method(), {{v1::SWEEP_METHOD_UNSPECIFIED, Method::kTpe},
                                                   {v1::SWEEP_METHOD_GRID, Method::kGrid},
                                                   {v1::SWEEP_METHOD_RANDOM, Method::kRandom},
                                                   {v1::SWEEP_METHOD_TPE, Method::kTpe}});
  if (!method) faults.Add("method", "has an unknown value; must be GRID, RANDOM or TPE");
  using Kind = jobs::ObjectiveKind;
  const v1::SweepObjective& o = m.objective();
  const auto kind = Mapped<Kind, v1::SweepObjective::Kind>(
      o.kind(), {{v1::SweepObjective::KIND_UNSPECIFIED, Kind::kExplainedVariance},
                 {v1::SweepObjective::KIND_ERROR, Kind::kError},
                 {v1::SweepObjective::KIND_EXPLAINED_VARIANCE, Kind::kExplainedVariance},
                 {v1::SweepObjective::KIND_BITS_PER_SPIKE, Kind::kBitsPerSpike},
                 {v1::SweepObjective::KIND_AUROC, Kind::kAuroc}});
  if (!kind) {
    faults.Add("objective.kind",
               "has an unknown value; must be ERROR, EXPLAINED_VARIANCE, BITS_PER_SPIKE or AUROC");
  }
  SAED_RETURN_IF_ERROR(faults.ToStatus());
  out.base = *std::move(base);
  out.method = *method;
  out.objective = {*kind, o.l0_target(), {o.condition().name(), o.condition().expression()}};
  out.trials = m.trials();
  out.seeds = m.seeds() == 0 ? 1 : m.seeds();
  out.rungs.count = m.early_stopping().rungs() == 0 ? 1 : m.early_stopping().rungs();
  out.rungs.reduction = m.early_stopping().reduction() == 0 ? 3 : m.early_stopping().reduction();
  out.parallel = m.parallel();
  out.validation_fraction = m.validation_fraction() == 0 ? 0.2 : m.validation_fraction();
  out.core_seconds = m.core_seconds();
  out.seed = m.seed();
  out.train_best = !m.skip_best();
  return out;
}

v1::SweepSpec ToProto(const jobs::SweepSpec& s) {
  v1::SweepSpec m;
  *m.mutable_base() = ToProto(s.base);
  for (const auto& p : s.parameters) *m.add_parameters() = ToProto(p);
  m.set_method(s.method == jobs::SearchMethod::kGrid     ? v1::SWEEP_METHOD_GRID
               : s.method == jobs::SearchMethod::kRandom ? v1::SWEEP_METHOD_RANDOM
                                                         : v1::SWEEP_METHOD_TPE);
  auto* o = m.mutable_objective();
  o->set_kind(static_cast<v1::SweepObjective::Kind>(static_cast<int>(s.objective.kind) + 1));
  o->set_l0_target(s.objective.l0_target);
  if (!s.objective.condition.expression.empty()) {
    *o->mutable_condition() = ToProto(s.objective.condition);
  }
  m.set_trials(s.trials);
  m.set_seeds(s.seeds);
  m.mutable_early_stopping()->set_rungs(s.rungs.count);
  m.mutable_early_stopping()->set_reduction(s.rungs.reduction);
  m.set_parallel(s.parallel);
  m.set_validation_fraction(s.validation_fraction);
  m.set_core_seconds(s.core_seconds);
  m.set_seed(s.seed);
  m.set_skip_best(!s.train_best);
  return m;
}

static_assert(static_cast<int>(jobs::ObjectiveKind::kAuroc) + 1 == v1::SweepObjective::KIND_AUROC);

absl::StatusOr<v1::Sweep> ToProto(const storage::SweepRow& row) {
  v1::Sweep m;
  m.set_name("sweeps/" + row.id);
  m.set_display_name(row.name);
  v1::Sweep::State state = v1::Sweep::STATE_UNSPECIFIED;
  v1::Sweep::State_Parse("STATE_" + row.state, &state);
  m.set_state(state);
  SAED_ASSIGN_OR_RETURN(const jobs::SweepSpec spec, jobs::ParseSweepSpec(row.spec));
  *m.mutable_spec() = ToProto(spec);
  *m.mutable_create_time() = Timestamp(row.created_at);
  if (row.finished_at) *m.mutable_end_time() = Timestamp(*row.finished_at);
  m.set_owner(row.owner);
  m.set_error(row.error_message);
  if (row.best_trial) m.set_best_trial(*row.best_trial);
  if (!row.best_job.empty()) m.set_best_job("jobs/" + row.best_job);
  return m;
}

absl::StatusOr<v1::Sweep> ToProto(const jobs::SweepReport& report) {
  SAED_ASSIGN_OR_RETURN(v1::Sweep m, ToProto(report.row));
  m.set_planned_trials(report.planned);
  for (const jobs::TrialReport& t : report.trials) *m.add_trials() = ToProto(t);
  if (report.best) m.set_best_trial(*report.best);
  m.set_core_seconds(report.core_seconds);
  return m;
}

}  // namespace saed::rpc
