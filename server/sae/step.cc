#include "server/sae/step.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "server/sae/architectures/rows.h"
#include "server/sae/architectures/topk_of_all.h"
#include "server/sae/decode_rows.h"
#include "server/sae/kernels/dispatch.h"
#include "server/sae/parallel.h"
#include "server/sae/stage_clock.h"

namespace saed::sae {
namespace {

constexpr int64_t kColumnBlock = 64;
constexpr int kSlack = CountEncoder::kSlack;

// The mean count of an input over some windows, evenly spread.
double MeanCount(const TrainingData& data) {
  constexpr int64_t kMost = 256;
  const auto windows = static_cast<int64_t>(data.starts.size()), n = std::min(kMost, windows);
  std::vector<float> x(data.inputs());
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    ReadWindow(data.counts, {}, data.starts[i * windows / n], data.S, x.data());
    for (float c : x) sum += static_cast<double>(c);
  }
  return sum / static_cast<double>(std::max<int64_t>(1, n) * data.inputs());
}

double Sum(const std::vector<double>& values) {
  double sum = 0;
  for (double v : values) sum += v;
  return sum;
}

}  // namespace

template <class T>
Step<T>::Step(const ModelSpec& spec, const TrainingData& data)
    : spec_(spec),
      data_(data),
      features_(spec.features()),
      inputs_(data.inputs()),
      outputs_(data.outputs()),
      counts_path_(std::is_same_v<T, float> && data.counts.dtype == DType::kU8),
      input_offset_(PerInput(data.normaliser.offset, data.S)),
      input_scale_(PerInput(data.normaliser.scale, data.S)),
      architecture_(MakeArchitecture<T>(spec)),
      latent_parameters_(LatentParameters(spec)),
      main_(spec.levels.size() - 1),
      passes_(architecture_->Passes()),
      row_losses_(passes_.size()) {
  if (counts_path_) {
    count_encoder_ = CountEncoder(features_, inputs_, input_offset_, input_scale_, MeanCount(data));
  } else {
    float_encoder_ = FloatEncoder<T>(features_, inputs_);
  }
}

template <class T>
void Step<T>::Pack(const Parameters<T>& p, int64_t begin, int64_t end) {
  if constexpr (std::is_same_v<T, float>) {
    if (counts_path_) return count_encoder_.Pack(p, spec_.subtract_bias, begin, end);
  }
  float_encoder_.Pack(p, spec_.subtract_bias, begin, end);
}

template <class T>
void Step<T>::PackAll(const Parameters<T>& p) {
  ForBlocks(features_, kPackLatents,
            [&](int64_t, int64_t begin, int64_t end) { Pack(p, begin, end); });
}

template <class T>
void Step<T>::LoadRows(Starts starts, int64_t first, int64_t last) {
  const Timed timed(clock, kLoadStage);
  for (int64_t b = first; b < last; ++b) {
    if (counts_path_) {
      std::memcpy(counts_.data() + b * inputs_,
                  static_cast<const uint8_t*>(data_.counts.data) + starts[b] * data_.counts.units,
                  inputs_);
    } else {
      ReadWindow(data_.counts, hidden_.any() ? Normaliser{} : data_.normaliser, starts[b], data_.S,
                 x_.data() + b * inputs_);
    }
    if (hidden_.any()) HideUnits(b);
    ReadWindow(data_.target_counts(), data_.target_norm(), starts[b], data_.S,
               y_.data() + b * outputs_);
  }
}

template <class T>
void Step<T>::HideUnits(int64_t row) {
  const int units = data_.counts.units;
  std::vector<uint8_t> hidden(units);
  DrawHidden(hidden_, row, units, hidden.data());
  if (counts_path_) {
    // The gain would make no counts: EncodeRows has it.
    uint8_t* counts = counts_.data() + row * inputs_;
    for (int i = 0; i < inputs_; ++i) counts[i] = hidden[i % units] != 0 ? 0 : counts[i];
    return;
  }
  T* x = x_.data() + row * inputs_;
  const T gain = static_cast<T>(hidden_.gain());
  for (int i = 0; i < inputs_; ++i) x[i] = hidden[i % units] != 0 ? T(0) : gain * x[i];
  for (int i = 0; i < inputs_ && !input_offset_.empty(); ++i) {
    x[i] = (x[i] - static_cast<T>(input_offset_[i])) / static_cast<T>(input_scale_[i]);
  }
}

