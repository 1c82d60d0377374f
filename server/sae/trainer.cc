#include "server/sae/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>

#include "server/base/status_macros.h"
#include "server/base/wire.h"
#include "server/sae/losses.h"
#include "server/sae/parallel.h"
#include "server/sae/random.h"
#include "server/sae/schedule.h"

namespace saed::sae {
namespace {

constexpr uint32_t kStateMagic = 0x53544132;  // "2ATS"
constexpr double kThresholdDecay = 0.99;
constexpr int64_t kFiniteEvery = 10;  // steps between two looks at all weights

template <class T>
Parameters<T> Zeros(const Parameters<T>& like) {
  Parameters<T> zero = like;
  for (auto* tensor : {&zero.encoder, &zero.encoder_bias, &zero.decoder, &zero.decoder_bias}) {
    std::fill(tensor->begin(), tensor->end(), T(0));
  }
  for (auto& extra : zero.extra) std::fill(extra.begin(), extra.end(), T(0));
  return zero;
}

template <class P, class Fn>
void ForTensors(P& p, const Fn& fn) {
  fn(p.encoder);
  fn(p.encoder_bias);
  fn(p.decoder);
  fn(p.decoder_bias);
  for (auto& extra : p.extra) fn(extra);
}

template <class T>
void Write(const Parameters<T>& p, WireWriter& out) {
  ForTensors(p, [&](const std::vector<T>& tensor) { out.Array(tensor); });
}

template <class T>
bool Read(WireReader& in, Parameters<T>& p) {
  bool good = true;
  ForTensors(p, [&](std::vector<T>& tensor) {
    auto read = in.Array<T>();
    good = good && read.size() == tensor.size();
    if (good) tensor = std::move(read);
  });
  return good;
}

// Zero times a number that is not finite is not zero. Blocks, so that it runs in vectors and on all
// threads.
template <class T>
bool Finite(const std::vector<T>& tensor) {
  std::atomic<bool> finite = true;
  ForBlocks(static_cast<int64_t>(tensor.size()), 1 << 14, [&](int64_t, int64_t begin, int64_t end) {
    constexpr int64_t kLanes = 16;
    std::array<T, kLanes> sums{};
    int64_t i = begin;
    for (; i + kLanes <= end; i += kLanes) {
      for (int64_t lane = 0; lane < kLanes; ++lane) sums[lane] += tensor[i + lane] * T(0);
    }
    for (; i < end; ++i) sums[0] += tensor[i] * T(0);
    if (!std::all_of(sums.begin(), sums.end(), [](T s) { return s == T(0); })) finite = false;
  });
  return finite;
}

bool HasPenalty(Selection s) { return s != Selection::kTopK && s != Selection::kBatchTopK; }

}  // namespace

template <class T>
Trainer<T>::Trainer(const FitSpec& spec, const TrainingData& data)
    : spec_(spec),
      data_(data),
      parameters_(InitialParameters<T>(spec.model, data.inputs(), data.outputs(), spec.seed)),
      idle_steps_(spec.model.features(), 0),
      running_thresholds_(spec.model.levels.size(), 0.0),
      work_(spec.model, data) {
  const auto windows = static_cast<int64_t>(data.starts.size());
  steps_per_epoch_ = BlockCount(windows, spec.batch_size);
  total_steps_ = steps_per_epoch_ * spec.epochs;
  if (spec.max_steps > 0) total_steps_ = std::min(total_steps_, spec.max_steps);
  if (spec_.model.aux.dead_after_steps == 0) {
    spec_.model.aux.dead_after_steps =
        static_cast<int>(std::clamp<int64_t>(total_steps_ / 20, 20, 1000));
  }
  if (spec.model.bias_start != BiasStart::kZero) {
    const std::vector<double> start =
        spec.model.bias_start == BiasStart::kMean
            ? MeanTarget(data.target_counts(), data.target_norm(), data.starts, data.S)
            : GeometricMedian(data.target_counts(), data.target_norm(), data.starts, data.S);
    for (size_t i = 0; i < start.size(); ++i) {
      parameters_.decoder_bias[i] =
          static_cast<T>(ActivateInverse(spec.model.output, static_cast<float>(start[i])));
    }
  }
  moments_.first = Zeros(parameters_);
  if (spec.optimiser.kind != OptimiserKind::kMomentum) moments_.second = moments_.first;
  if (spec.optimiser.average > 0) average_ = parameters_;
  if (HasPenalty(spec.model.selection)) {
    lambda_ = spec.model.penalty.weight > 0 ? spec.model.penalty.weight : StartLambda();
  }
  work_.PackAll(parameters_);
}

template <class T>
Trainer<T>::~Trainer() = default;

template <class T>
std::vector<int64_t> Trainer<T>::BatchStarts(int64_t epoch, int64_t index) {
  if (order_epoch_ != epoch) {
    order_.assign(data_.starts.begin(), data_.starts.end());
    Shuffle(epoch, order_);
    order_epoch_ = epoch;
  }
  return Part(order_, index);
}

template <class T>
void Trainer<T>::Shuffle(int64_t epoch, std::vector<int64_t>& starts) const {
  const CounterRandom random(spec_.seed, kShuffleStream + epoch);
  for (auto i = static_cast<int64_t>(starts.size()) - 1; i > 0; --i) {
    std::swap(starts[i], starts[random.Below(i, i + 1)]);
  }
}

template <class T>
std::vector<int64_t> Trainer<T>::Part(const std::vector<int64_t>& starts, int64_t index) const {
  const auto windows = static_cast<int64_t>(starts.size());
  const int64_t begin = index * spec_.batch_size;
  return {starts.begin() + begin,
          starts.begin() + std::min<int64_t>(windows, begin + spec_.batch_size)};
}

template <class T>
Coefficients Trainer<T>::CoefficientsNow() const {
  const Penalty& penalty = spec_.model.penalty;
  Coefficients out;
  out.lambda = lambda_;
  const auto done = static_cast<double>(step_) / static_cast<double>(total_steps_);
  if (penalty.weight > 0 && penalty.warmup_fraction > 0) {
    const double warm = std::max(1.0, penalty.warmup_fraction * static_cast<double>(total_steps_));
    out.lambda *= std::min(1.0, static_cast<double>(step_ + 1) / warm);
  }
  if (penalty.final_p < 1 && done > penalty.anneal_start) {
    const double part = (done - penalty.anneal_start) / (1 - penalty.anneal_start);
    out.p = 1 + (penalty.final_p - 1) * part;
  }
  if (done < spec_.model.k_anneal_fraction) out.spare = 1 - done / spec_.model.k_anneal_fraction;
  return out;
}

// Leaves many latents active; AdjustLambda finds the rest.
template <class T>
double Trainer<T>::StartLambda() const {
  return 0.1 / static_cast<double>(data_.outputs());
}

// λ moves by a few per cent a step, towards the L0 that the level asks for. Where a training is too
// short for that it moves faster, and L0, which follows late, would fall far below its target and
// take the latents with it: λ then answers to the change of L0 as well, which brakes it. JumpReLU's
// L0 answers to its thresholds alone, which a positive λ can only raise and which overshoot: there
// a proportional and a bounded integral part may become negative, which lowers them.
template <class T>
void Trainer<T>::AdjustLambda(double l0) {
  if (!HasPenalty(spec_.model.selection) || spec_.model.penalty.weight > 0) return;
  const double error = std::clamp(std::log2((l0 + 1e-3) / spec_.model.k()), -1.0, 1.0);
  if (spec_.model.selection == Selection::kJumpRelu) {
    const double unit = 1.0 / data_.outputs();
    control_ = std::clamp(control_ + 0.01 * error * unit, -unit, 5 * unit);
    lambda_ = control_ + 2 * error * unit;
  } else {
    constexpr double kSlow = 0.03, kFast = 0.15, kFar = 4;
    const double rate = std::clamp(20.0 / static_cast<double>(total_steps_), kSlow, kFast);
    const double octaves = std::clamp(std::log2((l0 + 1e-3) / spec_.model.k()), -kFar, kFar);
    const double brake = rate > kSlow && step_ > 0 ? octaves - control_ : 0;
    control_ = octaves;
    // Where L0 cannot follow yet, as in a slow warm-up, λ must not run so far away that its way
    // back takes thousands of steps.
    const double start = StartLambda();
    lambda_ = std::clamp(lambda_ * std::exp(rate * error + brake), 1e-3 * start, 1e3 * start);
  }
}

// Which windows of the minibatch are scored. Between trials fewer latents are active than in them:
// a λ by the mean of all would leave the windows that people look at with far more than they asked
// for.
template <class T>
std::vector<uint8_t> Trainer<T>::Scored(const std::vector<int64_t>& starts) const {
  std::vector<uint8_t> out(starts.size(), 1);
  if (data_.scored.empty()) return out;
  for (size_t i = 0; i < starts.size(); ++i) {
    out[i] = std::binary_search(data_.scored.begin(), data_.scored.end(), starts[i]) ? 1 : 0;
  }
  return out;
}

// What people ask for is the L0 of the full windows that a trained model reads. Where units are
// hidden z varies more and other latents are active.
template <class T>
std::optional<double> Trainer<T>::FullL0(const std::vector<int64_t>& starts,
                                         const std::vector<uint8_t>& scored,
                                         const Coefficients& coefficients) {
  constexpr size_t kEnough = 256;
  std::vector<int64_t> some;
  for (size_t i = 0; i < starts.size() && some.size() < kEnough; ++i) {
    if (scored[i] != 0) some.push_back(starts[i]);
  }
  if (some.empty()) return std::nullopt;
  work_.Select(some, parameters_, coefficients);
  return work_.l0();
}

template <class T>
std::vector<int32_t> Trainer<T>::Dead() const {
  std::vector<int32_t> dead;
  for (size_t j = 0; j < idle_steps_.size(); ++j) {
    if (idle_steps_[j] > spec_.model.aux.dead_after_steps) dead.push_back(static_cast<int32_t>(j));
  }
  return dead;
}

// Projects a decoder gradient: the component along the unit row cannot change anything.
template <class T>
void Project(const T* decoder, int64_t n, T* gradient) {
  const auto& k = Kernels<T>();
  k.add_scaled(-k.dot(gradient, decoder, n), decoder, n, gradient);
}

template <class T>
double Trainer<T>::GradientNorm() {
  const auto& k = Kernels<T>();
  std::vector<double> squares(parameters_.features);
  work_.Backward(
      parameters_,
      [&](const LatentGradient<T>& g) {
        Project(parameters_.decoder_row(g.latent), parameters_.outputs, g.decoder);
        double sum = static_cast<double>(k.dot(g.encoder, g.encoder, parameters_.inputs)) +
                     static_cast<double>(k.dot(g.decoder, g.decoder, parameters_.outputs)) +
                     static_cast<double>(g.encoder_bias) * static_cast<double>(g.encoder_bias);
        for (size_t x = 0; x < parameters_.extra.size(); ++x) {
          sum += static_cast<double>(g.extra[x]) * static_cast<double>(g.extra[x]);
        }
        squares[g.latent] = sum;
      },
      [](int64_t, int64_t) {});
  double sum = 0;
  for (double s : squares) sum += s;
  for (T g : work_.decoder_bias_gradient()) sum += static_cast<double>(g) * static_cast<double>(g);
  return std::sqrt(sum);
}

template <class T>
void Trainer<T>::Update(double factor, double learning_rate) {
  Updater<T> updater(spec_.optimiser, learning_rate, step_ + 1);
  updater.set_gradient_factor(static_cast<T>(factor));
  // Adam moves a log θ by at most the learning rate a step, which in a short training is too little
  // to follow a λ that is being adjusted.
  const bool hurry =
      spec_.model.selection == Selection::kJumpRelu && spec_.model.penalty.weight == 0;
  Updater<T> extra_updater(spec_.optimiser, (hurry ? 10 : 1) * learning_rate, step_ + 1);
  extra_updater.set_gradient_factor(static_cast<T>(factor));
  Parameters<T>&m = moments_.first, &v = moments_.second;
  const bool second = !v.encoder.empty();
  const auto of = [&](std::vector<T>& tensor, int64_t at) {
    return second ? tensor.data() + at : nullptr;
  };
  const int64_t D = parameters_.inputs, E = parameters_.outputs;
  // Its gradients are projected.
  const bool again = spec_.optimiser.clip_norm > 0 && work_.all_held();
  const auto update = [&](const LatentGradient<T>& g) {
    const int64_t j = g.latent;
    // The decoder keeps unit norm: drop the gradient along the row, step, renormalise.
    T* decoder = parameters_.decoder_row(j);
    if (!again) Project(decoder, E, g.decoder);
    updater.Matrix(g.decoder, E, m.decoder_row(j), of(v.decoder, j * E), decoder);
    NormaliseRow(decoder, E);
    updater.Matrix(g.encoder, D, m.encoder_row(j), of(v.encoder, j * D),
                   parameters_.encoder_row(j));
    updater.Vector(&g.encoder_bias, 1, &m.encoder_bias[j], of(v.encoder_bias, j),
                   &parameters_.encoder_bias[j]);
    for (size_t x = 0; x < parameters_.extra.size(); ++x) {
      extra_updater.Vector(&g.extra[x], 1, &m.extra[x][j], second ? &v.extra[x][j] : nullptr,
                           &parameters_.extra[x][j]);
    }
  };
  const auto pack = [&](int64_t begin, int64_t end) {
    // With b_d in the encoder's bias, packing waits for b_d's own update.
    if (!spec_.model.subtract_bias) work_.Pack(parameters_, begin, end);
  };
  if (again) {
    work_.BackwardAgain(parameters_, update, pack);
  } else {
    work_.Backward(parameters_, update, pack);
  }
  updater.Vector(work_.decoder_bias_gradient().data(), E, m.decoder_bias.data(),
                 of(v.decoder_bias, 0), parameters_.decoder_bias.data());
  if (spec_.model.subtract_bias) work_.PackAll(parameters_);
}

template <class T>
void Trainer<T>::Average() {
  const double t = static_cast<double>(step_);
  const T keep = static_cast<T>(std::min(spec_.optimiser.average, (1 + t) / (10 + t)));
  const auto blend = [&](const std::vector<T>& from, std::vector<T>& to) {
    ForBlocks(static_cast<int64_t>(to.size()), 1 << 14, [&](int64_t, int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) to[i] = keep * to[i] + (1 - keep) * from[i];
    });
  };
  blend(parameters_.encoder, average_.encoder);
  blend(parameters_.encoder_bias, average_.encoder_bias);
  blend(parameters_.decoder, average_.decoder);
  blend(parameters_.decoder_bias, average_.decoder_bias);
  for (size_t x = 0; x < parameters_.extra.size(); ++x) {
    blend(parameters_.extra[x], average_.extra[x]);
  }
}

