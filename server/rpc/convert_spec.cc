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

recordings::DataView View(const v1::DataView& m, Faults& faults) {
  recordings::DataView v;
  v.bin_width = m.bin_width();
  v.unit_labels.assign(m.unit_labels().begin(), m.unit_labels().end());
  v.unit_ids.assign(m.unit_ids().begin(), m.unit_ids().end());
  v.minimum_rate = m.minimum_rate();
  v.start_time = m.start_time();
  v.stop_time = m.stop_time();
  v.mask_table = m.mask().table();
  v.mask_filter = m.mask().filter();
  v.window = m.window() == 0 ? 1 : m.window();
  v.stride = m.stride() == 0 ? 1 : m.stride();
  CheckEnum(m.normaliser(), v1::Normaliser_IsValid(m.normaliser()), "view.normaliser", faults);
  if (m.normaliser() == v1::NORMALISER_ZSCORE) v.normaliser = NormaliserKind::kZscore;
  if (m.normaliser() == v1::NORMALISER_MINMAX) v.normaliser = NormaliserKind::kMinmax;
  if (m.split().has_column()) {
    const auto& c = m.split().column();
    v.split.kind = SplitKind::kColumn;
    v.split.table = c.table();
    v.split.column = c.column();
    v.split.train_values.assign(c.train_values().begin(), c.train_values().end());
    v.split.test_values.assign(c.test_values().begin(), c.test_values().end());
  } else if (m.split().in_sample()) {
    v.split.kind = SplitKind::kInSample;
  } else if (m.split().kind_case() == v1::Split::kTrainFraction) {
    v.split.train_fraction = m.split().train_fraction();
  }
  return v;
}

void SetView(const recordings::DataView& v, v1::DataView& m) {
  m.set_bin_width(v.bin_width);
  m.mutable_unit_labels()->Assign(v.unit_labels.begin(), v.unit_labels.end());
  m.mutable_unit_ids()->Assign(v.unit_ids.begin(), v.unit_ids.end());
  m.set_minimum_rate(v.minimum_rate);
  m.set_start_time(v.start_time);
  m.set_stop_time(v.stop_time);
  if (!v.mask_table.empty()) {
    m.mutable_mask()->set_table(v.mask_table);
    m.mutable_mask()->set_filter(v.mask_filter);
  }
  m.set_window(v.window);
  m.set_stride(v.stride);
  m.set_normaliser(v.normaliser == NormaliserKind::kZscore   ? v1::NORMALISER_ZSCORE
                   : v.normaliser == NormaliserKind::kMinmax ? v1::NORMALISER_MINMAX
                                                             : v1::NORMALISER_NONE);
  if (v.split.kind == SplitKind::kColumn) {
    auto* c = m.mutable_split()->mutable_column();
    c->set_table(v.split.table);
    c->set_column(v.split.column);
    c->mutable_train_values()->Assign(v.split.train_values.begin(), v.split.train_values.end());
    c->mutable_test_values()->Assign(v.split.test_values.begin(), v.split.test_values.end());
  } else if (v.split.kind == SplitKind::kInSample) {
    m.mutable_split()->set_in_sample(true);
  } else {
    m.mutable_split()->set_train_fraction(v.split.train_fraction);
  }
}

sae::ModelSpec Model(const v1::ModelSpec& m, Faults& faults) {
  sae::ModelSpec out;
  CheckEnum(m.selection(), v1::Selection_IsValid(m.selection()), "model.selection", faults);
  CheckEnum(m.loss(), v1::Loss_IsValid(m.loss()), "model.loss", faults);
  CheckEnum(m.output(), v1::Output_IsValid(m.output()), "model.output", faults);
  CheckEnum(m.decoder_start(), v1::DecoderStart_IsValid(m.decoder_start()), "model.decoder_start",
            faults);
  if (m.selection() == v1::SELECTION_TOP_K) out.selection = sae::Selection::kTopK;
  for (const auto& l : m.levels()) {
    out.levels.push_back({l.features(), l.k(), l.weight() == 0 ? 1.0 : l.weight()});
  }
  out.loss = m.loss() == v1::LOSS_MSLE      ? sae::Loss::kMsle
             : m.loss() == v1::LOSS_POISSON ? sae::Loss::kPoisson
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
  if (m.bias_start() == v1::BIAS_START_ZERO) out.bias_start = sae::BiasStart::kZero;
  if (m.has_aux()) {
    out.aux.weight = m.aux().weight();
    if (m.aux().k() != 0) out.aux.k = m.aux().k();
    if (m.aux().dead_after_steps() != 0) out.aux.dead_after_steps = m.aux().dead_after_steps();
  }
  return out;
}

