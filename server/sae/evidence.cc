#include "server/sae/evidence.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "server/sae/kernels/dispatch.h"
#include "server/sae/losses.h"
#include "server/sae/parallel.h"

namespace saed::sae {
namespace {

constexpr int64_t kBlock = 48;  // windows; whole groups of the dense product's rows

// Units of a core; 0: all.
int CoreUnits(EvidenceKind kind) {
  switch (kind) {
    case EvidenceKind::kCore3:
    case EvidenceKind::kQuasiCore3:
      return 3;
    case EvidenceKind::kCore10:
      return 10;
    case EvidenceKind::kCore30:
      return 30;
    default:
      return 0;
  }
}

// g'(g⁻¹(ȳ))·(−∂²ℓ/∂ŷ∂y at ȳ): what a weight is multiplied by.
double FilterSlope(Loss loss, Output output, double mean) {
  double derivative = 1;
  if (output == Output::kRelu) derivative = mean > 0 ? 1 : 0;
  // σ(softplus⁻¹(λ)) = 1 − e^−λ.
  if (output == Output::kSoftplus) derivative = -std::expm1(-mean);
  switch (loss) {
    case Loss::kMse:
      return derivative;
    case Loss::kMsle:
      return derivative / ((1 + mean) * (1 + mean));
    case Loss::kPoisson:
      // A silent output: the limit of (1 − e^−λ)/λ; other output functions cannot reach a rate of
      // 0.
      if (mean <= 0) return output == Output::kSoftplus ? 1 : 0;
      return derivative / mean;
  }
  return 0;
}

// One weight per unit: the rate form of a row.
void UnitWeights(const Model& model, const float* row, std::vector<double>& out) {
  const int units = model.output_units();
  out.resize(units);
  for (int n = 0; n < units; ++n) {
    double weight = 0, mean = 0;
    for (int s = 0; s < model.S; ++s) {
      weight += static_cast<double>(row[s * units + n]);
      mean += static_cast<double>(model.training.mean[s * units + n]);
    }
    out[n] = weight / model.S * FilterSlope(model.spec.loss, model.spec.output, mean / model.S);
  }
}

// Variance of an output under the likelihood that the loss stands for; MSLE's linearised in y.
double LikelihoodVariance(Loss loss, double mean) {
  switch (loss) {
    case Loss::kMse:
      return 1;
    case Loss::kMsle:
      return (1 + mean) * (1 + mean);
    case Loss::kPoisson:
      return mean;
  }
  return 1;
}

// φ of every unit's count in the window; 1 for a unit that never changed.
std::vector<double> Dispersion(const Model& model) {
  constexpr double kLeast = 0.3;
  const int units = model.output_units();
  std::vector<double> out(units, 1);
  for (int n = 0; n < units; ++n) {
    double expected = 0;
    for (int s = 0; s < model.S; ++s) {
      expected += LikelihoodVariance(model.spec.loss, model.training.mean[s * units + n]);
    }
    const auto sd = static_cast<double>(model.training.count_sd[n]);
    if (expected > 0 && sd > 0) out[n] = std::max(kLeast, sd * sd / expected);
  }
  return out;
}

// Leaves the `most` units of the largest |w|·sd, lower units first among equals.
void KeepCore(const std::vector<float>& sd, int most, std::vector<double>& weights) {
  std::vector<int> order(weights.size());
  std::iota(order.begin(), order.end(), 0);
  const auto size = [&](int n) { return std::abs(weights[n]) * static_cast<double>(sd[n]); };
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return size(a) > size(b); });
  for (size_t i = most; i < order.size(); ++i) weights[order[i]] = 0;
}

Parameters<float> AsParameters(std::vector<float> rows, int features, int inputs) {
  Parameters<float> out;
  out.features = features;
  out.inputs = inputs;
  out.encoder = std::move(rows);
  out.encoder_bias.assign(features, 0);
  return out;
}

void PackAll(const Parameters<float>& rows, FloatEncoder<float>& out) {
  out = FloatEncoder<float>(rows.features, rows.inputs);
  for (int64_t begin = 0; begin < rows.features; begin += kPackLatents) {
    out.Pack(rows, false, begin, std::min<int64_t>(rows.features, begin + kPackLatents));
  }
}

