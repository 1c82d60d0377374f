#include "server/sae/step.h"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>

#include "server/sae/kernels/vector_ops.h"
#include "server/sae/losses.h"
#include "server/sae/parallel.h"

namespace saed::sae {
namespace {

constexpr int64_t kRowBlock = 16;
constexpr int64_t kLatentBlock = 8;
constexpr int64_t kColumnBlock = 64;

// Writes W_d·f (+ b_d where given) of one window into out[0, D).
template <class T>
void DecodeRow(const Parameters<T>& p, const Codes<T>& codes, int64_t b, const T* bias, T* out) {
  if (bias != nullptr) {
    std::copy_n(bias, p.inputs, out);
  } else {
    std::fill_n(out, p.inputs, T(0));
  }
  for (int64_t e = codes.row_begin[b]; e < codes.row_begin[b + 1]; ++e) {
    AddScaled(codes.value[e], p.decoder_row(codes.latent[e]), p.inputs, out);
  }
}

// ∂L/∂f of one window: dot products of the output slope with the used decoder rows.
template <class T>
void CodeSlopes(const Parameters<T>& p, int64_t b, Pass<T>& pass) {
  const T* slope = pass.output_slope.data() + b * p.inputs;
  for (int64_t e = pass.codes.row_begin[b]; e < pass.codes.row_begin[b + 1]; ++e) {
    pass.code_slope[e] = Dot(slope, p.decoder_row(pass.codes.latent[e]), p.inputs);
  }
}

// Turns a (pre-activation outputs) into slopes in place; returns Σ loss of the row.
template <class T>
double SlopeRow(Loss loss, Output output, const T* y, T scale, int n, T* a, T* residual) {
  double sum = 0;
  if (loss == Loss::kMse && output == Output::kIdentity) {
    AddScaled(T(-1), y, n, a);
    sum = static_cast<double>(Dot(a, a, n));
    if (residual != nullptr) {
      for (int i = 0; i < n; ++i) residual[i] = -a[i];
    }
    Scale(2 * scale, n, a);
    return sum;
  }
  for (int i = 0; i < n; ++i) {
    const T prediction = Activate(output, a[i]);
    const LossValue<T> l = Evaluate(loss, prediction, y[i]);
    sum += static_cast<double>(l.value);
    if (residual != nullptr) residual[i] = y[i] - prediction;
    a[i] = scale * l.slope * ActivateSlope(output, a[i]);
  }
  return sum;
}

}  // namespace

template <class T>
Step<T>::Step(const ModelSpec& spec, int inputs)
    : spec_(spec), inputs_(inputs), levels_(spec.levels.size()), cutoffs_(spec.levels.size()) {}

template <class T>
void Step<T>::Load(const CountView& counts, const Normaliser& normaliser, Starts starts, int S) {
  rows_ = static_cast<int64_t>(starts.size());
  x_.resize(rows_ * inputs_);
  ForBlocks(rows_, kRowBlock, [&](int64_t, int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      ReadWindow(counts, normaliser, starts[b], S, x_.data() + b * inputs_);
    }
  });
}

template <class T>
void Step<T>::Encode(const PackedEncoder<T>& encoder) {
  const int64_t features = encoder.features();
  z_.resize(rows_ * features);
  ForBlocks(rows_, kEncodeRows, [&](int64_t, int64_t begin, int64_t end) {
    encoder.Encode(x_.data() + begin * inputs_, static_cast<int>(end - begin),
                   z_.data() + begin * features);
  });
}

template <class T>
void Step<T>::Select() {
  const int64_t stride = spec_.features();
  for (size_t l = 0; l < levels_.size(); ++l) {
    const Level& level = spec_.levels[l];
    auto& codes = levels_[l].codes;
    const Selected<T> selected =
        spec_.selection == Selection::kTopK
            ? SelectTopK(z_.data(), rows_, stride, level.features, level.k, codes)
            : SelectBatchTopK(z_.data(), rows_, stride, level.features, level.k, codes);
    cutoffs_[l] = selected.cutoff;
  }
}

template <class T>
double Step<T>::LevelLoss(const Parameters<T>& p, size_t l) {
  Pass<T>& pass = levels_[l];
  const bool last = l + 1 == levels_.size();
  const bool keep_residual = last && spec_.aux.weight > 0;
  pass.output_slope.resize(rows_ * inputs_);
  pass.code_slope.resize(pass.codes.value.size());
  if (keep_residual) residual_.resize(rows_ * inputs_);
  row_loss_.resize(rows_);
  const double elements = static_cast<double>(rows_) * inputs_;
  const T scale = static_cast<T>(spec_.levels[l].weight / elements);
  ForBlocks(rows_, kRowBlock, [&](int64_t, int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      T* a = pass.output_slope.data() + b * inputs_;
      DecodeRow(p, pass.codes, b, p.decoder_bias.data(), a);
      row_loss_[b] = SlopeRow(spec_.loss, spec_.output, x_.data() + b * inputs_, scale, inputs_, a,
                              keep_residual ? residual_.data() + b * inputs_ : nullptr);
      CodeSlopes(p, b, pass);
    }
  });
  double sum = 0;
  for (int64_t b = 0; b < rows_; ++b) sum += row_loss_[b];
  if (last) reconstruction_loss_ = sum / elements;
  return spec_.levels[l].weight * sum / elements;
}

