#include "server/sae/evaluate.h"

#include <Eigen/Core>
#include <cmath>
#include <numbers>

#include "server/sae/losses.h"
#include "server/sae/parallel.h"

namespace saed::sae {
namespace {

constexpr int64_t kBlock = 256;

using Array = Eigen::ArrayXd;

// Sums over one block of windows, per output.
struct Sums {
  Array y, y2, e, e2;
  double cosine = 0, log_likelihood = 0, spikes = 0;
  int64_t cosine_windows = 0;

  explicit Sums(int64_t d)
      : y(Array::Zero(d)), y2(Array::Zero(d)), e(Array::Zero(d)), e2(Array::Zero(d)) {}

  void Add(const Sums& o) {
    y += o.y;
    y2 += o.y2;
    e += o.e;
    e2 += o.e2;
    cosine += o.cosine;
    log_likelihood += o.log_likelihood;
    spikes += o.spikes;
    cosine_windows += o.cosine_windows;
  }
};

// Poisson log-likelihood without the term that depends on y alone.
double LogLikelihood(double y, double rate) { return y * std::log(rate + kPoissonEpsilon) - rate; }

void AddWindow(const Array& y, const Array& prediction, const std::vector<double>* rates,
               Sums& sums) {
  const Array e = y - prediction;
  sums.y += y;
  sums.y2 += y.square();
  sums.e += e;
  sums.e2 += e.square();
  const double yy = y.square().sum(), pp = prediction.square().sum();
  if (yy > 0) {
    ++sums.cosine_windows;
    if (pp > 0) sums.cosine += (y * prediction).sum() / std::sqrt(yy * pp);
  }
  if (rates == nullptr) return;
  for (Eigen::Index i = 0; i < y.size(); ++i) {
    if (!((*rates)[i] > 0)) continue;  // silent in training: any spike beats that by any amount
    sums.spikes += y[i];
    sums.log_likelihood += LogLikelihood(y[i], prediction[i]) - LogLikelihood(y[i], (*rates)[i]);
  }
}

void CountCodes(const Codes<float>& codes, std::vector<int64_t>& active, Evaluation& out) {
  for (int32_t j : codes.latent) ++active[j];
  for (int64_t b = 0; b < codes.rows(); ++b) {
    const size_t n = codes.row_begin[b + 1] - codes.row_begin[b];
    if (out.l0_histogram.size() <= n) out.l0_histogram.resize(n + 1, 0);
    ++out.l0_histogram[n];
  }
  out.l0 += static_cast<double>(codes.latent.size());
}

std::optional<double> Ratio(double part, double whole) {
  if (whole <= 0) return std::nullopt;
  return 1 - part / whole;
}

void Finish(const Model& model, const Sums& sums, const std::vector<double>& training,
            const std::vector<int64_t>& active, bool counts, Evaluation& out) {
  const auto w = static_cast<double>(out.windows);
  const Array mean = sums.y / w;
  // Rounding can leave a tiny positive rest for a constant output; that is no variance.
  Array total = sums.y2 - w * mean.square();
  total = (total < 1e-9 * (sums.y2 + 1e-30)).select(0.0, total);
  const Array residual_variance = sums.e2 - sums.e.square() / w;
  out.mse = sums.e2.sum() / (w * static_cast<double>(mean.size()));
  out.r2 = Ratio(sums.e2.sum(), total.sum());
  out.explained_variance = Ratio(residual_variance.sum(), total.sum());
  if (sums.cosine_windows > 0) out.cosine = sums.cosine / static_cast<double>(sums.cosine_windows);
  const Array m = Eigen::Map<const Array>(training.data(), mean.size());
  const double baseline = (sums.y2 - 2 * m * sums.y + w * m.square()).sum();
  if (baseline > 0) out.normalised_mse = sums.e2.sum() / baseline;
  if (counts && sums.spikes > 0) {
    out.bits_per_spike = sums.log_likelihood / (sums.spikes * std::numbers::ln2);
  }
  out.l0 /= w;
  int64_t dead = 0, dense = 0;
  for (int64_t a : active) {
    out.density.push_back(static_cast<double>(a) / w);
    dead += a == 0;
    dense += out.density.back() > 0.5;
  }
  out.dead_fraction = static_cast<double>(dead) / static_cast<double>(active.size());
  out.dense_fraction = static_cast<double>(dense) / static_cast<double>(active.size());
  for (int n = 0; n < model.output_units(); ++n) {
    double sse = 0, sst = 0;
    for (int s = 0; s < model.S; ++s) {
      sse += sums.e2[s * model.output_units() + n];
      sst += total[s * model.output_units() + n];
    }
    out.unit_r2.push_back(Ratio(sse, sst));
  }
}

}  // namespace

absl::StatusOr<Evaluation> EvaluateModel(const Encoder& encoder, const CountView& counts,
                                         const CountView& target, Starts starts,
                                         const std::vector<double>& training,
                                         const std::function<bool()>& keep_going) {
  const Model& model = encoder.model();
  const int64_t d = model.outputs();
  const bool count_rates = target.dtype != DType::kF32 && model.output_normaliser().identity() &&
                           model.spec.output != Output::kIdentity;
  Evaluation out;
  out.windows = static_cast<int64_t>(starts.size());
  if (out.windows == 0) return absl::FailedPreconditionError("no windows to evaluate");
  Sums sums(d);
  std::vector<int64_t> active(model.spec.features(), 0);
  // A group of blocks is evaluated in parallel, then added up in block order.
  constexpr int64_t kGroup = 16 * kBlock;
  for (int64_t g = 0; g < out.windows; g += kGroup) {
    if (!keep_going()) return absl::CancelledError("stopped while evaluating");
    const int64_t group = std::min(kGroup, out.windows - g);
    std::vector<Sums> parts(BlockCount(group, kBlock), Sums(d));
    std::vector<Codes<float>> codes(parts.size());
    ForBlocks(group, kBlock, [&](int64_t block, int64_t begin, int64_t end) {
      const int64_t rows = end - begin;
      std::vector<float> x(rows * d), prediction(rows * d);
      for (int64_t b = 0; b < rows; ++b) {
        ReadWindow(target, model.output_normaliser(), starts[g + begin + b], model.S,
                   x.data() + b * d);
      }
      encoder.Encode(counts, starts.subspan(g + begin, rows), DefaultRule(model.spec),
                     codes[block]);
      encoder.Decode(codes[block], prediction.data());
      for (int64_t b = 0; b < rows; ++b) {
        AddWindow(Eigen::Map<Eigen::ArrayXf>(x.data() + b * d, d).cast<double>(),
                  Eigen::Map<Eigen::ArrayXf>(prediction.data() + b * d, d).cast<double>(),
                  count_rates ? &training : nullptr, parts[block]);
      }
    });
    for (size_t i = 0; i < parts.size(); ++i) {
      sums.Add(parts[i]);
      CountCodes(codes[i], active, out);
    }
  }
  Finish(model, sums, training, active, count_rates, out);
  return out;
}

}  // namespace saed::sae
