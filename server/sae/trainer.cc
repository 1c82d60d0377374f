#include "server/sae/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "server/base/wire.h"
#include "server/sae/adam.h"
#include "server/sae/kernels/vector_ops.h"
#include "server/sae/losses.h"
#include "server/sae/parallel.h"
#include "server/sae/random.h"
#include "server/sae/schedule.h"

namespace saed::sae {
namespace {

constexpr uint32_t kStateMagic = 0x53544131;  // "1ATS"
constexpr double kThresholdDecay = 0.99;

template <class T>
Parameters<T> Zeros(const Parameters<T>& like) {
  Parameters<T> zero;
  zero.features = like.features;
  zero.inputs = like.inputs;
  zero.encoder.assign(like.encoder.size(), T(0));
  zero.decoder.assign(like.decoder.size(), T(0));
  zero.encoder_bias.assign(like.encoder_bias.size(), T(0));
  zero.decoder_bias.assign(like.decoder_bias.size(), T(0));
  return zero;
}

template <class T>
void Write(const Parameters<T>& p, WireWriter& out) {
  out.Array(p.encoder);
  out.Array(p.encoder_bias);
  out.Array(p.decoder);
  out.Array(p.decoder_bias);
}

template <class T>
bool Read(WireReader& in, Parameters<T>& p) {
  auto encoder = in.Array<T>(), encoder_bias = in.Array<T>();
  auto decoder = in.Array<T>(), decoder_bias = in.Array<T>();
  if (encoder.size() != p.encoder.size() || encoder_bias.size() != p.encoder_bias.size() ||
      decoder.size() != p.decoder.size() || decoder_bias.size() != p.decoder_bias.size()) {
    return false;
  }
  p.encoder = std::move(encoder);
  p.encoder_bias = std::move(encoder_bias);
  p.decoder = std::move(decoder);
  p.decoder_bias = std::move(decoder_bias);
  return true;
}

}  // namespace

template <class T>
Trainer<T>::Trainer(const FitSpec& spec, const TrainingData& data)
    : spec_(spec),
      data_(data),
      parameters_(InitialParameters<T>(spec.model.features(), data.inputs(),
                                       spec.model.decoder_start, spec.seed)),
      first_moment_(Zeros(parameters_)),
      second_moment_(Zeros(parameters_)),
      idle_steps_(spec.model.features(), 0),
      running_thresholds_(spec.model.levels.size(), 0.0),
      packed_(spec.model.features(), data.inputs()),
      work_(std::make_unique<Step<T>>(spec.model, data.inputs())) {
  const auto windows = static_cast<int64_t>(data.starts.size());
  steps_per_epoch_ = BlockCount(windows, spec.batch_size);
  total_steps_ = steps_per_epoch_ * spec.epochs;
  if (spec.max_steps > 0) total_steps_ = std::min(total_steps_, spec.max_steps);
  if (spec.model.bias_start == BiasStart::kMean) {
    const std::vector<double> mean = MeanTarget(data.counts, data.normaliser, data.starts, data.S);
    for (size_t i = 0; i < mean.size(); ++i) {
      parameters_.decoder_bias[i] =
          static_cast<T>(ActivateInverse(spec.model.output, static_cast<float>(mean[i])));
    }
  }
  Repack();
}

template <class T>
Trainer<T>::~Trainer() = default;

template <class T>
void Trainer<T>::Repack() {
  packed_.Pack(parameters_.encoder.data(), parameters_.encoder_bias.data());
}

template <class T>
std::vector<int64_t> Trainer<T>::Batch(int64_t epoch, int64_t index) {
  const auto windows = static_cast<int64_t>(data_.starts.size());
  if (order_epoch_ != epoch) {
    order_.resize(windows);
    std::iota(order_.begin(), order_.end(), int64_t{0});
    const CounterRandom random(spec_.seed, kShuffleStream + epoch);
    for (int64_t i = windows - 1; i > 0; --i) {
      std::swap(order_[i], order_[random.Below(i, i + 1)]);
    }
    order_epoch_ = epoch;
  }
  const int64_t begin = index * spec_.batch_size;
  const int64_t end = std::min<int64_t>(windows, begin + spec_.batch_size);
  std::vector<int64_t> starts(end - begin);
  for (int64_t i = begin; i < end; ++i) starts[i - begin] = data_.starts[order_[i]];
  return starts;
}

template <class T>
absl::StatusOr<StepReport> Trainer<T>::Next() {
  const std::vector<int64_t> starts = Batch(step_ / steps_per_epoch_, step_ % steps_per_epoch_);
  work_->Load(data_.counts, data_.normaliser, starts, data_.S);
  work_->Encode(packed_);
  work_->Select();

  std::vector<int32_t> dead;
  for (size_t j = 0; j < idle_steps_.size(); ++j) {
    if (idle_steps_[j] > spec_.model.aux.dead_after_steps) dead.push_back(static_cast<int32_t>(j));
  }
  StepReport report;
  report.loss = work_->Loss(parameters_, dead);
  if (!std::isfinite(report.loss)) {
    return absl::FailedPreconditionError(
        fmt::format("the loss is no longer finite at step {}; lower optimiser.learning_rate (now "
                    "{}) or normalise the input",
                    step_ + 1, spec_.optimiser.learning_rate));
  }

  report.learning_rate = LearningRate(spec_.optimiser, step_, total_steps_);
  const AdamConstants<T> adam(spec_.optimiser, report.learning_rate, step_ + 1);
  const int64_t inputs = parameters_.inputs;
  work_->Backward(parameters_, [&](const LatentGradient<T>& g) {
    T* decoder = parameters_.decoder_row(g.latent);
    // The decoder keeps unit norm: drop the gradient along the row, step, renormalise.
    AddScaled(-Dot(g.decoder, decoder, inputs), decoder, inputs, g.decoder);
    AdamUpdate(adam, g.decoder, inputs, first_moment_.decoder_row(g.latent),
               second_moment_.decoder_row(g.latent), decoder);
    NormaliseRow(decoder, inputs);
    AdamUpdate(adam, g.encoder, inputs, first_moment_.encoder_row(g.latent),
               second_moment_.encoder_row(g.latent), parameters_.encoder_row(g.latent));
    AdamUpdate(adam, &g.encoder_bias, 1, &first_moment_.encoder_bias[g.latent],
               &second_moment_.encoder_bias[g.latent], &parameters_.encoder_bias[g.latent]);
  });
  AdamUpdate(adam, work_->decoder_bias_gradient().data(), inputs, first_moment_.decoder_bias.data(),
             second_moment_.decoder_bias.data(), parameters_.decoder_bias.data());
  ForBlocks(packed_.panels(), 1, [&](int64_t panel, int64_t, int64_t) {
    packed_.PackPanel(static_cast<int>(panel), parameters_.encoder.data(),
                      parameters_.encoder_bias.data());
  });

  for (int32_t& idle : idle_steps_) ++idle;
  for (int32_t j : work_->levels().back().codes.latent) idle_steps_[j] = 0;
  for (size_t l = 0; l < running_thresholds_.size(); ++l) {
    double& threshold = running_thresholds_[l];
    const double cutoff = work_->cutoff(l);
    threshold = step_ == 0 ? cutoff : kThresholdDecay * threshold + (1 - kThresholdDecay) * cutoff;
  }
  ++step_;
  report.step = step_;
  report.reconstruction_loss = work_->reconstruction_loss();
  report.rows = work_->rows();
  report.l0 = static_cast<double>(work_->levels().back().codes.value.size()) /
              static_cast<double>(report.rows);
  report.dead_fraction = static_cast<double>(dead.size()) / static_cast<double>(idle_steps_.size());
  return report;
}

template <class T>
absl::StatusOr<std::vector<double>> Trainer<T>::CalibrateThresholds(
    const std::function<bool()>& keep_going) {
  std::vector<double> sum(running_thresholds_.size(), 0.0);
  for (int64_t i = 0; i < steps_per_epoch_; ++i) {
    if (!keep_going()) return absl::CancelledError("stopped while calibrating thresholds");
    const std::vector<int64_t> starts = Batch(total_steps_ / steps_per_epoch_, i);
    work_->Load(data_.counts, data_.normaliser, starts, data_.S);
    work_->Encode(packed_);
    work_->Select();
    for (size_t l = 0; l < sum.size(); ++l) {
      sum[l] += static_cast<double>(work_->cutoff(l)) * static_cast<double>(starts.size());
    }
  }
  for (double& s : sum) s /= static_cast<double>(data_.starts.size());
  return sum;
}

template <class T>
std::string Trainer<T>::Save() const {
  WireWriter out;
  out.Value(kStateMagic);
  out.Value(step_);
  Write(parameters_, out);
  Write(first_moment_, out);
  Write(second_moment_, out);
  out.Array(idle_steps_);
  out.Array(running_thresholds_);
  return out.Take();
}

template <class T>
absl::Status Trainer<T>::Restore(std::string_view state) {
  WireReader in(state);
  const auto damaged = [] {
    return absl::DataLossError("the checkpoint does not belong to this job or is damaged");
  };
  if (in.Value<uint32_t>() != kStateMagic) return damaged();
  const auto step = in.Value<int64_t>();
  if (!Read(in, parameters_) || !Read(in, first_moment_) || !Read(in, second_moment_)) {
    return damaged();
  }
  auto idle = in.Array<int32_t>();
  auto thresholds = in.Array<double>();
  if (!in.done() || idle.size() != idle_steps_.size() ||
      thresholds.size() != running_thresholds_.size() || step < 0 || step > total_steps_) {
    return damaged();
  }
  idle_steps_ = std::move(idle);
  running_thresholds_ = std::move(thresholds);
  step_ = step;
  Repack();
  return absl::OkStatus();
}

template class Trainer<float>;
template class Trainer<double>;

}  // namespace saed::sae