// Bricken et al. 2023: a dead latent's decoder row becomes a target window drawn with probability
// ∝ loss², of unit norm; its encoder row the input window with 0.2 times the mean norm of the
// living; its bias 0, its moments 0. The windows are those of the minibatch.
template <class T>
void Trainer<T>::Resample(const std::vector<int32_t>& dead) {
  const auto& k = Kernels<T>();
  const std::vector<double>& losses = work_.row_losses();
  std::vector<double> cumulative(losses.size());
  double sum = 0;
  for (size_t b = 0; b < losses.size(); ++b) cumulative[b] = sum += losses[b] * losses[b];
  if (dead.empty() || !(sum > 0) || !std::isfinite(sum)) return;
  const int64_t D = parameters_.inputs, E = parameters_.outputs;
  std::vector<bool> is_dead(parameters_.features, false);
  for (int32_t j : dead) is_dead[j] = true;
  double norm = 0;
  int64_t living = 0;
  for (int64_t j = 0; j < parameters_.features; ++j) {
    if (is_dead[j] && static_cast<int64_t>(dead.size()) < parameters_.features) continue;
    norm += std::sqrt(
        static_cast<double>(k.dot(parameters_.encoder_row(j), parameters_.encoder_row(j), D)));
    ++living;
  }
  norm *= 0.2 / static_cast<double>(living);
  const CounterRandom random(spec_.seed, kResampleStream);
  std::vector<T> input(D);
  const auto parameters = LatentParameters(spec_.model);
  for (int32_t j : dead) {
    const double u = random.Uniform(static_cast<uint64_t>(step_) * parameters_.features + j) * sum;
    const auto row = std::min<int64_t>(
        std::upper_bound(cumulative.begin(), cumulative.end(), u) - cumulative.begin(),
        static_cast<int64_t>(losses.size()) - 1);
    work_.ReadInput(row, input.data());
    const double length = std::sqrt(static_cast<double>(k.dot(input.data(), input.data(), D)));
    const T* target = work_.target(row);
    if (!(length > 0) || !(k.dot(target, target, E) > T(0))) continue;
    T* encoder = parameters_.encoder_row(j);
    std::copy(input.begin(), input.end(), encoder);
    k.scale(static_cast<T>(norm / length), D, encoder);
    std::copy_n(target, E, parameters_.decoder_row(j));
    NormaliseRow(parameters_.decoder_row(j), E);
    parameters_.encoder_bias[j] = T(0);
    for (size_t x = 0; x < parameters.size(); ++x) {
      parameters_.extra[x][j] = static_cast<T>(parameters[x].start);
    }
    for (Parameters<T>* m : {&moments_.first, &moments_.second}) {
      if (m->encoder.empty()) continue;
      std::fill_n(m->encoder_row(j), D, T(0));
      std::fill_n(m->decoder_row(j), E, T(0));
      m->encoder_bias[j] = T(0);
      for (auto& extra : m->extra) extra[j] = T(0);
    }
    idle_steps_[j] = 0;
  }
  work_.PackAll(parameters_);
}