float Standardised(float score, float information) {
  return information > 0 ? score / std::sqrt(information) : 0;
}

}  // namespace

std::string_view Name(EvidenceKind kind) {
  switch (kind) {
    case EvidenceKind::kGivenOthers:
      return "given_others";
    case EvidenceKind::kGivenOthersZ:
      return "given_others_z";
    case EvidenceKind::kMarginal:
      return "marginal";
    case EvidenceKind::kRate:
      return "rate";
    case EvidenceKind::kCore3:
      return "core_3";
    case EvidenceKind::kCore10:
      return "core_10";
    case EvidenceKind::kCore30:
      return "core_30";
    case EvidenceKind::kQuasiRate:
      return "quasi_rate";
    case EvidenceKind::kQuasiCore3:
      return "quasi_core_3";
  }
  return "";
}

std::optional<EvidenceKind> EvidenceNamed(std::string_view name) {
  for (const EvidenceKind kind : kEvidenceKinds) {
    if (Name(kind) == name) return kind;
  }
  return std::nullopt;
}

bool NeedsCodes(EvidenceKind kind) {
  return kind == EvidenceKind::kGivenOthers || kind == EvidenceKind::kGivenOthersZ;
}

absl::Status HasEvidence(const Model& model, EvidenceKind kind) {
  if (NeedsCodes(kind) || !model.training.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "the model was stored without the statistics of its training windows, which fixed filters "
      "need; ask for given_others, or train again");
}

TargetStatistics MeasureTarget(const CountView& target, const Normaliser& normaliser, Starts starts,
                               int S) {
  constexpr int64_t kWindows = 4096;
  const int units = target.units;
  const auto n = static_cast<int64_t>(starts.size());
  struct Part {
    std::vector<double> sum, square;
  };
  std::vector<Part> parts(BlockCount(n, kWindows));
  ForBlocks(n, kWindows, [&](int64_t block, int64_t begin, int64_t end) {
    Part& part = parts[block];
    part.sum.assign(units, 0);
    part.square.assign(units, 0);
    std::vector<float> x(int64_t{S} * units);
    for (int64_t w = begin; w < end; ++w) {
      ReadWindow(target, normaliser, starts[w], S, x.data());
      for (int u = 0; u < units; ++u) {
        double count = 0;
        for (int s = 0; s < S; ++s) count += static_cast<double>(x[s * units + u]);
        part.sum[u] += count;
        part.square[u] += count * count;
      }
    }
  });
  TargetStatistics out;
  const std::vector<double> mean = MeanTarget(target, normaliser, starts, S);
  out.mean.assign(mean.begin(), mean.end());
  out.count_sd.resize(units);
  const auto windows = static_cast<double>(std::max<int64_t>(1, n));
  for (int u = 0; u < units; ++u) {
    double sum = 0, square = 0;
    for (const Part& part : parts) {
      sum += part.sum[u];
      square += part.square[u];
    }
    const double variance = square / windows - sum / windows * (sum / windows);
    out.count_sd[u] = static_cast<float>(std::sqrt(std::max(0.0, variance)));
  }
  return out;
}

std::vector<float> FilterWeights(const Model& model, EvidenceKind kind,
                                 const std::vector<int32_t>& latents) {
  const int outputs = model.outputs(), units = model.output_units();
  std::vector<float> out(latents.size() * outputs);
  const bool quasi = kind == EvidenceKind::kQuasiRate || kind == EvidenceKind::kQuasiCore3;
  const std::vector<double> dispersion = quasi ? Dispersion(model) : std::vector<double>{};
  std::vector<double> per_unit;
  for (size_t l = 0; l < latents.size(); ++l) {
    const float* row = model.parameters.decoder_row(latents[l]);
    float* weights = out.data() + l * outputs;
    if (kind == EvidenceKind::kMarginal) {
      for (int i = 0; i < outputs; ++i) {
        weights[i] = static_cast<float>(
            row[i] * FilterSlope(model.spec.loss, model.spec.output, model.training.mean[i]));
      }
      continue;
    }
    UnitWeights(model, row, per_unit);
    for (int n = 0; quasi && n < units; ++n) per_unit[n] /= dispersion[n];
    if (const int most = CoreUnits(kind)) KeepCore(model.training.count_sd, most, per_unit);
    for (int i = 0; i < outputs; ++i) weights[i] = static_cast<float>(per_unit[i % units]);
  }
  return out;
}