template <class T>
double Step<T>::AuxLoss(const Parameters<T>& p, const std::vector<int32_t>& dead) {
  aux_.codes = {};
  if (dead.empty() || spec_.aux.weight <= 0) return 0;
  SelectTopKAmong(z_.data(), rows_, spec_.features(), dead, spec_.aux.k, aux_.codes);

  // var(e): the residual's variance around its mean per output, over the whole minibatch.
  std::vector<double> column_variance(inputs_);
  ForBlocks(inputs_, kColumnBlock, [&](int64_t, int64_t begin, int64_t end) {
    const int64_t width = end - begin;
    std::vector<double> sum(width, 0.0), square(width, 0.0);
    for (int64_t b = 0; b < rows_; ++b) {
      const T* e = residual_.data() + b * inputs_ + begin;
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
  double variance = 0;
  for (double v : column_variance) variance += v;
  variance = std::max(variance / inputs_, 1e-12);

  aux_.output_slope.resize(rows_ * inputs_);
  aux_.code_slope.resize(aux_.codes.value.size());
  const double elements = static_cast<double>(rows_) * inputs_;
  const double weight = spec_.aux.weight / variance;
  const T scale = static_cast<T>(weight / elements);
  ForBlocks(rows_, kRowBlock, [&](int64_t, int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      T* a = aux_.output_slope.data() + b * inputs_;
      DecodeRow<T>(p, aux_.codes, b, nullptr, a);
      row_loss_[b] = SlopeRow<T>(Loss::kMse, Output::kIdentity, residual_.data() + b * inputs_,
                                 scale, inputs_, a, nullptr);
      CodeSlopes(p, b, aux_);
    }
  });
  double sum = 0;
  for (int64_t b = 0; b < rows_; ++b) sum += row_loss_[b];
  return weight * sum / elements;
}

template <class T>
double Step<T>::Loss(const Parameters<T>& p, const std::vector<int32_t>& dead) {
  double total = 0;
  for (size_t l = 0; l < levels_.size(); ++l) {
    levels_[l].loss = LevelLoss(p, l);
    total += levels_[l].loss;
  }
  aux_.loss = AuxLoss(p, dead);
  return total + aux_.loss;
}

template <class T>
void Step<T>::SortByLatent() {
  latent_begin_.assign(spec_.features() + 1, 0);
  const auto each = [&](const auto& fn) {
    for (size_t l = 0; l < levels_.size(); ++l) fn(static_cast<int32_t>(l), levels_[l]);
    if (aux_.codes.rows() > 0) fn(static_cast<int32_t>(levels_.size()), aux_);
  };
  each([&](int32_t, const Pass<T>& pass) {
    for (int32_t j : pass.codes.latent) ++latent_begin_[j + 1];
  });
  for (int j = 0; j < spec_.features(); ++j) latent_begin_[j + 1] += latent_begin_[j];
  entries_.resize(latent_begin_.back());
  std::vector<int64_t> next(latent_begin_.begin(), latent_begin_.end() - 1);
  each([&](int32_t index, const Pass<T>& pass) {
    const auto& codes = pass.codes;
    for (int64_t b = 0; b < codes.rows(); ++b) {
      for (int64_t e = codes.row_begin[b]; e < codes.row_begin[b + 1]; ++e) {
        entries_[next[codes.latent[e]]++] = {index, static_cast<int32_t>(b), codes.value[e],
                                             pass.code_slope[e]};
      }
    }
  });
}

template <class T>
void Step<T>::Backward(const Parameters<T>& p,
                       const std::function<void(const LatentGradient<T>&)>& sink) {
  SortByLatent();
  decoder_bias_gradient_.assign(inputs_, T(0));
  ForBlocks(inputs_, kColumnBlock, [&](int64_t, int64_t begin, int64_t end) {
    T* sum = decoder_bias_gradient_.data() + begin;
    for (const Pass<T>& pass : levels_) {
      for (int64_t b = 0; b < rows_; ++b) {
        AddScaled(T(1), pass.output_slope.data() + b * inputs_ + begin, end - begin, sum);
      }
    }
  });
  ForBlocks(p.features, kLatentBlock, [&](int64_t, int64_t begin, int64_t end) {
    thread_local std::vector<T> encoder, decoder;
    encoder.resize(inputs_);
    decoder.resize(inputs_);
    for (int64_t j = begin; j < end; ++j) {
      std::fill(encoder.begin(), encoder.end(), T(0));
      std::fill(decoder.begin(), decoder.end(), T(0));
      T bias = T(0);
      for (int64_t i = latent_begin_[j]; i < latent_begin_[j + 1]; ++i) {
        const Entry& e = entries_[i];
        const Pass<T>& pass =
            e.pass < static_cast<int32_t>(levels_.size()) ? levels_[e.pass] : aux_;
        AddScaled(e.slope, x_.data() + int64_t{e.row} * inputs_, inputs_, encoder.data());
        AddScaled(e.value, pass.output_slope.data() + int64_t{e.row} * inputs_, inputs_,
                  decoder.data());
        bias += e.slope;
      }
      sink({j, encoder.data(), decoder.data(), bias});
    }
  });
}

template class Step<float>;
template class Step<double>;

}  // namespace saed::sae