template <class T>
absl::Status Trainer<T>::Finish() {
  if (spec_.optimiser.average > 0) {
    parameters_ = average_;
    for (int64_t j = 0; j < parameters_.features; ++j) {
      NormaliseRow(parameters_.decoder_row(j), parameters_.outputs);
    }
    work_.PackAll(parameters_);
  }
  return CheckFinite();
}

// A latent whose weights are NaN is never selected and so leaves the loss as it is.
template <class T>
absl::Status Trainer<T>::CheckFinite() const {
  bool finite = true;
  ForTensors(parameters_, [&](const std::vector<T>& tensor) { finite = finite && Finite(tensor); });
  if (finite) return absl::OkStatus();
  return absl::FailedPreconditionError(
      fmt::format("a weight is not finite after {} steps; lower optimiser.learning_rate (now {}) "
                  "or set optimiser.clip_norm",
                  step_, spec_.optimiser.learning_rate));
}

template <class T>
absl::StatusOr<StepReport> Trainer<T>::Next() {
  const std::vector<int64_t> starts =
      BatchStarts(step_ / steps_per_epoch_, step_ % steps_per_epoch_);
  const std::vector<int32_t> dead = Dead();
  const bool auxiliary =
      spec_.model.revival == Revival::kAuxK || spec_.model.revival == Revival::kNldisco;
  const Coefficients coefficients = CoefficientsNow();
  StepReport report;
  const HiddenUnits hidden{spec_.hidden_inputs, spec_.seed, step_};
  const bool full_l0 = hidden.any() && HasPenalty(spec_.model.selection);
  const std::vector<uint8_t> scored = Scored(starts);
  std::optional<double> l0;
  if (full_l0) l0 = FullL0(starts, scored, coefficients);
  report.loss = work_.Forward(starts, parameters_, coefficients,
                              auxiliary ? dead : std::vector<int32_t>{}, hidden);
  if (!std::isfinite(report.loss)) {
    return absl::FailedPreconditionError(
        fmt::format("the loss is no longer finite at step {}; lower optimiser.learning_rate (now "
                    "{}) or normalise the input",
                    step_ + 1, spec_.optimiser.learning_rate));
  }
  report.lambda = coefficients.lambda;
  if (!full_l0) l0 = work_.L0Of(scored);
  report.l0 = l0.value_or(work_.l0());
  report.learning_rate = LearningRate(spec_.optimiser, step_, total_steps_);
  double factor = 1;
  if (spec_.optimiser.clip_norm > 0) {
    report.gradient_norm = GradientNorm();
    factor = std::min(1.0, spec_.optimiser.clip_norm / (report.gradient_norm + 1e-6));
  }
  Update(factor, report.learning_rate);
  if (spec_.optimiser.average > 0) Average();

  for (int32_t& idle : idle_steps_) ++idle;
  const Pass<T>& main = work_.main_pass();
  for (size_t b = 0; b < main.begin.size(); ++b) {
    for (int64_t e = main.begin[b]; e < main.end[b]; ++e) {
      if (main.value[e] > T(0)) idle_steps_[main.latent[e]] = 0;
    }
  }
  const std::vector<T> cutoffs = work_.cutoffs();
  for (size_t l = 0; l < running_thresholds_.size(); ++l) {
    double& threshold = running_thresholds_[l];
    const auto cutoff = static_cast<double>(cutoffs[l]);
    threshold = step_ == 0 ? cutoff : kThresholdDecay * threshold + (1 - kThresholdDecay) * cutoff;
  }
  if (l0) AdjustLambda(*l0);
  ++step_;
  const Resampling& resampling = spec_.model.resampling;
  if (spec_.model.revival == Revival::kResample && step_ % resampling.every_steps == 0 &&
      static_cast<double>(step_) <= resampling.until_fraction * static_cast<double>(total_steps_)) {
    Resample(Dead());
  }
  report.step = step_;
  report.reconstruction_loss = work_.reconstruction_loss();
  report.rows = work_.rows();
  report.dead_fraction = static_cast<double>(dead.size()) / static_cast<double>(idle_steps_.size());
  if (done()) {
    SAED_RETURN_IF_ERROR(Finish());
  } else if (step_ % kFiniteEvery == 0) {
    SAED_RETURN_IF_ERROR(CheckFinite());
  }
  return report;
}