template <class T>
void Step<T>::EncodeRows(int64_t first, int64_t last) {
  const Timed timed(clock, kEncodeStage);
  const int rows = static_cast<int>(last - first);
  if constexpr (std::is_same_v<T, float>) {
    if (counts_path_) {
      count_encoder_.Encode(counts_.data() + first * inputs_, rows, z_.data() + first * features_);
      if (!hidden_.any()) return;
      // z is affine in the counts, so a gain of theirs is one of what they add to z of silence.
      const auto gain = static_cast<float>(hidden_.gain());
      for (int64_t b = first; b < last; ++b) {
        float* z = z_.data() + b * features_;
        for (int j = 0; j < features_; ++j) {
          z[j] = std::fma(gain, z[j] - silent_z_[j], silent_z_[j]);
        }
      }
      return;
    }
  }
  float_encoder_.Encode(x_.data() + first * inputs_, rows, z_.data() + first * features_);
}

template <class T>
void Step<T>::ReadInput(int64_t row, T* out) const {
  if (!counts_path_) {
    std::copy_n(x_.data() + row * inputs_, inputs_, out);
    return;
  }
  const CountView view{counts_.data() + row * inputs_, DType::kU8, data_.S, data_.counts.units};
  if (!hidden_.any()) return ReadWindow(view, data_.normaliser, 0, data_.S, out);
  ReadWindow(view, {}, 0, data_.S, out);
  for (int i = 0; i < inputs_; ++i) {
    out[i] *= static_cast<T>(hidden_.gain());
    if (input_offset_.empty()) continue;
    out[i] = (out[i] - static_cast<T>(input_offset_[i])) / static_cast<T>(input_scale_[i]);
  }
}

template <class T>
void Step<T>::SizeSlopes() {
  for (Pass<T>& pass : passes_) {
    pass.slope.resize(pass.latent.size());
    for (auto& extra : pass.extra_slope) extra.resize(pass.latent.size());
    pass.output_slope.resize(rows_ * outputs_);
  }
}

template <class T>
void Step<T>::LossRows(const Batch<T>& batch, int64_t first, int64_t last) {
  const Timed timed(clock, kLossStage);
  const auto& k = Kernels<T>();
  const double elements = static_cast<double>(rows_) * outputs_;
  for (size_t i = 0; i < passes_.size(); ++i) {
    Pass<T>& pass = passes_[i];
    const T scale = static_cast<T>(pass.weight / elements);
    const bool keep = i == main_ && !residual_.empty();
    const bool shared = SharesRows(batch.parameters, pass, first, last);
    if (shared) {
      DecodeSharedRows(batch.parameters, pass, first, last, pass.output_slope.data());
    }
    for (int64_t b = first; b < last; ++b) {
      T* a = pass.output_slope.data() + b * outputs_;
      if (!shared) DecodeRow(batch.parameters, pass, b, batch.parameters.decoder_bias.data(), a);
      if (keep && aux_through_output()) std::copy_n(a, outputs_, residual_.data() + b * outputs_);
      row_losses_[i][b] =
          k.loss_slope(spec_.loss, spec_.output, y_.data() + b * outputs_, scale, outputs_, a,
                       keep && !aux_through_output() ? residual_.data() + b * outputs_ : nullptr);
      if (!shared) CodeSlopes(batch.parameters, b, pass);
    }
    if (shared) {
      ForSharedRows(batch.parameters, pass, first, last,
                    [&](int64_t b, int64_t begin, int64_t end) {
                      CodeSlopes(batch.parameters, b, begin, end, pass);
                    });
    }
    for (int64_t b = first; b < last; ++b) {
      row_penalties_[b] += architecture_->FinishRow(batch, b, i, pass);
    }
  }
}

