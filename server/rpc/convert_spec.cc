// Job specifications.
#include <fmt/format.h>

#include "server/base/faults.h"
#include "server/rpc/convert.h"
#include "server/rpc/names.h"

namespace saed::rpc {
namespace {

using recordings::NormaliserKind;
using recordings::SplitKind;

template <class Enum>
void CheckEnum(Enum value, bool known, const char* field, Faults& faults) {
  if (!known) {
    faults.Add(field, fmt::format("has the unknown value {}", static_cast<int>(value)));
  }
}

// Pairs of our values and the wire's, the first one being the default.
template <class Ours, class Wire, size_t n>
Ours FromWire(const std::pair<Ours, Wire> (&pairs)[n], Wire value) {
  for (const auto& [ours, wire] : pairs) {
    if (wire == value) return ours;
  }
  return pairs[0].first;
}
template <class Ours, class Wire, size_t n>
Wire ToWire(const std::pair<Ours, Wire> (&pairs)[n], Ours value) {
  for (const auto& [ours, wire] : pairs) {
    if (ours == value) return wire;
  }
  return pairs[0].second;
}

constexpr std::pair<sae::Selection, v1::Selection> kSelections[] = {
    {sae::Selection::kRelu, v1::SELECTION_RELU},
    {sae::Selection::kTopK, v1::SELECTION_TOP_K},
    {sae::Selection::kBatchTopK, v1::SELECTION_BATCH_TOP_K},
    {sae::Selection::kJumpRelu, v1::SELECTION_JUMP_RELU},
    {sae::Selection::kGated, v1::SELECTION_GATED}};
constexpr std::pair<sae::BiasStart, v1::BiasStart> kBiasStarts[] = {
    {sae::BiasStart::kMean, v1::BIAS_START_MEAN},
    {sae::BiasStart::kZero, v1::BIAS_START_ZERO},
    {sae::BiasStart::kGeometricMedian, v1::BIAS_START_GEOMETRIC_MEDIAN}};
constexpr std::pair<sae::Revival, v1::Revival> kRevivals[] = {
    {sae::Revival::kAuxK, v1::REVIVAL_AUX_K},
    {sae::Revival::kNldisco, v1::REVIVAL_NLDISCO},
    {sae::Revival::kResample, v1::REVIVAL_RESAMPLE},
    {sae::Revival::kNone, v1::REVIVAL_NONE}};
constexpr std::pair<sae::OptimiserKind, v1::OptimiserKind> kOptimisers[] = {
    {sae::OptimiserKind::kAdam, v1::OPTIMISER_KIND_ADAM},
    {sae::OptimiserKind::kAdamW, v1::OPTIMISER_KIND_ADAMW},
    {sae::OptimiserKind::kMomentum, v1::OPTIMISER_KIND_MOMENTUM}};
constexpr std::pair<NormaliserKind, v1::Normaliser> kNormalisers[] = {
    {NormaliserKind::kNone, v1::NORMALISER_NONE},
    {NormaliserKind::kZscore, v1::NORMALISER_ZSCORE},
    {NormaliserKind::kMinmax, v1::NORMALISER_MINMAX}};
constexpr std::pair<recordings::TrialOrder, v1::TrialOrder> kTrialOrders[] = {
    {recordings::TrialOrder::kInterleaved, v1::TRIAL_ORDER_INTERLEAVED},
    {recordings::TrialOrder::kRandom, v1::TRIAL_ORDER_RANDOM},
    {recordings::TrialOrder::kBlocks, v1::TRIAL_ORDER_BLOCKS}};
constexpr std::pair<recordings::Outside, v1::Outside> kOutsides[] = {
    {recordings::Outside::kTrains, v1::OUTSIDE_TRAINS},
    {recordings::Outside::kLeftOut, v1::OUTSIDE_LEFT_OUT}};

NormaliserKind NormaliserOf(v1::Normaliser value) { return FromWire(kNormalisers, value); }
v1::Normaliser ToProto(NormaliserKind value) { return ToWire(kNormalisers, value); }

recordings::Split SplitOf(const v1::Split& m, Faults& faults) {
  recordings::Split out;
  switch (m.kind_case()) {
    case v1::Split::kColumn: {
      const auto& c = m.column();
      out.kind = SplitKind::kColumn;
      out.table = c.table();
      out.column = c.column();
      out.train_values.assign(c.train_values().begin(), c.train_values().end());
      out.test_values.assign(c.test_values().begin(), c.test_values().end());
      break;
    }
    case v1::Split::kTrials: {
      const auto& t = m.trials();
      CheckEnum(t.order(), v1::TrialOrder_IsValid(t.order()), "view.split.trials.order", faults);
      CheckEnum(t.outside(), v1::Outside_IsValid(t.outside()), "view.split.trials.outside", faults);
      out.kind = SplitKind::kTrials;
      out.trials = {t.table(),
                    t.filter(),
                    FromWire(kTrialOrders, t.order()),
                    t.seed(),
                    t.held_out(),
                    t.stratify(),
                    t.folds(),
                    t.fold(),
                    {},
                    FromWire(kOutsides, t.outside())};
      if (t.has_embargo()) out.trials.embargo = t.embargo();
      break;
    }
    case v1::Split::kTime:
      out.kind = SplitKind::kTime;
      out.time = {m.time().blocks(), m.time().held_out(), {}};
      if (m.time().has_embargo()) out.time.embargo = m.time().embargo();
      break;
    case v1::Split::kTrainFraction:
      out.train_fraction = m.train_fraction();
      break;
    case v1::Split::kInSample:
      // False says nothing, as a field of its own would.
      out.kind = m.in_sample() ? SplitKind::kInSample : SplitKind::kLeftOut;
      break;
    case v1::Split::KIND_NOT_SET:
      out.kind = SplitKind::kLeftOut;
      break;
  }
  return out;
}

void SetSplit(const recordings::Split& split, v1::Split& m) {
  switch (split.kind) {
    case SplitKind::kColumn: {
      auto* c = m.mutable_column();
      c->set_table(split.table);
      c->set_column(split.column);
      c->mutable_train_values()->Assign(split.train_values.begin(), split.train_values.end());
      c->mutable_test_values()->Assign(split.test_values.begin(), split.test_values.end());
      break;
    }
    case SplitKind::kTrials: {
      auto* t = m.mutable_trials();
      const recordings::TrialSplit& from = split.trials;
      t->set_table(from.table);
      t->set_filter(from.filter);
      t->set_order(ToWire(kTrialOrders, from.order));
      t->set_seed(from.seed);
      t->set_held_out(from.held_out);
      t->set_stratify(from.stratify);
      t->set_folds(from.folds);
      t->set_fold(from.fold);
      if (from.embargo) t->set_embargo(*from.embargo);
      t->set_outside(ToWire(kOutsides, from.outside));
      break;
    }
    case SplitKind::kTime:
      m.mutable_time()->set_blocks(split.time.blocks);
      m.mutable_time()->set_held_out(split.time.held_out);
      if (split.time.embargo) m.mutable_time()->set_embargo(*split.time.embargo);
      break;
    case SplitKind::kInSample:
      m.set_in_sample(true);
      break;
    case SplitKind::kChronological:
      m.set_train_fraction(split.train_fraction);
      break;
    case SplitKind::kLeftOut:
      break;
  }
}

recordings::DataView View(const v1::DataView& m, Faults& faults) {
  recordings::DataView v;
  v.bin_width = m.bin_width();
  v.unit_labels.assign(m.unit_labels().begin(), m.unit_labels().end());
  v.unit_ids.assign(m.unit_ids().begin(), m.unit_ids().end());
  v.unit_regions.assign(m.unit_regions().begin(), m.unit_regions().end());
  v.minimum_rate = m.minimum_rate();
  v.start_time = m.start_time();
  v.stop_time = m.stop_time();
  v.mask_table = m.mask().table();
  v.mask_filter = m.mask().filter();
  v.window = m.window() == 0 ? 1 : m.window();
  v.stride = m.stride() == 0 ? 1 : m.stride();
  CheckEnum(m.normaliser(), v1::Normaliser_IsValid(m.normaliser()), "view.normaliser", faults);
  v.normaliser = NormaliserOf(m.normaliser());
  v.segments = m.segments();
  v.split = SplitOf(m.split(), faults);
  return v;
}

void SetView(const recordings::DataView& v, v1::DataView& m) {
  m.set_bin_width(v.bin_width);
  m.mutable_unit_labels()->Assign(v.unit_labels.begin(), v.unit_labels.end());
  m.mutable_unit_ids()->Assign(v.unit_ids.begin(), v.unit_ids.end());
  m.mutable_unit_regions()->Assign(v.unit_regions.begin(), v.unit_regions.end());
  m.set_minimum_rate(v.minimum_rate);
  m.set_start_time(v.start_time);
  m.set_stop_time(v.stop_time);
  if (!v.mask_table.empty()) {
    m.mutable_mask()->set_table(v.mask_table);
    m.mutable_mask()->set_filter(v.mask_filter);
  }
  m.set_window(v.window);
  m.set_stride(v.stride);
  m.set_normaliser(ToProto(v.normaliser));
  m.set_segments(v.segments);
  SetSplit(v.split, *m.mutable_split());
}

// `counts_as_they_are`: the target is not normalised, so that the likelihood of counts fits.
sae::ModelSpec Model(const v1::ModelSpec& m, bool counts_as_they_are, Faults& faults) {
  sae::ModelSpec out;
  CheckEnum(m.selection(), v1::Selection_IsValid(m.selection()), "model.selection", faults);
  CheckEnum(m.loss(), v1::Loss_IsValid(m.loss()), "model.loss", faults);
  CheckEnum(m.output(), v1::Output_IsValid(m.output()), "model.output", faults);
  CheckEnum(m.decoder_start(), v1::DecoderStart_IsValid(m.decoder_start()), "model.decoder_start",
            faults);
  CheckEnum(m.revival(), v1::Revival_IsValid(m.revival()), "model.revival", faults);
  out.selection = m.selection() != v1::SELECTION_UNSPECIFIED ? FromWire(kSelections, m.selection())
                  : m.levels_size() > 1                      ? sae::Selection::kBatchTopK
                                                             : sae::Selection::kRelu;
  out.revival = FromWire(kRevivals, m.revival());
  out.subtract_bias = m.subtract_bias();
  out.k_anneal_fraction = m.k_anneal_fraction();
  for (const auto& l : m.levels()) {
    out.levels.push_back({l.features(), l.k(), l.weight() == 0 ? 1.0 : l.weight()});
  }
  out.loss = m.loss() == v1::LOSS_MSLE                            ? sae::Loss::kMsle
             : m.loss() == v1::LOSS_MSE                           ? sae::Loss::kMse
             : m.loss() == v1::LOSS_POISSON || counts_as_they_are ? sae::Loss::kPoisson
                                                                  : sae::Loss::kMse;
  switch (m.output()) {
    case v1::OUTPUT_IDENTITY:
      out.output = sae::Output::kIdentity;
      break;
    case v1::OUTPUT_RELU:
      out.output = sae::Output::kRelu;
      break;
    case v1::OUTPUT_SOFTPLUS:
      out.output = sae::Output::kSoftplus;
      break;
    default:
      out.output = out.loss == sae::Loss::kMsle      ? sae::Output::kRelu
                   : out.loss == sae::Loss::kPoisson ? sae::Output::kSoftplus
                                                     : sae::Output::kIdentity;
  }
  if (m.decoder_start() == v1::DECODER_START_INDEPENDENT) {
    out.decoder_start = sae::DecoderStart::kIndependent;
  }
  CheckEnum(m.bias_start(), v1::BiasStart_IsValid(m.bias_start()), "model.bias_start", faults);
  out.bias_start = FromWire(kBiasStarts, m.bias_start());
  if (m.has_aux()) {
    out.aux.weight = m.aux().weight();
    if (m.aux().k() != 0) out.aux.k = m.aux().k();
    if (m.aux().dead_after_steps() != 0) out.aux.dead_after_steps = m.aux().dead_after_steps();
    out.aux.pre_activation = m.aux().pre_activation();
    if (m.aux().has_through_output()) out.aux.through_output = m.aux().through_output();
  }
  if (m.resampling().every_steps() != 0) out.resampling.every_steps = m.resampling().every_steps();
  if (m.resampling().has_until_fraction()) {
    out.resampling.until_fraction = m.resampling().until_fraction();
  }
  const auto& penalty = m.penalty();
  out.penalty.weight = penalty.weight();
  if (penalty.has_warmup_fraction()) out.penalty.warmup_fraction = penalty.warmup_fraction();
  if (penalty.final_p() != 0) out.penalty.final_p = penalty.final_p();
  if (penalty.has_anneal_start()) out.penalty.anneal_start = penalty.anneal_start();
  if (penalty.bandwidth() != 0) out.penalty.bandwidth = penalty.bandwidth();
  if (penalty.threshold() != 0) out.penalty.threshold = penalty.threshold();
  return out;
}

void SetModel(const sae::ModelSpec& spec, v1::ModelSpec& m) {
  m.set_selection(ToWire(kSelections, spec.selection));
  m.set_revival(ToWire(kRevivals, spec.revival));
  m.set_subtract_bias(spec.subtract_bias);
  m.set_k_anneal_fraction(spec.k_anneal_fraction);
  for (const sae::Level& l : spec.levels) {
    auto* level = m.add_levels();
    level->set_features(l.features);
    level->set_k(l.k);
    level->set_weight(l.weight);
  }
  m.set_loss(spec.loss == sae::Loss::kMsle      ? v1::LOSS_MSLE
             : spec.loss == sae::Loss::kPoisson ? v1::LOSS_POISSON
                                                : v1::LOSS_MSE);
  m.set_output(spec.output == sae::Output::kRelu       ? v1::OUTPUT_RELU
               : spec.output == sae::Output::kSoftplus ? v1::OUTPUT_SOFTPLUS
                                                       : v1::OUTPUT_IDENTITY);
  m.set_decoder_start(spec.decoder_start == sae::DecoderStart::kIndependent
                          ? v1::DECODER_START_INDEPENDENT
                          : v1::DECODER_START_TIED);
  m.set_bias_start(ToWire(kBiasStarts, spec.bias_start));
  m.mutable_aux()->set_weight(spec.aux.weight);
  m.mutable_aux()->set_k(spec.aux.k);
  m.mutable_aux()->set_dead_after_steps(spec.aux.dead_after_steps);
  m.mutable_aux()->set_pre_activation(spec.aux.pre_activation);
  m.mutable_aux()->set_through_output(spec.aux.through_output);
  m.mutable_resampling()->set_every_steps(spec.resampling.every_steps);
  m.mutable_resampling()->set_until_fraction(spec.resampling.until_fraction);
  auto* penalty = m.mutable_penalty();
  penalty->set_weight(spec.penalty.weight);
  penalty->set_warmup_fraction(spec.penalty.warmup_fraction);
  penalty->set_final_p(spec.penalty.final_p);
  penalty->set_anneal_start(spec.penalty.anneal_start);
  penalty->set_bandwidth(spec.penalty.bandwidth);
  penalty->set_threshold(spec.penalty.threshold);
}

sae::Optimiser OptimiserOf(const v1::Optimiser& m, Faults& faults) {
  sae::Optimiser out;
  CheckEnum(m.kind(), v1::OptimiserKind_IsValid(m.kind()), "optimiser.kind", faults);
  out.kind = FromWire(kOptimisers, m.kind());
  out.weight_decay = m.weight_decay();
  out.clip_norm = m.clip_norm();
  out.average = m.average();
  out.learning_rate = m.learning_rate() != 0 ? m.learning_rate() : 4e-3;
  if (m.has_beta1()) out.beta1 = m.beta1();
  if (m.has_beta2()) out.beta2 = m.beta2();
  if (m.has_epsilon()) out.epsilon = m.epsilon();
  const auto& s = m.schedule();
  CheckEnum(s.kind(), v1::ScheduleKind_IsValid(s.kind()), "optimiser.schedule.kind", faults);
  out.schedule.kind = s.kind() == v1::SCHEDULE_KIND_CONSTANT ? sae::ScheduleKind::kConstant
                      : s.kind() == v1::SCHEDULE_KIND_LINEAR ? sae::ScheduleKind::kLinear
                      : s.kind() == v1::SCHEDULE_KIND_COSINE ? sae::ScheduleKind::kCosine
                                                             : sae::ScheduleKind::kWarmupHold;
  if (s.has_warmup_fraction()) out.schedule.warmup_fraction = s.warmup_fraction();
  if (s.has_hold_fraction()) out.schedule.hold_fraction = s.hold_fraction();
  if (s.has_final_fraction()) out.schedule.final_fraction = s.final_fraction();
  return out;
}

void SetOptimiser(const sae::Optimiser& o, v1::Optimiser& m) {
  m.set_kind(ToWire(kOptimisers, o.kind));
  m.set_weight_decay(o.weight_decay);
  m.set_clip_norm(o.clip_norm);
  m.set_average(o.average);
  m.set_learning_rate(o.learning_rate);
  m.set_beta1(o.beta1);
  m.set_beta2(o.beta2);
  m.set_epsilon(o.epsilon);
  auto* s = m.mutable_schedule();
  s->set_kind(o.schedule.kind == sae::ScheduleKind::kConstant ? v1::SCHEDULE_KIND_CONSTANT
              : o.schedule.kind == sae::ScheduleKind::kLinear ? v1::SCHEDULE_KIND_LINEAR
              : o.schedule.kind == sae::ScheduleKind::kCosine ? v1::SCHEDULE_KIND_COSINE
                                                              : v1::SCHEDULE_KIND_WARMUP_HOLD);
  s->set_warmup_fraction(o.schedule.warmup_fraction);
  s->set_hold_fraction(o.schedule.hold_fraction);
  s->set_final_fraction(o.schedule.final_fraction);
}

template <class Repeated>
std::vector<features::Condition> Conditions(const Repeated& messages) {
  std::vector<features::Condition> out;
  for (const auto& m : messages) out.push_back({m.name(), m.expression()});
  return out;
}

std::string Id(const std::string& name, const char* collection, const char* field, Faults& faults) {
  const auto id = IdOf(name, collection, field);
  faults.Merge(id.status());
  return id.ok() ? *id : "";
}

features::ConditionColumns Columns(const v1::ConditionColumns& m) {
  return {{m.only().begin(), m.only().end()}, {m.excluded().begin(), m.excluded().end()}};
}

template <class Spec>
void SetColumns(const features::ConditionColumns& columns, Spec& out) {
  if (columns.only.empty() && columns.excluded.empty()) return;
  auto& m = *out.mutable_condition_columns();
  m.mutable_only()->Assign(columns.only.begin(), columns.only.end());
  m.mutable_excluded()->Assign(columns.excluded.begin(), columns.excluded.end());
}

}  // namespace

absl::StatusOr<jobs::TrainSpec> FromProto(const v1::TrainSpec& m) {
  Faults faults;
  jobs::TrainSpec out;
  out.recording_id = Id(m.recording(), "recordings", "recording", faults);
  out.view = View(m.view(), faults);
  const auto normaliser = m.has_target() ? m.target().normaliser() : m.view().normaliser();
  out.fit.model = Model(m.model(), NormaliserOf(normaliser) == NormaliserKind::kNone, faults);
  out.fit.optimiser = OptimiserOf(m.optimiser(), faults);
  out.fit.batch_size = m.batch_size();
  out.fit.epochs = m.epochs();
  out.fit.max_steps = m.max_steps();
  out.fit.seed = m.seed();
  out.fit.hidden_inputs = m.hidden_inputs();
  out.conditions = Conditions(m.conditions());
  out.condition_columns = Columns(m.condition_columns());
  out.threads = m.threads();
  if (m.has_target()) {
    const auto& t = m.target();
    jobs::Target target;
    if (!t.recording().empty()) {
      target.recording_id = Id(t.recording(), "recordings", "target.recording", faults);
    }
    target.unit_labels.assign(t.unit_labels().begin(), t.unit_labels().end());
    target.unit_ids.assign(t.unit_ids().begin(), t.unit_ids().end());
    target.unit_regions.assign(t.unit_regions().begin(), t.unit_regions().end());
    CheckEnum(t.normaliser(), v1::Normaliser_IsValid(t.normaliser()), "target.normaliser", faults);
    target.normaliser = NormaliserOf(t.normaliser());
    out.target = target;
  }
  if (!faults.empty()) return faults.ToStatus();
  return out;
}

absl::StatusOr<jobs::AnalyseSpec> FromProto(const v1::AnalyseSpec& m) {
  Faults faults;
  jobs::AnalyseSpec out;
  out.model_id = Id(m.model(), "models", "model", faults);
  out.recording_id = Id(m.recording(), "recordings", "recording", faults);
  out.conditions = Conditions(m.conditions());
  out.condition_columns = Columns(m.condition_columns());
  out.threads = m.threads();
  if (!faults.empty()) return faults.ToStatus();
  return out;
}

absl::StatusOr<recordings::DataView> FromProto(const v1::DataView& m) {
  Faults faults;
  recordings::DataView view = View(m, faults);
  if (!faults.empty()) return faults.ToStatus();
  return view;
}

v1::Condition ToProto(const features::Condition& c) {
  v1::Condition m;
  m.set_name(c.name);
  m.set_expression(c.expression);
  return m;
}

v1::TrainSpec ToProto(const jobs::TrainSpec& spec) {
  v1::TrainSpec m;
  m.set_recording("recordings/" + spec.recording_id);
  SetView(spec.view, *m.mutable_view());
  SetModel(spec.fit.model, *m.mutable_model());
  SetOptimiser(spec.fit.optimiser, *m.mutable_optimiser());
  m.set_batch_size(spec.fit.batch_size);
  m.set_epochs(spec.fit.epochs);
  m.set_max_steps(spec.fit.max_steps);
  m.set_seed(spec.fit.seed);
  m.set_hidden_inputs(spec.fit.hidden_inputs);
  if (spec.target) {
    auto* t = m.mutable_target();
    if (!spec.target->recording_id.empty()) {
      t->set_recording("recordings/" + spec.target->recording_id);
    }
    t->mutable_unit_labels()->Assign(spec.target->unit_labels.begin(),
                                     spec.target->unit_labels.end());
    t->mutable_unit_ids()->Assign(spec.target->unit_ids.begin(), spec.target->unit_ids.end());
    t->mutable_unit_regions()->Assign(spec.target->unit_regions.begin(),
                                      spec.target->unit_regions.end());
    t->set_normaliser(ToProto(spec.target->normaliser));
  }
  m.mutable_choices()->Assign(spec.choices.begin(), spec.choices.end());
  m.mutable_warnings()->Assign(spec.warnings.begin(), spec.warnings.end());
  for (const auto& c : spec.conditions) *m.add_conditions() = ToProto(c);
  SetColumns(spec.condition_columns, m);
  m.set_threads(spec.threads);
  return m;
}

v1::AnalyseSpec ToProto(const jobs::AnalyseSpec& spec) {
  v1::AnalyseSpec m;
  m.set_model("models/" + spec.model_id);
  m.set_recording("recordings/" + spec.recording_id);
  for (const auto& c : spec.conditions) *m.add_conditions() = ToProto(c);
  SetColumns(spec.condition_columns, m);
  m.set_threads(spec.threads);
  return m;
}

}  // namespace saed::rpc