template <class T>
absl::StatusOr<std::vector<double>> Trainer<T>::CalibrateThresholds(
    const std::function<bool()>& keep_going) {
  std::vector<double> sum(running_thresholds_.size(), 0.0);
  if (HasPenalty(spec_.model.selection)) return sum;
  const Starts counted = data_.scored.empty() ? data_.starts : data_.scored;
  std::vector<int64_t> order(counted.begin(), counted.end());
  Shuffle(total_steps_ / steps_per_epoch_, order);
  const auto windows = static_cast<int64_t>(order.size());
  for (int64_t i = 0; i * spec_.batch_size < windows; ++i) {
    if (!keep_going()) return absl::CancelledError("stopped while calibrating thresholds");
    const std::vector<int64_t> starts = Part(order, i);
    work_.Select(starts, parameters_, {});
    const std::vector<T> cutoffs = work_.cutoffs();
    for (size_t l = 0; l < sum.size(); ++l) {
      sum[l] += static_cast<double>(cutoffs[l]) * static_cast<double>(starts.size());
    }
  }
  for (double& s : sum) s /= static_cast<double>(windows);
  return sum;
}

template <class T>
std::string Trainer<T>::Save() const {
  WireWriter out;
  out.Value(kStateMagic);
  out.Value(step_);
  Write(parameters_, out);
  Write(moments_.first, out);
  if (!moments_.second.encoder.empty()) Write(moments_.second, out);
  if (!average_.encoder.empty()) Write(average_, out);
  out.Array(idle_steps_);
  out.Array(running_thresholds_);
  out.Value(lambda_);
  out.Value(control_);
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
  if (!Read(in, parameters_) || !Read(in, moments_.first) ||
      (!moments_.second.encoder.empty() && !Read(in, moments_.second)) ||
      (!average_.encoder.empty() && !Read(in, average_))) {
    return damaged();
  }
  auto idle = in.Array<int32_t>();
  auto thresholds = in.Array<double>();
  const auto lambda = in.Value<double>(), integral = in.Value<double>();
  if (!in.done() || idle.size() != idle_steps_.size() ||
      thresholds.size() != running_thresholds_.size() || step < 0 || step > total_steps_) {
    return damaged();
  }
  idle_steps_ = std::move(idle);
  running_thresholds_ = std::move(thresholds);
  lambda_ = lambda;
  control_ = integral;
  step_ = step;
  work_.PackAll(parameters_);
  return absl::OkStatus();
}

template class Trainer<float>;
template class Trainer<double>;

}  // namespace saed::sae