template <class T>
void Step<T>::SelectAll(Starts starts, const Parameters<T>& p, const Coefficients& coefficients,
                        bool losses) {
  rows_ = static_cast<int64_t>(starts.size());
  if (counts_path_) {
    counts_.resize(rows_ * inputs_ + kSlack);
  } else {
    x_.resize(rows_ * inputs_);
  }
  y_.resize(rows_ * outputs_);
  z_.resize(rows_ * features_);
  if constexpr (std::is_same_v<T, float>) {
    if (counts_path_ && hidden_.any()) {
      const std::vector<uint8_t> silence(inputs_ + kSlack, 0);
      silent_z_.resize(features_);
      count_encoder_.Encode(silence.data(), 1, silent_z_.data());
    }
  }
  for (auto& rows : row_losses_) rows.resize(rows_);
  row_penalties_.assign(rows_, 0.0);
  const Batch<T> batch{p, z_.data(), rows_, coefficients};
  architecture_->Begin(batch, passes_);
  const bool at_once = losses && !architecture_->needs_batch();
  if (at_once) SizeSlopes();
  // Where codes do not depend on other windows, a block of rows goes all the way while in cache.
  ForBlocks(rows_, RowBlock(rows_), [&](int64_t, int64_t first, int64_t last) {
    LoadRows(starts, first, last);
    EncodeRows(first, last);
    {
      const Timed timed(clock, kSelectStage);
      architecture_->SelectRows(batch, first, last, passes_);
    }
    if (at_once) LossRows(batch, first, last);
  });
  if (at_once) return;
  {
    const Timed timed(clock, kSelectStage);
    architecture_->SelectBatch(batch, passes_);
  }
  if (!losses) return;
  SizeSlopes();
  ForBlocks(rows_, RowBlock(rows_),
            [&](int64_t, int64_t first, int64_t last) { LossRows(batch, first, last); });
}

template <class T>
void Step<T>::Select(Starts starts, const Parameters<T>& p, const Coefficients& coefficients) {
  hidden_ = {};
  SelectAll(starts, p, coefficients, false);
}

template <class T>
double Step<T>::Forward(Starts starts, const Parameters<T>& p, const Coefficients& coefficients,
                        const std::vector<int32_t>& dead, const HiddenUnits& hidden) {
  hidden_ = hidden;
  residual_.resize(dead.empty() ? 0 : starts.size() * outputs_);
  SelectAll(starts, p, coefficients, true);
  const double elements = static_cast<double>(rows_) * outputs_;
  double total = 0;
  for (size_t i = 0; i < passes_.size(); ++i) {
    const double loss = Sum(row_losses_[i]) / elements;
    passes_[i].loss = passes_[i].weight * loss;
    if (i == main_) reconstruction_loss_ = loss;
    total += passes_[i].loss;
  }
  penalty_ = Sum(row_penalties_);
  aux_.loss = AuxLoss(p, dead);
  return total + penalty_ + aux_.loss;
}

// Chooses the auxiliary code among the dead latents' pre-activations.
template <class T>
void Step<T>::SelectDead(const std::vector<int32_t>& dead) {
  const int width = static_cast<int>(dead.size());
  const auto gather = [&](int64_t b, T* out) {
    for (int i = 0; i < width; ++i) out[i] = z_[b * features_ + dead[i]];
  };
  if (spec_.revival == Revival::kNldisco) {
    // max(1, min(dead, ⌊0.1·F⌋)) per window, shared by the minibatch.
    const int64_t budget = std::max(1, std::min(width, features_ / 10));
    GatheredRows<T> gathered;
    gathered.Begin(rows_);
    ForBlocks(rows_, RowBlock(rows_), [&](int64_t, int64_t first, int64_t last) {
      std::vector<T> z(width);
      gathered.Gather(first, last, width, [&](int64_t b, int32_t* index, T* value) {
        gather(b, z.data());
        return Kernels<T>().at_least(z.data(), width, T(0), index, value);
      });
    });
    KeepLargest(gathered, rows_, rows_ * budget, aux_);
  } else {
    const int k = std::min(spec_.aux.k, width);
    aux_.begin.resize(rows_);
    aux_.end.resize(rows_);
    aux_.latent.resize(rows_ * k);
    aux_.value.resize(rows_ * k);
    ForBlocks(rows_, RowBlock(rows_), [&](int64_t, int64_t first, int64_t last) {
      std::vector<T> z(width), scratch(2 * (width + kLanes));
      std::vector<int32_t> order(width);
      for (int64_t b = first; b < last; ++b) {
        gather(b, z.data());
        int32_t* index = aux_.latent.data() + b * k;
        T* value = aux_.value.data() + b * k;
        aux_.begin[b] = b * k;
        if (!spec_.aux.pre_activation) {
          aux_.end[b] =
              b * k + Kernels<T>().top_k(z.data(), width, k, scratch.data(), index, value);
          continue;
        }
        for (int i = 0; i < width; ++i) {
          order[i] = i;
          if (std::isnan(z[i]))
            z[i] = -std::numeric_limits<T>::infinity();  // has no place in an order
        }
        if (k < width) {
          std::nth_element(order.begin(), order.begin() + (k - 1), order.end(),
                           [&](int i, int j) { return z[i] != z[j] ? z[i] > z[j] : i < j; });
          std::sort(order.begin(), order.begin() + k);
        }
        for (int e = 0; e < k; ++e) {
          index[e] = order[e];
          value[e] = z[order[e]];
        }
        aux_.end[b] = b * k + k;
      }
    });
  }
  for (int32_t& j : aux_.latent) j = dead[std::min<size_t>(j, dead.size() - 1)];
}

