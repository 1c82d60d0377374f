// Stored rows as messages, and packed numbers.
#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "server/base/faults.h"
#include "server/base/largest_value.h"
#include "server/base/status_macros.h"
#include "server/inference/model_record.h"
#include "server/inference/spec_json.h"
#include "server/jobs/sweep_spec.h"
#include "server/rpc/convert.h"

namespace saed::rpc {

using nlohmann::json;

google::protobuf::Timestamp Timestamp(int64_t micros) {
  google::protobuf::Timestamp t;
  t.set_seconds(micros / 1'000'000);
  t.set_nanos(static_cast<int32_t>(micros % 1'000'000 * 1000));
  return t;
}

absl::StatusOr<CountView> FromProto(const v1::Tensor& m, const std::string& field) {
  CountView out;
  switch (m.dtype()) {
    case v1::DATA_TYPE_U8:
      out.dtype = DType::kU8;
      break;
    case v1::DATA_TYPE_U16:
      out.dtype = DType::kU16;
      break;
    case v1::DATA_TYPE_F32:
      out.dtype = DType::kF32;
      break;
    default:
      return InvalidField(field + ".dtype", "is not set; must be U8, U16 or F32");
  }
  int64_t elements = 1;
  for (int64_t size : m.shape()) {
    if (size < 1 || size > (int64_t{1} << 40) / elements) {
      return InvalidField(field + ".shape",
                          fmt::format("holds {}; sizes must be at least 1 and fit the data", size));
    }
    elements *= size;
  }
  const auto bytes = elements * static_cast<int64_t>(SizeOf(out.dtype));
  if (m.shape_size() == 0 || bytes != static_cast<int64_t>(m.data().size())) {
    return InvalidField(field + ".data", fmt::format("has {} bytes; dtype and shape make {}",
                                                     m.data().size(), bytes));
  }
  out.data = m.data().data();
  out.bins = m.shape(0);
  out.units = static_cast<int>(elements / m.shape(0));
  if (out.dtype == DType::kF32) {
    for (int64_t i = 0; i < elements; ++i) {
      float v;
      std::memcpy(&v, m.data().data() + i * sizeof(float), sizeof(float));
      if (!(std::abs(v) <= static_cast<float>(kLargestValue))) {
        return InvalidField(
            field + ".data",
            fmt::format("holds {} at element {}; must be finite and at most 1e30 in size", v, i));
      }
    }
  }
  return out;
}

v1::Tensor FloatTensor(const std::vector<float>& values, const std::vector<int64_t>& shape) {
  v1::Tensor m;
  m.set_dtype(v1::DATA_TYPE_F32);
  m.mutable_shape()->Assign(shape.begin(), shape.end());
  m.set_data(values.data(), values.size() * sizeof(float));
  return m;
}

namespace {

// When there was something to observe, from the summary.
void AddObserved(const json& summary, v1::Recording& m) {
  double total = 0;
  for (const json& span : summary.value("observed", json::array())) {
    if (!span.is_array() || span.size() != 2) continue;
    auto* out = m.add_observed();
    out->set_start(span[0].get<double>());
    out->set_stop(span[1].get<double>());
    total += out->stop() - out->start();
  }
  // Without a span the length tells never from all the time.
  m.set_observed_duration(m.observed_size() > 0                                  ? total
                          : summary.value("observed_duration", m.duration()) > 0 ? m.duration()
                                                                                 : 0);
}

void AddUse(const json& summary, v1::Recording& m) {
  for (const auto& [key, out] :
       {std::pair("labels", m.mutable_labels()), {"regions", m.mutable_regions()}}) {
    for (const json& n : summary.value(key, json::array())) {
      auto* count = out->Add();
      count->set_name(n.value("name", ""));
      count->set_count(n.value("count", int64_t{0}));
    }
  }
  const auto first = summary.find("first_command");
  if (first == summary.end()) return;  // imported by an older server
  m.mutable_first_command()->set_command(
      fmt::format("saectl train {} {}", m.name(), first->value("flags", "")));
  for (const json& reason : first->value("reasons", json::array())) {
    m.mutable_first_command()->add_reasons(reason.get<std::string>());
  }
}

// At most `most` bytes of a text, whole characters, with a sign where something was cut.
std::string Cut(const std::string& text, size_t most) {
  if (text.size() <= most) return text;
  size_t end = most;
  while (end > 0 && (text[end] & 0xC0) == 0x80) --end;
  return text.substr(0, end) + "…";
}

}  // namespace

v1::Unit ToProto(const storage::UnitRow& row, double mean_rate) {
  constexpr size_t kUnitBytes = 600'000;
  v1::Unit m;
  m.set_id(row.id);
  m.set_label(row.label);
  m.set_region(row.region);
  if (row.depth) m.set_depth(*row.depth);
  m.set_spike_count(row.spike_count);
  m.set_mean_rate(mean_rate);
  const json columns = json::parse(row.columns, nullptr, false);
  if (!columns.is_object()) return m;
  const size_t most = kUnitBytes / std::max<size_t>(columns.size(), 1);
  for (const auto& [name, value] : columns.items()) {
    (*m.mutable_columns())[name] = Cut(value.get<std::string>(), most);
  }
  return m;
}

namespace {

// The formats by the names that they have today.
std::string Format(const std::string& source) {
  if (source == "spikes_npy") return "spikes";
  return source == "counts_npy" ? "counts" : source;
}

}  // namespace

v1::Recording ToProto(const storage::RecordingRow& row) {
  v1::Recording m;
  m.set_name("recordings/" + row.id);
  m.set_display_name(row.name);
  m.set_source(Format(row.source));
  m.set_owner(row.owner);
  m.set_private_(row.is_private);
  m.set_digest(row.digest);
  *m.mutable_create_time() = Timestamp(row.created_at);
  m.set_duration(row.duration);
  m.set_unit_count(row.unit_count);
  m.set_spike_count(row.spike_count);
  m.set_stored_bytes(row.bytes);
  m.set_observed_duration(row.duration);
  const json summary = json::parse(row.summary, nullptr, false);
  if (!summary.is_object()) return m;
  m.set_sampling_rate(NumberOr(summary, "sampling_rate"));
  m.set_bin_width(NumberOr(summary, "bin_width"));
  for (const json& s : summary.value("series", json::array())) {
    auto* series = m.add_series();
    series->set_name(s.value("name", ""));
    series->set_unit(s.value("unit", ""));
    series->set_samples(s.value("samples", int64_t{0}));
    series->set_rate(NumberOr(s, "rate"));
    for (const json& c : s.value("channels", json::array())) {
      series->add_channels(c.get<std::string>());
    }
  }
  for (const json& t : summary.value("tables", json::array())) {
    m.add_interval_tables(t.value("name", ""));
  }
  m.set_electrode_count(summary.value("electrodes", int64_t{0}));
  for (const json& c : summary.value("electrode_columns", json::array())) {
    m.add_electrode_columns(c.get<std::string>());
  }
  for (const json& c : summary.value("unit_columns", json::array())) {
    m.add_unit_columns(c.get<std::string>());
  }
  for (const json& w : summary.value("warnings", json::array())) {
    m.add_warnings(w.get<std::string>());
  }
  m.set_session_start_time(summary.value("session_start_time", ""));
  AddObserved(summary, m);
  AddUse(summary, m);
  return m;
}

absl::StatusOr<v1::Job> ToProto(const storage::JobRow& row) {
  v1::Job m;
  m.set_name("jobs/" + row.id);
  m.set_display_name(row.name);
  v1::Job::State state = v1::Job::STATE_UNSPECIFIED;
  v1::Job::State_Parse("STATE_" + row.shown_state(), &state);
  m.set_state(state);
  std::string model = row.id;
  if (row.kind == "train") {
    SAED_ASSIGN_OR_RETURN(const jobs::TrainSpec spec, jobs::ParseTrainSpec(row.spec));
    *m.mutable_train() = ToProto(spec);
  } else if (row.kind == "trial") {
    SAED_ASSIGN_OR_RETURN(const jobs::TrialSpec spec, jobs::ParseTrialSpec(row.spec));
    *m.mutable_train() = ToProto(spec.train);
    m.set_sweep("sweeps/" + row.sweep_id);
    m.set_trial(row.trial);
  } else {
    SAED_ASSIGN_OR_RETURN(const jobs::AnalyseSpec spec, jobs::ParseAnalyseSpec(row.spec));
    *m.mutable_analyse() = ToProto(spec);
    model = spec.model_id;
  }
  *m.mutable_create_time() = Timestamp(row.created_at);
  if (row.started_at) *m.mutable_start_time() = Timestamp(*row.started_at);
  if (row.finished_at) *m.mutable_end_time() = Timestamp(*row.finished_at);
  m.set_threads(row.threads);
  m.set_attempt(row.attempt);
  m.set_owner(row.owner);
  m.set_priority(static_cast<v1::JobPriority>(row.priority + v1::JOB_PRIORITY_NORMAL));
  m.set_memory_bytes(row.memory);
  for (const std::string& id : row.dependencies) m.add_dependencies("jobs/" + id);
  m.set_time_limit_seconds(row.time_limit);
  m.set_run_seconds(row.run_seconds);
  m.set_failures(row.failures);
  if (row.error_code != 0) {
    m.mutable_error()->set_code(row.error_code);
    m.mutable_error()->set_message(row.error_message);
  }
  if (row.state == "SUCCEEDED" && row.kind != "trial") {
    m.set_model("models/" + model);
    m.set_dictionary("dictionaries/" + row.id);
  }
  return m;
}

absl::StatusOr<int> FromProto(v1::JobPriority priority) {
  if (priority == v1::JOB_PRIORITY_UNSPECIFIED) return 0;
  if (!v1::JobPriority_IsValid(priority)) {
    return InvalidField("priority", fmt::format("has the unknown value {}; must be one of low, "
                                                "normal, high and urgent",
                                                static_cast<int>(priority)));
  }
  return static_cast<int>(priority) - v1::JOB_PRIORITY_NORMAL;
}

v1::JobProgress ToProto(const storage::JobsTable::Progress& progress) {
  const jobs::ProgressReport r = jobs::ParseProgress(progress.body);
  v1::JobProgress m;
  m.set_sequence(progress.sequence);
  *m.mutable_time() = Timestamp(r.time);
  m.set_stage(r.stage);
  m.set_stage_fraction(r.fraction);
  m.set_step(r.step);
  m.set_total_steps(r.total_steps);
  m.set_loss(r.loss);
  m.set_reconstruction_loss(r.reconstruction_loss);
  m.set_l0(r.l0);
  m.set_dead_fraction(r.dead_fraction);
  m.set_lambda(r.lambda);
  m.set_gradient_norm(r.gradient_norm);
  m.set_learning_rate(r.learning_rate);
  m.set_windows_per_second(r.windows_per_second);
  if (r.seconds_left) m.set_seconds_left(*r.seconds_left);
  m.set_attempt(r.attempt);
  return m;
}

namespace {

v1::Evaluation ParseEvaluation(const std::string& text) {
  v1::Evaluation m;
  const json e = json::parse(text, nullptr, false);
  if (!e.is_object()) return m;
  m.set_windows(e.value("windows", int64_t{0}));
  m.set_mse(NumberOr(e, "mse"));
  if (const auto v = OptionalNumber(e, "r2")) m.set_r2(*v);
  if (const auto v = OptionalNumber(e, "explained_variance")) m.set_explained_variance(*v);
  m.set_cosine(NumberOr(e, "cosine"));
  if (const auto v = OptionalNumber(e, "normalised_mse")) m.set_normalised_mse(*v);
  if (const auto v = OptionalNumber(e, "bits_per_spike")) m.set_bits_per_spike(*v);
  m.set_l0(NumberOr(e, "l0"));
  for (const json& n : e.value("l0_histogram", json::array())) m.add_l0_histogram(n.get<int64_t>());
  m.set_dead_fraction(NumberOr(e, "dead_fraction"));
  m.set_dense_fraction(NumberOr(e, "dense_fraction"));
  for (const json& d : e.value("density", json::array()))
    m.add_density(d.is_number() ? d.get<double>() : 0);
  for (const json& r : e.value("unit_r2", json::array())) {
    m.add_unit_r2(r.is_number() ? r.get<double>() : std::nan(""));
  }
  return m;
}

}  // namespace

absl::StatusOr<v1::Model> ToProto(const storage::ModelRow& row) {
  v1::Model m;
  SAED_ASSIGN_OR_RETURN(const jobs::TrainSpec spec, jobs::ParseTrainSpec(row.spec));
  m.set_name("models/" + row.id);
  m.set_display_name(row.name);
  m.set_recording("recordings/" + row.recording_id);
  *m.mutable_create_time() = Timestamp(row.created_at);
  *m.mutable_spec() = ToProto(spec);
  m.set_features(row.features);
  m.set_window(row.window);
  m.set_units(row.units);
  for (int64_t id : inference::UnitIds(row)) m.add_unit_ids(id);
  m.set_tensor_digest(row.digest);
  *m.mutable_evaluation() = ParseEvaluation(row.evaluation);
  m.set_provenance(row.provenance);
  for (std::string& warning : inference::Warnings(row)) m.add_warnings(std::move(warning));
  return m;
}

}  // namespace saed::rpc