void SetModel(const sae::ModelSpec& spec, v1::ModelSpec& m) {
  m.set_selection(spec.selection == sae::Selection::kTopK ? v1::SELECTION_TOP_K
                                                          : v1::SELECTION_BATCH_TOP_K);
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
  m.set_bias_start(spec.bias_start == sae::BiasStart::kZero ? v1::BIAS_START_ZERO
                                                            : v1::BIAS_START_MEAN);
  m.mutable_aux()->set_weight(spec.aux.weight);
  m.mutable_aux()->set_k(spec.aux.k);
  m.mutable_aux()->set_dead_after_steps(spec.aux.dead_after_steps);
}

sae::Optimiser OptimiserOf(const v1::Optimiser& m, Faults& faults) {
  sae::Optimiser out;
  if (m.learning_rate() != 0) out.learning_rate = m.learning_rate();
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
std::vector<features::Condition> Conditions(const Repeated& messages, Faults& faults) {
  std::vector<features::Condition> out;
  for (const auto& m : messages) {
    CheckEnum(m.anchor(), v1::Anchor_IsValid(m.anchor()), "conditions.anchor", faults);
    out.push_back({m.name(), m.table(), m.filter(),
                   m.anchor() == v1::ANCHOR_START  ? features::Anchor::kStart
                   : m.anchor() == v1::ANCHOR_STOP ? features::Anchor::kStop
                                                   : features::Anchor::kWhole,
                   m.from(), m.to()});
  }
  return out;
}

std::string Id(const std::string& name, const char* collection, const char* field, Faults& faults) {
  const auto id = IdOf(name, collection, field);
  faults.Merge(id.status());
  return id.ok() ? *id : "";
}

}  // namespace

absl::StatusOr<jobs::TrainSpec> FromProto(const v1::TrainSpec& m) {
  Faults faults;
  jobs::TrainSpec out;
  out.recording_id = Id(m.recording(), "recordings", "recording", faults);
  out.view = View(m.view(), faults);
  out.fit.model = Model(m.model(), faults);
  out.fit.optimiser = OptimiserOf(m.optimiser(), faults);
  if (m.batch_size() != 0) out.fit.batch_size = m.batch_size();
  if (m.epochs() != 0) out.fit.epochs = m.epochs();
  out.fit.max_steps = m.max_steps();
  out.fit.seed = m.seed();
  out.conditions = Conditions(m.conditions(), faults);
  out.threads = m.threads();
  if (!faults.empty()) return faults.ToStatus();
  return out;
}

absl::StatusOr<jobs::AnalyseSpec> FromProto(const v1::AnalyseSpec& m) {
  Faults faults;
  jobs::AnalyseSpec out;
  out.model_id = Id(m.model(), "models", "model", faults);
  out.recording_id = Id(m.recording(), "recordings", "recording", faults);
  out.conditions = Conditions(m.conditions(), faults);
  out.threads = m.threads();
  if (!faults.empty()) return faults.ToStatus();
  return out;
}

v1::Condition ToProto(const features::Condition& c) {
  v1::Condition m;
  m.set_name(c.name);
  m.set_table(c.table);
  m.set_filter(c.filter);
  m.set_anchor(c.anchor == features::Anchor::kStart  ? v1::ANCHOR_START
               : c.anchor == features::Anchor::kStop ? v1::ANCHOR_STOP
                                                     : v1::ANCHOR_WHOLE);
  m.set_from(c.from);
  m.set_to(c.to);
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
  for (const auto& c : spec.conditions) *m.add_conditions() = ToProto(c);
  m.set_threads(spec.threads);
  return m;
}

v1::AnalyseSpec ToProto(const jobs::AnalyseSpec& spec) {
  v1::AnalyseSpec m;
  m.set_model("models/" + spec.model_id);
  m.set_recording("recordings/" + spec.recording_id);
  for (const auto& c : spec.conditions) *m.add_conditions() = ToProto(c);
  m.set_threads(spec.threads);
  return m;
}

}  // namespace saed::rpc