// The residual's variance around its mean per output, averaged over outputs.
template <class T>
double Step<T>::ResidualVariance() const {
  std::vector<double> column_variance(outputs_);
  ForBlocks(outputs_, kColumnBlock, [&](int64_t, int64_t begin, int64_t end) {
    const int64_t width = end - begin;
    std::vector<double> sum(width, 0.0), square(width, 0.0);
    for (int64_t b = 0; b < rows_; ++b) {
      const T* e = residual_.data() + b * outputs_ + begin;
      for (int64_t i = 0; i < width; ++i) {
        sum[i] += static_cast<double>(e[i]);
        square[i] += static_cast<double>(e[i]) * static_cast<double>(e[i]);
      }
    }
    for (int64_t i = 0; i < width; ++i) {
      const double mean = sum[i] / static_cast<double>(rows_);
      column_variance[begin + i] = square[i] / static_cast<double>(rows_) - mean * mean;
    }
  });
  return std::max(Sum(column_variance) / outputs_, 1e-12);
}

template <class T>
double Step<T>::AuxLoss(const Parameters<T>& p, const std::vector<int32_t>& dead) {
  aux_.begin.clear();
  aux_.end.clear();
  aux_.latent.clear();
  const bool nldisco = spec_.revival == Revival::kNldisco;
  if (dead.empty() || !(nldisco || spec_.revival == Revival::kAuxK) || spec_.aux.weight <= 0) {
    return 0;
  }
  SelectDead(dead);
  aux_.output_slope.resize(rows_ * outputs_);
  aux_.slope.resize(aux_.latent.size());
  const double elements = static_cast<double>(rows_) * outputs_;
  const bool through = aux_through_output();
  const double weight = nldisco   ? 1.0
                        : through ? spec_.aux.weight
                                  : spec_.aux.weight / ResidualVariance();
  const T scale = static_cast<T>(weight / elements);
  std::vector<double> losses(rows_);
  ForBlocks(rows_, RowBlock(rows_), [&](int64_t, int64_t first, int64_t last) {
    for (int64_t b = first; b < last; ++b) {
      T* a = aux_.output_slope.data() + b * outputs_;
      const T* kept = residual_.data() + b * outputs_;
      DecodeRow<T>(p, aux_, b, through ? kept : nullptr, a);
      losses[b] = through
                      ? Kernels<T>().loss_slope(spec_.loss, spec_.output, y_.data() + b * outputs_,
                                                scale, outputs_, a, nullptr)
                      : Kernels<T>().loss_slope(Loss::kMse, Output::kIdentity, kept, scale,
                                                outputs_, a, nullptr);
      CodeSlopes(p, b, aux_);
    }
  });
  return weight * Sum(losses) / elements;
}

template <class T>
double Step<T>::l0() const {
  return L0Of(std::vector<uint8_t>(main_pass().begin.size(), 1)).value_or(0);
}

template <class T>
std::optional<double> Step<T>::L0Of(const std::vector<uint8_t>& rows) const {
  int64_t active = 0, windows = 0;
  const Pass<T>& pass = main_pass();
  for (size_t b = 0; b < pass.begin.size(); ++b) {
    if (rows[b] == 0) continue;
    ++windows;
    for (int64_t e = pass.begin[b]; e < pass.end[b]; ++e) active += pass.value[e] > T(0);
  }
  if (windows == 0) return std::nullopt;
  return static_cast<double>(active) / static_cast<double>(windows);
}

template class Step<float>;
template class Step<double>;

}  // namespace saed::sae