EvidenceScorer::EvidenceScorer(const Model& model, EvidenceKind kind, std::vector<int32_t> latents)
    : model_(model), kind_(kind), latents_(std::move(latents)) {
  const int count = static_cast<int>(latents_.size()), outputs = model.outputs();
  if (!NeedsCodes(kind)) {
    filter_ = std::make_unique<WindowProduct>(
        AsParameters(FilterWeights(model, kind, latents_), count, outputs), false,
        model.output_normaliser(), model.S);
    return;
  }
  place_.assign(model.spec.features(), -1);
  std::vector<float> rows;
  rows.reserve(latents_.size() * outputs);
  for (int l = 0; l < count; ++l) {
    place_[latents_[l]] = l;
    const float* row = model.parameters.decoder_row(latents_[l]);
    rows.insert(rows.end(), row, row + outputs);
  }
  Parameters<float> weights = AsParameters(std::move(rows), count, outputs);
  PackAll(weights, rows_);
  if (kind == EvidenceKind::kGivenOthers) return;
  for (float& w : weights.encoder) w *= w;
  PackAll(weights, squares_);
}

void EvidenceScorer::GivenOthers(const CountView& target, Starts starts, const Codes<float>& codes,
                                 int64_t begin, int64_t end, float* out) const {
  const auto& p = model_.parameters;
  const auto& kernels = Kernels<float>();
  const Loss loss = model_.spec.loss;
  const Output output = model_.spec.output;
  const bool z = kind_ == EvidenceKind::kGivenOthersZ;
  const int64_t rows = end - begin, E = p.outputs, count = static_cast<int64_t>(latents_.size());
  std::vector<float> y(rows * E), a(rows * E), slope(rows * E), information(z ? rows * E : 0),
      total(z ? rows * count : 0);
  for (int64_t b = 0; b < rows; ++b) {
    ReadWindow(target, model_.output_normaliser(), starts[begin + b], model_.S, y.data() + b * E);
    const int64_t at = codes.row_begin[begin + b];
    kernels.weighted_rows(p.decoder_bias.data(), p.decoder.data(), E, codes.latent.data() + at,
                          codes.value.data() + at,
                          static_cast<int>(codes.row_begin[begin + b + 1] - at),
                          static_cast<int>(E), a.data() + b * E);
    kernels.scores(loss, output, a.data() + b * E, y.data() + b * E, static_cast<int>(E),
                   slope.data() + b * E, z ? information.data() + b * E : nullptr);
  }
  // For latents that are off, a⁻ʲ is a.
  rows_.Encode(slope.data(), static_cast<int>(rows), out);
  if (z) squares_.Encode(information.data(), static_cast<int>(rows), total.data());
  for (int64_t b = 0; b < rows; ++b) {
    for (int64_t e = codes.row_begin[begin + b]; e < codes.row_begin[begin + b + 1]; ++e) {
      const int32_t j = codes.latent[e];
      if (place_[j] < 0) continue;
      float own = 0;
      const float score =
          kernels.score_without(loss, output, a.data() + b * E, y.data() + b * E, p.decoder_row(j),
                                codes.value[e], static_cast<int>(E), &own);
      out[b * count + place_[j]] = score;
      if (z) total[b * count + place_[j]] = own;
    }
    for (int64_t l = 0; z && l < count; ++l) {
      out[b * count + l] = Standardised(out[b * count + l], total[b * count + l]);
    }
  }
}

void EvidenceScorer::Score(const CountView& target, Starts starts, const Codes<float>& codes,
                           float* out) const {
  const auto count = static_cast<int64_t>(latents_.size());
  ForBlocks(static_cast<int64_t>(starts.size()), kBlock, [&](int64_t, int64_t begin, int64_t end) {
    if (filter_ != nullptr) {
      filter_->Multiply(target, starts.subspan(begin, end - begin), out + begin * count);
    } else {
      GivenOthers(target, starts, codes, begin, end, out + begin * count);
    }
  });
}

}  // namespace saed::sae
